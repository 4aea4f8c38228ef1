//! How a page stands to the server, and the mark in its head that shows it.

#[cfg(target_arch = "wasm32")]
use leptos::prelude::*;

/// How a page stands to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerConnection {
    /// Nothing has come yet.
    #[default]
    Connecting,
    /// It answers, and what is followed is at the tail.
    Live,
    /// It answers, and the stream is closed: all of it has been read.
    Closed,
    /// A person has stopped the picture; measuring goes on.
    Paused,
    /// The server does not answer.
    Lost,
    /// It answers again; what was followed is being set up anew.
    Reconnecting,
}

impl ServerConnection {
    /// The machine-readable name on the status region.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Closed => "closed",
            Self::Paused => "paused",
            Self::Lost => "lost",
            Self::Reconnecting => "reconnecting",
        }
    }
}

/// The mark, for the eye only: each page has a status region beside it that is read aloud.
#[cfg(target_arch = "wasm32")]
#[component]
pub fn ConnectionMark(
    /// How the page stands to the server.
    #[prop(into)]
    connection: Signal<ServerConnection>,
) -> impl IntoView {
    let shell = expect_context::<crate::app::Shell>();
    view! {
        <p class="state" data-state=move || connection.get().name() aria-hidden="true">
            <span class="dot"></span>
            {move || (shell.text().connection)(connection.get())}
        </p>
    }
}
