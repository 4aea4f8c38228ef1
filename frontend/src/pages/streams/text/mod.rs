//! The texts of the Streams page, in English and in Korean: a missing text does not compile.

mod english;
mod korean;

use crate::api::new_stream::InvalidField;
use crate::api::server::ServerFacts;
use crate::api::subscription::SubscriptionDetails;
use crate::language::Language;
use crate::pages::streams::model::tailing::{FollowStart, FollowState};

/// The texts of the page. Sentences with numbers are functions, so that each language has its own word order.
#[expect(
    missing_docs,
    reason = "the names of the fields describe the texts, which are in english.rs and korean.rs"
)]
#[derive(Debug)]
pub struct StreamsText {
    pub title: &'static str,
    pub name: &'static str,
    pub skip: &'static str,
    pub foot: &'static str,
    // The list.
    pub list: &'static str,
    pub stream_count: fn(u64) -> String,
    pub search: &'static str,
    pub search_by: &'static str,
    pub contains: &'static str,
    pub begins: &'static str,
    pub sort: &'static str,
    pub by_name: &'static str,
    pub newest_first: &'static str,
    pub with_lab: &'static str,
    pub nothing_here: &'static str,
    pub only_lab: &'static str,
    pub server: fn(&ServerFacts) -> String,
    pub disk_full: &'static str,
    pub show_all: &'static str,
    pub nothing_found: fn(&str) -> String,
    pub none_title: &'static str,
    pub none: &'static str,
    pub loading: &'static str,
    pub next_page: &'static str,
    pub previous_page: &'static str,
    pub new_stream: &'static str,
    pub back: &'static str,
    pub live: fn(&str) -> String,
    pub open: &'static str,
    pub closed: &'static str,
    pub is_fork: &'static str,
    // Create.
    pub create_title: &'static str,
    pub create_intro: &'static str,
    pub stream_name: &'static str,
    pub stream_name_hint: &'static str,
    pub content_type: &'static str,
    pub other_type: &'static str,
    pub ttl: &'static str,
    pub expires_at: &'static str,
    pub keep_bytes: &'static str,
    pub keep_seconds: &'static str,
    pub closed_at_once: &'static str,
    pub limits: &'static str,
    pub limits_hint: &'static str,
    pub fork_limits_hint: &'static str,
    pub first: &'static str,
    pub create: &'static str,
    pub field: fn(&InvalidField) -> String,
    // Subscriptions.
    pub subscriptions: &'static str,
    pub subscriptions_hint: &'static str,
    pub subscription_id: &'static str,
    pub subscription_kind: &'static str,
    pub subscription_pattern: &'static str,
    pub subscription_target: &'static str,
    pub subscription_show: &'static str,
    pub subscription_list: &'static str,
    pub no_subscriptions: &'static str,
    pub refresh: &'static str,
    pub subscription_streams: &'static str,
    pub streams_behind: &'static str,
    pub last_failure: &'static str,
    pub subscription_pause: &'static str,
    pub subscription_resume: &'static str,
    /// Whether it is paused, and its status in the protocol.
    pub subscription_status: fn(bool, &str) -> &'static str,
    pub subscription_state: fn(&SubscriptionDetails) -> String,
    pub subscription_ask: fn(&str) -> String,
    pub unsubscribed: fn(&str) -> String,
    pub acknowledged: &'static str,
    // Inspect.
    pub facts: &'static str,
    pub earliest: &'static str,
    pub tail: &'static str,
    pub size: &'static str,
    pub state: &'static str,
    pub ends: &'static str,
    pub ends_idle: fn(&str) -> String,
    pub ends_at: fn(&str) -> String,
    pub never: &'static str,
    pub retention: &'static str,
    pub keeps_all: &'static str,
    pub keeps_bytes: fn(&str) -> String,
    pub keeps_for: fn(&str) -> String,
    pub created_at: &'static str,
    pub forked_from: &'static str,
    pub at_offset: fn(&str) -> String,
    pub forks: &'static str,
    pub and_more: fn(&str) -> String,
    pub readers: &'static str,
    pub no_readers: &'static str,
    pub this_page: &'static str,
    pub plain_reads: fn(&str) -> String,
    pub slowest: fn(&str) -> String,
    pub at_tail: &'static str,
    pub each_reader: &'static str,
    pub position: &'static str,
    pub behind: &'static str,
    pub since: &'static str,
    pub producers: &'static str,
    pub no_producers: &'static str,
    pub producer: &'static str,
    pub epoch: &'static str,
    pub sequence: &'static str,
    pub as_json: &'static str,
    pub export: &'static str,
    pub missing: fn(&str) -> String,
    pub missing_hint: &'static str,
    pub gone_title: &'static str,
    pub gone: &'static str,
    // Append.
    pub append_title: &'static str,
    pub append_hint: &'static str,
    pub append_json: &'static str,
    pub append: &'static str,
    pub appended: fn(&str) -> String,
    pub is_closed: &'static str,
    // Follow.
    pub follow_title: &'static str,
    pub follow_from: &'static str,
    pub start_at: fn(FollowStart) -> &'static str,
    pub start: &'static str,
    pub stop: &'static str,
    pub stopped: &'static str,
    pub renews: &'static str,
    pub follow_state: fn(&FollowState) -> String,
    pub replaced_by: fn(&str) -> String,
    pub counts: fn(u64, u64, u64) -> String,
    pub nothing_yet: &'static str,
    pub cut: fn(&str) -> String,
    pub bytes_of: fn(&str) -> String,
    pub fork_here: fn(&str) -> String,
    // Fork, close, delete.
    pub change_title: &'static str,
    pub fork: &'static str,
    pub fork_hint: &'static str,
    pub fork_at: &'static str,
    pub fork_tail: &'static str,
    pub fork_beyond: &'static str,
    pub close: &'static str,
    pub close_ask: &'static str,
    pub close_sure: &'static str,
    pub delete: &'static str,
    pub delete_ask: fn(&str) -> String,
    pub delete_forks: fn(&str) -> String,
    pub delete_sure: &'static str,
    pub keep: &'static str,
    pub closed_now: fn(&str) -> String,
    pub deleted: fn(&str) -> String,
    pub created: fn(&str) -> String,
    pub there_already: fn(&str) -> String,
    pub forked: fn(&str) -> String,
    pub refused: fn(&str) -> String,
    // Help.
    pub help_title: &'static str,
    pub help_intro: &'static str,
    pub help: &'static [&'static str],
    pub key_search: &'static str,
    pub key_new: &'static str,
    pub key_append: &'static str,
}

impl StreamsText {
    /// The texts in `language`.
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::TEXT,
            Language::Korean => &korean::TEXT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_differ_and_have_lists_of_equal_length() {
        let [english, korean] = Language::ALL.map(StreamsText::of);
        assert_ne!(english.help_intro, korean.help_intro);
        assert_eq!(english.help.len(), korean.help.len());
    }
}
