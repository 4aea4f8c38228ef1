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
    shortcuts: "Single keys are shortcuts",
    technique: "technique",
    not_found: "Nothing here",
    not_found_title: "Nothing here — Tailwater",
    not_found_hint: "No page of the dashboard and no stream is at this address. These are its pages:",
    connection: |connection| match connection {
        ServerConnection::Connecting => "Connecting",
        ServerConnection::Live => "Live",
        ServerConnection::Closed => "Stream closed",
        ServerConnection::Paused => "Paused",
        ServerConnection::Lost => "Server lost",
        ServerConnection::Reconnecting => "Reconnecting",
    },
};
