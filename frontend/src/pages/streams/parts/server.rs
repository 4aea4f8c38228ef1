//! What the server runs on, in a line below the list.

use leptos::prelude::*;

use crate::pages::streams::context::StreamsContext;

/// Version, uptime, memory and disk.
#[component]
pub fn ServerLine() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = Signal::derive(move || {
        let text = streams.text();
        streams.server.with(|server| {
            let server = server.as_ref()?;
            let store = &server.store;
            let is_full = store.free_bytes.is_some() && store.free_bytes <= store.reserved_bytes;
            let words = (text.server)(server);
            Some(if is_full {
                format!("{words}. {}", text.disk_full)
            } else {
                words
            })
        })
    });
    view! { <p class="hint server" data-testid="server">{line}</p> }
}
