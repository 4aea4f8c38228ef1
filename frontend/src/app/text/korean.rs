//! The Korean texts of all pages; docs/korean.md has the glossary and the rules.

use super::SharedText;
use crate::theme::Theme;
use crate::widgets::connection::ServerConnection;

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
    copied: "복사됨",
    keys_title: "단축키",
    key_help: "도움말 열기",
    shortcuts: "키 하나로 누르는 단축키 사용",
    technique: "방식",
    not_found: "페이지를 찾을 수 없습니다",
    not_found_title: "페이지를 찾을 수 없습니다 — Tailwater",
    not_found_hint: "이 주소에는 대시보드 페이지도 스트림도 없습니다. 다음 페이지를 이용하세요:",
    connection: |connection| match connection {
        ServerConnection::Connecting => "연결 중",
        ServerConnection::Live => "실시간",
        ServerConnection::Closed => "닫힌 스트림",
        ServerConnection::Paused => "일시 정지",
        ServerConnection::Lost => "서버 연결 끊김",
        ServerConnection::Reconnecting => "다시 연결 중",
    },
};
