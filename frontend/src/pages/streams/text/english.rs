//! The English texts of the Streams page.

use super::StreamsText;
use crate::api::new_stream::InvalidField;
use crate::language::Language;
use crate::numbers::{count, size, span_s};
use crate::pages::streams::model::tailing::{FollowStart, FollowState};

pub(super) const TEXT: StreamsText = StreamsText {
    title: "Tailwater — streams",
    name: "Streams",
    skip: "Skip to the stream",
    foot: "Everything on this page is an ordinary request with its curl command. Lists and figures are JSON under /v1/streams.",
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
    nothing_here: "There are no streams to show.",
    only_lab: "All streams belong to the lab and are hidden.",
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
    none: "A PUT creates one. Create one here or in a shell:",
    loading: "Loading…",
    next_page: "Next",
    previous_page: "Previous",
    new_stream: "New stream",
    back: "All streams",
    live: |count| format!("{count} live"),
    open: "open",
    closed: "closed",
    is_fork: "fork",
    create_title: "New stream",
    create_intro: "A stream has a URL and is append-only. Its content type determines its messages.",
    stream_name: "Name",
    stream_name_hint: "logs/web",
    content_type: "Content type",
    other_type: "another…",
    ttl: "Expires when idle for",
    expires_at: "Expires at",
    keep_bytes: "Keep at most",
    keep_seconds: "Keep messages for",
    closed_at_once: "Create closed",
    limits: "Options",
    limits_hint: "Empty: no limit. Reading and writing renew the idle time.",
    fork_limits_hint: "Empty: as in the source. Reading and writing renew the idle time.",
    first: "First content, if any",
    create: "Create",
    field: |field| match field {
        InvalidField::Name(fault) => fault.to_string(),
        InvalidField::Ttl => "The idle time must be whole seconds, at least 1.".to_owned(),
        InvalidField::KeepBytes => {
            "The bytes to keep must be a whole number, at least 1.".to_owned()
        }
        InvalidField::KeepSeconds => {
            "The time to keep messages must be whole seconds, at least 1.".to_owned()
        }
        InvalidField::ForkBeyond => {
            "The further messages must be a whole number, at least 1.".to_owned()
        }
    },
    subscriptions: "Subscriptions",
    subscriptions_hint: "A subscription wakes a worker when streams have new messages. While it is paused, messages are kept and workers are not woken.",
    subscription_id: "ID",
    subscription_kind: "Type",
    subscription_pattern: "Streams (* is one segment, ** any number)",
    subscription_target: "URL of the webhook, or name of the wake stream",
    subscription_show: "Show",
    subscription_list: "All subscriptions",
    no_subscriptions: "There are no subscriptions.",
    refresh: "Refresh",
    subscription_streams: "Streams",
    streams_behind: "Streams behind",
    last_failure: "Last failure",
    subscription_pause: "Pause",
    subscription_resume: "Resume",
    subscription_status,
    subscription_state: |details| {
        let failure = details.last_error.as_ref().map(|error| {
            let next = details.next_attempt_at.as_deref();
            let next = next.map(|next| format!(". Next attempt: {next}"));
            format!(". Last failure: {error}{}", next.unwrap_or_default())
        });
        format!(
            "{}, {}, generation {}{}",
            subscription_status(details.is_paused, &details.status),
            plural(details.cursors.len() as u64, "stream"),
            count(details.generation),
            failure.unwrap_or_default()
        )
    },
    subscription_ask: |id| {
        format!("Delete the subscription {id} with its cursors? This can't be undone.")
    },
    unsubscribed: |id| format!("The subscription {id} is deleted."),
    acknowledged: "Acknowledged offset",
    facts: "Details",
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
    no_readers: "This stream has no live readers.",
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
    missing_hint: "It may have been deleted or have expired. This page shows it as soon as it exists.",
    gone_title: "The server does not respond",
    gone: "Is it running? The page tries again every two seconds and reconnects automatically. Start it with:",
    append_title: "Append",
    append_hint: "Enter sends the message, Shift+Enter inserts a line break.",
    append_json: "One JSON value; each element of an array is a message.",
    append: "Append",
    appended: |offset| format!("Appended. The tail is {offset}."),
    is_closed: "The stream is closed: nothing can be appended.",
    follow_title: "Follow live",
    follow_from: "Where to start",
    start_at: |start| match start {
        FollowStart::Last => "the last messages",
        FollowStart::Beginning => "from the beginning",
        FollowStart::Now => "from the tail",
    },
    start: "Follow",
    stop: "Stop",
    stopped: "Not following.",
    renews: "Following counts as reading: it renews this stream's idle time.",
    follow_state: |state| match state {
        FollowState::Connecting => "connecting".to_owned(),
        FollowState::Live => "live".to_owned(),
        FollowState::Retrying(why) => format!("reconnecting: {why}"),
        FollowState::Ended => "the stream is closed, and all of it has been read".to_owned(),
        FollowState::Failed(why) => format!("can't be read: {why}"),
    },
    replaced_by: |technique| format!("replaced by {technique}"),
    counts: |messages, bytes, requests| {
        format!(
            "{}, {}, {}",
            plural(messages, "message"),
            size(bytes, Language::English),
            plural(requests, "request")
        )
    },
    nothing_yet: "No messages yet.",
    cut: |size| format!("… {size} in total"),
    bytes_of: |size| format!("{size}, not text:"),
    fork_here: |offset| format!("Fork after this message, at {offset}"),
    change_title: "Change",
    fork: "Fork",
    fork_hint: "A new stream with this one's messages up to an offset: click one above. Nothing is copied.",
    fork_at: "Up to offset",
    fork_tail: "the tail",
    fork_beyond: "Further messages, or bytes if not JSON",
    close: "Close",
    close_ask: "Nothing can be appended afterwards. This can't be undone.",
    close_sure: "Close it",
    delete: "Delete",
    delete_ask: |name| format!("Delete {name} with all its messages? This can't be undone."),
    delete_forks: |forks| {
        format!(
            "Its forks ({forks}) keep the inherited messages; its name stays in use until they are deleted."
        )
    },
    delete_sure: "Delete it",
    keep: "Cancel",
    closed_now: |name| format!("{name} is closed."),
    deleted: |name| format!("{name} is deleted."),
    created: |name| format!("{name} is created."),
    there_already: |name| format!("{name} already exists with the same options."),
    forked: |name| format!("{name} is created as a fork."),
    refused: |why| format!("Refused: {why}"),
    help_title: "About this page",
    help_intro: "All streams of this server. Select one to see its details and its readers with their lag, and to append, follow, fork, close or delete it.",
    help: &[
        "While the tab is visible, figures are updated every two seconds, and the list every five.",
        "A click on the offset of a message fills it into the form for a fork.",
        "Behind is the number of bytes between the position up to which the server has sent messages to a reader and the tail.",
        "A long-poll counts as a reader while it waits. Polls are counted as plain reads.",
        "The export is a file of lines whose last line shows that it is complete; `tailwater import` creates a stream from it.",
    ],
    key_search: "go to the search",
    key_new: "new stream",
    key_append: "go to the append box",
};

fn plural(number: u64, word: &str) -> String {
    format!(
        "{} {word}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

fn subscription_status(is_paused: bool, status: &str) -> &'static str {
    match (is_paused, status) {
        (true, _) => "paused",
        (false, "active") => "active",
        (false, _) => "failed",
    }
}
