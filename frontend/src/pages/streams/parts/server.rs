//! What the server runs on, in a line below the list.

use leptos::prelude::*;

use crate::api::server::ServerFacts;
use crate::pages::streams::context::StreamsContext;

/// Version, uptime, memory and disk.
#[component]
pub fn ServerLine() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = Signal::derive(move || {
        let text = streams.text();
        let said = streams.server.with(|json| ServerFacts::parse(json));
        let words = said.map(|server| {
            let full = if server.is_full { text.disk_full } else { "" };
            format!("{} {full}", (text.server)(&server))
        });
        words.unwrap_or_default()
    });
    view! { <p class="hint server" data-testid="server">{line}</p> }
}
