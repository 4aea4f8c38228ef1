//! The state of a page's connection to the server, and the mark in its head that shows it.

#[cfg(target_arch = "wasm32")]
use leptos::prelude::*;

/// The state of a page's connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerConnection {
    /// There was no response yet.
    #[default]
    Connecting,
    /// The server responds, and the readers are at the tail.
    Live,
    /// The server responds, and all of the closed stream has been read.
    Closed,
    /// The picture is paused; measuring continues.
    Paused,
    /// The server does not respond.
    Lost,
    /// The server responds again, and the readers are reconnecting.
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

/// Whether a fault of a reader only says that it has no response: the text of a browser's exception, or that of the
/// client about a WebSocket.
pub fn is_without_response(fault: &str) -> bool {
    fault.contains("TypeError") || fault.contains("WebSocket")
}

/// The mark, hidden from screen readers: each page also has a status region.
#[cfg(target_arch = "wasm32")]
#[component]
pub fn ConnectionMark(
    /// The state to show.
    #[prop(into)]
    connection: Signal<ServerConnection>,
    /// Its name in the language in use.
    #[prop(into)]
    label: Signal<&'static str>,
) -> impl IntoView {
    view! {
        <p class="state" data-state=move || connection.get().name() aria-hidden="true">
            <span class="dot"></span>
            {label}
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_without_a_response_is_recognised_by_its_text() {
        for (fault, expected) in [
            ("TypeError: Failed to fetch", true),
            (
                "the WebSocket could not be opened (the browser reports no reason)",
                true,
            ),
            ("the server is shutting down (status 503)", false),
        ] {
            assert_eq!(is_without_response(fault), expected, "{fault}");
        }
    }
}
