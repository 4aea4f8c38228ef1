//! What the Streams page says in English.

use super::StreamsText;
use crate::api::new_stream::InvalidField;
use crate::app::language::Language;
use crate::numbers::{count, size, span_s};
use crate::pages::streams::model::tailing::{FollowStart, FollowState};

/// English.
pub(super) const TEXT: StreamsText = StreamsText {
    title: "Tailwater — streams",
    name: "Streams",
    skip: "Skip to the stream",
    foot: "Everything here is an ordinary request: each has its curl line. Lists and figures are JSON under /v1/streams.",
    list: "All streams",
    stream_count: |number| format!("{} in all", plural(number, "stream")),
    search: "Search names",
    search_by: "How to search",
    contains: "contains",
    begins: "begins with",
    sort: "Order",
    by_name: "by name",
    newest_first: "newest first",
    with_lab: "with lab/",
    nothing_here: "There are no streams to show here.",
    only_lab: "There are only streams of the lab, which are hidden.",
    server: |server| {
        let size = |bytes| size(bytes, Language::English);
        let memory = server.resident_bytes;
        let stored = server.stored_bytes.map(|stored| {
            let limit = server
                .limit_bytes
                .map(|limit| format!(" of {}", size(limit)));
            format!("{}{} stored", size(stored), limit.unwrap_or_default())
        });
        let parts = [
            Some(format!("Tailwater {}", server.version)),
            Some(format!(
                "up {}",
                span_s(server.uptime_seconds, Language::English)
            )),
            memory.map(|bytes| format!("{} of memory", size(bytes))),
            stored,
            server
                .free_bytes
                .map(|bytes| format!("{} of disk free", size(bytes))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    },
    disk_full: "· The disk is full: appends are refused.",
    show_all: "Show all",
    nothing_found: |search| format!("No stream fits “{search}”."),
    none_title: "No streams yet",
    none: "A PUT brings one into being. Create one here, or in a shell:",
    loading: "Asking the server…",
    next_page: "Next",
    previous_page: "Previous",
    new_stream: "New stream",
    back: "All streams",
    live: |count| format!("{count} live"),
    open: "open",
    closed: "closed",
    is_fork: "fork",
    create_title: "New stream",
    create_intro: "One URL, one append-only stream. Its content type decides what a message is.",
    stream_name: "Name",
    stream_name_hint: "logs/web",
    content_type: "Content type",
    other_type: "another…",
    ttl: "Ends after idle for",
    expires_at: "Ends at",
    keep_bytes: "Keep at most",
    keep_seconds: "Keep messages for",
    closed_at_once: "Closed at once",
    limits: "Options",
    limits_hint: "Empty means without limit. Reading and writing renew the idle time.",
    fork_limits_hint: "Empty means as in the source. Reading and writing renew the idle time.",
    first: "First content, if any",
    create: "Create",
    field: |field| match field {
        InvalidField::Name(fault) => fault.to_string(),
        InvalidField::Ttl => "The idle time is a whole number of seconds, at least 1.".to_owned(),
        InvalidField::KeepBytes => "The bytes to keep are a whole number, at least 1.".to_owned(),
        InvalidField::KeepSeconds => {
            "The time to keep messages is a whole number of seconds, at least 1.".to_owned()
        }
        InvalidField::ForkBeyond => {
            "The further messages are a whole number, at least 1.".to_owned()
        }
    },
    subscriptions: "Subscriptions",
    subscriptions_hint: "A subscription wakes a worker when streams have new messages. The server can neither list nor pause subscriptions: one is shown by its ID, and deleted to stop it.",
    subscription_id: "ID",
    subscription_kind: "Wakes by",
    subscription_pattern: "Streams (* is one segment, ** any number)",
    subscription_target: "URL of the webhook, or name of the wake stream",
    subscription_show: "Show",
    subscription_state: |details| {
        let failure = details.last_error.as_ref().map(|error| {
            let next = details.next_attempt_at.as_deref().unwrap_or_default();
            format!(". Last failure: {error}. Next attempt: {next}")
        });
        format!(
            "{}, {}, generation {}{}",
            details.status,
            plural(details.cursors.len() as u64, "stream"),
            count(details.generation),
            failure.unwrap_or_default()
        )
    },
    subscription_ask: "Delete the subscription with its cursors? There is no way back.",
    acknowledged: "Acknowledged offset",
    facts: "What it is",
    earliest: "Earliest offset",
    tail: "Tail",
    size: "Kept",
    state: "State",
    ends: "Ends",
    ends_idle: |span| format!("after {span} without a read or write"),
    ends_at: |moment| format!("at {moment}"),
    never: "when it is deleted",
    retention: "Keeps",
    keeps_all: "everything",
    keeps_bytes: |size| format!("the last {size}"),
    keeps_for: |span| format!("messages for {span}"),
    created_at: "Created",
    forked_from: "Forked from",
    at_offset: |offset| format!("at {offset}"),
    forks: "Forks",
    and_more: |count| format!("and {count} more"),
    readers: "Live readers",
    no_readers: "Nobody follows this stream live.",
    this_page: "This page is one of them.",
    plain_reads: |count| format!("Plain reads since the server started: {count}"),
    slowest: |size| format!("slowest {size} behind"),
    at_tail: "at the tail",
    each_reader: "Each reader",
    position: "Position",
    behind: "Behind",
    since: "Connected",
    producers: "Producers",
    no_producers: "No idempotent producer has appended.",
    producer: "Producer",
    epoch: "Epoch",
    sequence: "Last sequence",
    as_json: "JSON",
    export: "Export",
    missing: |name| format!("There is no stream {name}"),
    missing_hint: "It may have been deleted or have ended by itself. This page shows it as soon as it exists.",
    gone_title: "The server does not answer",
    gone: "Is it still running? The page asks again every two seconds and goes on by itself. Start it with:",
    append_title: "Append",
    append_hint: "Enter sends, Shift+Enter begins a new line.",
    append_json: "One JSON value; of an array each element is a message.",
    append: "Append",
    appended: |offset| format!("Appended. The tail is {offset}."),
    is_closed: "The stream is closed: nothing can be appended any more.",
    follow_title: "Follow live",
    follow_from: "Where to begin",
    start_at: |start| match start {
        FollowStart::Last => "the last messages",
        FollowStart::Beginning => "from the beginning",
        FollowStart::Now => "from now on",
    },
    start: "Follow",
    stop: "Stop",
    stopped: "Not followed.",
    renews: "Following counts as reading: it renews this stream's idle time.",
    standing: |standing| match standing {
        FollowState::Connecting => "connecting".to_owned(),
        FollowState::Live => "live".to_owned(),
        FollowState::Again(why) => format!("coming back: {why}"),
        FollowState::Ended => "the stream is closed and read to its end".to_owned(),
        FollowState::Failed(why) => format!("can't be read: {why}"),
    },
    stands_in: |technique| format!("{technique} stands in"),
    counts: |messages, bytes, requests| {
        format!(
            "{}, {}, {}",
            plural(messages, "message"),
            size(bytes, Language::English),
            plural(requests, "request")
        )
    },
    nothing_yet: "Nothing has come yet.",
    cut: |size| format!("… {size} in all"),
    bytes_of: |size| format!("{size}, no text:"),
    fork_here: |offset| format!("Fork after this message, at {offset}"),
    change_title: "Change",
    fork: "Fork",
    fork_hint: "A new stream that begins with this one's messages up to an offset: click one above. Nothing is copied.",
    fork_at: "Up to offset",
    fork_tail: "the tail",
    fork_beyond: "Further messages, or bytes if not JSON",
    close: "Close",
    close_ask: "Nobody can append afterwards, and there is no way back.",
    close_sure: "Close it",
    delete: "Delete",
    delete_ask: |name| format!("Delete {name} with all its messages? There is no way back."),
    delete_forks: |forks| {
        format!(
            "Its forks ({forks}) keep what they inherited; its name stays taken until they are gone."
        )
    },
    delete_sure: "Delete it",
    keep: "Cancel",
    closed_now: |name| format!("{name} is closed."),
    deleted: |name| format!("{name} is deleted."),
    created: |name| format!("{name} is created."),
    there_already: |name| format!("{name} was there already, just like this."),
    forked: |name| format!("{name} is created as a fork."),
    refused: |why| format!("Refused: {why}"),
    help_title: "What can be done here",
    help_intro: "Every stream of this server. Choose one to see what it is, who reads it and how far behind, and to append, follow, fork, close or delete it.",
    help: &[
        "Figures are asked anew every two seconds while the tab is seen; the list every five.",
        "A click on the offset of a message fills it into the form for a fork.",
        "Behind counts the bytes between what the server gave a reader and the tail.",
        "A long-poll is a reader only while it waits; a poll never: polls are counted as plain reads.",
        "The export is a file of lines with an end that a cut one lacks; `tailwater import` makes a stream of it.",
    ],
    key_search: "to the search",
    key_new: "new stream",
    key_append: "to the append box",
};

fn plural(number: u64, word: &str) -> String {
    format!(
        "{} {word}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}
