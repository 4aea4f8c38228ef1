//! The English texts of all pages.

use super::SharedText;
use crate::theme::Theme;
use crate::widgets::connection::ServerConnection;

pub(super) const TEXT: SharedText = SharedText {
    pages: "Pages",
    language: "Language",
    theme: "Theme",
    theme_name: |theme| match theme {
        Theme::Auto => "Auto",
        Theme::Light => "Light",
        Theme::Dark => "Dark",
    },
    help: "Help",
    close: "Close",
    copy: "Copy",
    copied: "Copied",
    keys_title: "Keys",
    key_help: "this help",
    shortcuts: "Single-key shortcuts",
    technique: "technique",
    not_found: "Page not found",
    not_found_title: "Page not found — Tailwater",
    not_found_hint: "There is no page and no stream at this address. The pages are:",
    connection: |connection| match connection {
        ServerConnection::Connecting => "Connecting",
        ServerConnection::Live => "Live",
        ServerConnection::Closed => "Stream closed",
        ServerConnection::Paused => "Paused",
        ServerConnection::Lost => "Server lost",
        ServerConnection::Reconnecting => "Reconnecting",
    },
};
