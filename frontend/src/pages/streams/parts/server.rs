//! The line below the list with the state of the server.

use leptos::prelude::*;

use crate::api::server::ServerFacts;
use crate::pages::streams::context::StreamsContext;

/// Version, uptime, memory and disk.
#[component]
pub fn ServerLine() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = Signal::derive(move || {
        let text = streams.text();
        let server = streams.server.with(|json| ServerFacts::parse(json));
        let line = server.map(|server| {
            let full = if server.is_full { text.disk_full } else { "" };
            format!("{} {full}", (text.server)(&server))
        });
        line.unwrap_or_default()
    });
    view! { <p class="hint server" data-testid="server">{line}</p> }
}
