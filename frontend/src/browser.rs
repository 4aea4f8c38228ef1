//! The functions of the browser that the dashboard uses.

use js_sys::{Array, Reflect};
use tailwater_client::drivers::browser::Sleep;
use tailwater_client::duration_ms;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Performance, PerformanceResourceTiming};

/// The page's window.
///
/// The dashboard never runs without one.
pub fn window() -> web_sys::Window {
    leptos::prelude::window()
}

/// `performance` of the current window or worker.
pub fn performance() -> Performance {
    let performance = Reflect::get(&js_sys::global(), &JsValue::from_str("performance"));
    performance.unwrap_or_default().unchecked_into()
}

/// Milliseconds on this thread's monotonic clock.
pub fn now_ms() -> f64 {
    performance().now()
}

/// The number of processors according to the browser; 1 if it is not available.
pub fn processors() -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small whole number"
    )]
    let processors = window().navigator().hardware_concurrency() as u32;
    processors.max(1)
}

/// The Resource Timing entries that were added since the last call, oldest first, without those whose times are hidden. The
/// browser adds the entry of a request some milliseconds after its response has been read.
///
/// - `url`: prefix of the URLs of the requests.
pub fn timings(url: &str) -> Vec<PerformanceResourceTiming> {
    let performance = performance();
    let entries = performance.get_entries_by_type("resource");
    // The buffer is limited to 250 entries.
    performance.clear_resource_timings();
    let timings = entries.iter().filter_map(|entry| entry.dyn_into().ok());
    timings
        .filter(|timing: &PerformanceResourceTiming| {
            timing.name().starts_with(url) && timing.request_start() > 0.0
        })
        .collect()
}

/// Waits `ms` milliseconds; dropping the future cancels the timer.
pub fn sleep(ms: f64) -> Sleep {
    Sleep::new(duration_ms(ms))
}

/// A value that an earlier visit stored.
pub fn stored(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(key).ok()?
}

/// Stores a value for the next visit, if the browser allows it.
pub fn store(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        storage.set_item(key, value).ok();
    }
}

/// The person's languages, the preferred one first.
pub fn languages() -> Vec<String> {
    window()
        .navigator()
        .languages()
        .iter()
        .filter_map(|tag| tag.as_string())
        .collect()
}

/// `location.search`.
pub fn query() -> String {
    window().location().search().unwrap_or_default()
}

/// `location.hash`.
pub fn fragment() -> String {
    window().location().hash().unwrap_or_default()
}

/// The page's address without query and fragment.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// The host name in the page's address, without a port.
pub fn hostname() -> String {
    window().location().hostname().unwrap_or_default()
}

/// Puts `query` into the address bar without a new entry in the history; the fragment stays.
pub fn show_query(query: &str) {
    replace_address(&(address(query) + &fragment()));
}

/// Takes the fragment out of the address bar, without a new entry in the history.
pub fn drop_fragment() {
    replace_address(&address(query().trim_start_matches('?')));
}

fn replace_address(address: &str) {
    if let Ok(history) = window().history() {
        history
            .replace_state_with_url(&JsValue::NULL, "", Some(address))
            .ok();
    }
}

/// Puts `query` into the address bar with a new entry in the history.
pub fn push_query(query: &str) {
    if let Ok(history) = window().history() {
        history
            .push_state_with_url(&JsValue::NULL, "", Some(&address(query)))
            .ok();
    }
}

/// The dashboard's path with a query, for the address bar and for links.
pub fn address(query: &str) -> String {
    if query.is_empty() {
        "/".to_owned()
    } else {
        format!("/?{query}")
    }
}

/// `location.pathname`.
pub fn path() -> String {
    window()
        .location()
        .pathname()
        .unwrap_or_else(|_| "/".to_owned())
}

/// A point in time in the format of `language`, in the person's time zone.
pub fn moment(unix_ms: f64, language: &str) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(unix_ms));
    date.to_locale_string(language, &JsValue::UNDEFINED).into()
}

/// A point in time as ISO 8601 writes it, in UTC.
pub fn iso_moment(unix_ms: f64) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(unix_ms));
    date.to_iso_string().into()
}

/// Converts the local time of a `datetime-local` field to UTC in the format of RFC 3339; `None` if it is invalid.
pub fn moment_in_utc(local: &str) -> Option<String> {
    let date = js_sys::Date::new(&JsValue::from_str(local));
    // `toISOString` throws for an invalid date.
    (!date.get_time().is_nan()).then(|| date.to_iso_string().into())
}

/// Whether the person prefers reduced motion.
pub fn wants_less_motion() -> bool {
    let media = window().match_media("(prefers-reduced-motion: reduce)");
    media.ok().flatten().is_some_and(|media| media.matches())
}

/// Whether the window is as narrow as a phone's.
pub fn is_narrow() -> bool {
    window()
        .inner_width()
        .ok()
        .and_then(|width| width.as_f64())
        .is_some_and(|width| width < 600.0)
}

/// Whether the tab is hidden.
pub fn is_hidden() -> bool {
    window()
        .document()
        .is_some_and(|document| document.hidden())
}

/// Downloads `content` as a file.
///
/// # Errors
/// The exception that the browser threw.
pub fn download(name: &str, media_type: &str, content: &str) -> Result<(), JsValue> {
    let parts = Array::of1(&JsValue::from_str(content));
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(media_type);
    download_blob(
        name,
        &web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)?,
    )
}

/// Downloads what a canvas shows as a PNG file.
///
/// # Errors
/// The exception that the browser threw.
pub fn download_picture(name: String, canvas: &web_sys::HtmlCanvasElement) -> Result<(), JsValue> {
    // Without memory for the file there is no blob.
    let on_blob = Closure::<dyn FnMut(JsValue)>::new(move |blob: JsValue| {
        if let Some(blob) = blob.dyn_ref() {
            download_blob(&name, blob).ok();
        }
    });
    canvas.to_blob(on_blob.into_js_value().unchecked_ref())
}

fn download_blob(name: &str, blob: &web_sys::Blob) -> Result<(), JsValue> {
    let url = web_sys::Url::create_object_url_with_blob(blob)?;
    let document = window().document().ok_or(JsValue::NULL)?;
    let link: web_sys::HtmlAnchorElement = document.create_element("a")?.dyn_into()?;
    link.set_href(&url);
    link.set_download(name);
    link.click();
    web_sys::Url::revoke_object_url(&url)
}

/// Copies a text to the clipboard, and returns whether the browser allowed it.
pub async fn copy(text: &str) -> bool {
    JsFuture::from(window().navigator().clipboard().write_text(text))
        .await
        .is_ok()
}

/// After the next update of the page, moves the focus to the element of this id if the focused element was removed.
pub fn refocus(id: &'static str) {
    leptos::prelude::request_animation_frame(move || {
        let active = leptos::prelude::document().active_element();
        if active.is_none_or(|element| element.tag_name() == "BODY") {
            focus(id);
        }
    });
}

/// Moves the focus to the element `id`.
pub fn focus(id: &str) {
    let element = window()
        .document()
        .and_then(|document| document.get_element_by_id(id));
    if let Some(element) =
        element.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok())
    {
        element.focus().ok();
    }
}
