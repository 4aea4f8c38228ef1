//! The functions of the browser that the dashboard uses.

use std::time::Duration;

use js_sys::Array;
use tailwater_client::drivers::browser::Sleep;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The page's window.
///
/// The dashboard never runs without one.
pub fn window() -> web_sys::Window {
    leptos::prelude::window()
}

/// Milliseconds on the page's monotonic clock.
pub fn now_ms() -> f64 {
    window()
        .performance()
        .map_or(0.0, |performance| performance.now())
}

/// Waits `ms` milliseconds; dropping the future cancels the timer.
pub fn sleep(ms: f64) -> Sleep {
    Sleep::new(Duration::from_secs_f64(ms.max(0.0) / 1_000.0))
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

/// The page's address without query and fragment.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// The host name in the page's address, without a port.
pub fn hostname() -> String {
    window().location().hostname().unwrap_or_default()
}

/// Puts `query` into the address bar without a new entry in the history.
pub fn show_query(query: &str) {
    if let Ok(history) = window().history() {
        history
            .replace_state_with_url(&JsValue::NULL, "", Some(&address(query)))
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

/// The page's own path with another query, for the address bar and for links.
pub fn address(query: &str) -> String {
    let path = window()
        .location()
        .pathname()
        .unwrap_or_else(|_| "/".to_owned());
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

/// A point in time in the format of `language`, in the person's time zone.
pub fn moment(unix_ms: f64, language: &str) -> String {
    let date = js_sys::Date::new(&JsValue::from_f64(unix_ms));
    date.to_locale_string(language, &JsValue::UNDEFINED).into()
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
    let blob = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)?;
    let url = web_sys::Url::create_object_url_with_blob(&blob)?;
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
