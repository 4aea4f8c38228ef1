//! What all pages say in Korean.

use super::SharedText;
use crate::app::theme::Theme;
use crate::widgets::connection::ServerConnection;

/// 한국어.
pub(super) const TEXT: SharedText = SharedText {
    pages: "페이지",
    language: "언어",
    theme: "테마",
    theme_name: |theme| match theme {
        Theme::Auto => "자동",
        Theme::Light => "밝게",
        Theme::Dark => "어둡게",
    },
    help: "도움말",
    close: "닫기",
    copy: "복사",
    copied: "복사함",
    keys_title: "단축키",
    key_help: "이 도움말",
    technique: "방식",
    connection: |connection| match connection {
        ServerConnection::Connecting => "연결 중",
        ServerConnection::Live => "실시간",
        ServerConnection::Paused => "멈춤",
        ServerConnection::Lost => "서버 없음",
        ServerConnection::Reconnecting => "다시 연결 중",
    },
};
