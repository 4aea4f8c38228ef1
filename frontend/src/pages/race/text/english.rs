//! The English texts of the Race page.

mod sentences;

use sentences::{advice, cost, headline, judged, needs, plural, within_ms};
use tailwater_protocol::lab::Pattern;

use super::{AdviceText, RaceText};
use crate::lanes::ReaderPlace;
use crate::language::Language;
use crate::numbers::{Unit, in_ms, ms, seconds, size, span_s, whole_seconds};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::parts::draw::sequence::Detail;
use crate::pages::race::parts::presets::PathPreset;

const LANGUAGE: Language = Language::English;

pub(super) const TEXT: RaceText = RaceText {
    title: "Tailwater — five ways to follow one stream",
    name: "Race",
    stream_link: "Race it",
    skip: "Skip to the race",
    pause: "Pause",
    resume: "Resume",
    step: "Step forward",
    step_back: "Step back",
    export: "Export",
    export_json: "JSON",
    export_csv: "CSV",
    export_samples: "Last samples",
    not_in_link: "A link does not hold the samples, counts and requests for this file",
    copy_link: "Copy link to this result",
    saved: "saved",
    added_delay: "added delay",
    measure_here: "Measure it here",
    remove_saved: "Remove the saved result",
    broken_link: "The result in this link can't be read: the link is damaged, or it was made by another version of this page. What is shown is measured now.",
    headline,
    cost,
    announced: |state, headline| format!("{state}. {headline}"),
    phase,
    clock: |bound, probes| {
        format!(
            "clocks agree within {} ({})",
            within_ms(bound),
            plural(probes as u64, "probe", "probes")
        )
    },
    clock_unknown: "comparing the clocks…",
    measured_for: |run_s| format!("measured for {}", span_s(whole_seconds(run_s), LANGUAGE)),
    readers: |place| match place {
        ReaderPlace::OwnWorkers => "each lane is read in its own worker",
        ReaderPlace::OneWorker => {
            "all lanes are read in one worker, because there is one processor"
        }
        ReaderPlace::Page => {
            "no workers are available: lanes and drawings share one thread and delay each other"
        }
    },
    relay_counts: "bytes are counted at the server's socket; each lane has its own port, whose extra bytes are only in the table",
    lab_off: "the server's lab is off: lanes share the page's origin, and header bytes can't be counted",
    none_free: "the server has no free ports for the lanes: lanes share the page's origin, and header bytes can't be counted",
    ports_shut: "the lanes' own ports can't be reached: lanes share the page's origin, and header bytes can't be counted",
    hidden: |samples| {
        format!(
            "{} discarded: the tab was hidden, or the page could not run",
            plural(samples, "sample", "samples")
        )
    },
    behind_first: "these messages have no due time: lateness is counted from the arrival in the first lane",
    periodic: "events are periodic: the latency of polling depends on the random phase between its requests and the events",
    paused_note: "Paused. Measuring continues; figures and drawings are not updated.",
    from_tail: |skipped| {
        format!(
            "followed from the current tail; {} before it are not read",
            size(skipped, LANGUAGE)
        )
    },
    lanes: "Lanes",
    lane_switch: |name| format!("{name} lane"),
    median: "p50",
    median_hint: "Half of the events arrived within this time",
    p99: "p99",
    p99_hint: "99 of 100 events arrived within this time",
    events: "events",
    requests: "requests",
    empty: "empty",
    bytes: "bytes/event",
    body_bytes: "body bytes/event",
    lost: "lost",
    repeated: "repeated",
    request_every: |interval| format!("a request every {interval}"),
    against: |mean_ms, predicted_ms, allowed_ms| {
        let predicted = match allowed_ms {
            Some(allowed_ms) => format!("{} {}", ms(predicted_ms), within_ms(allowed_ms)),
            None => in_ms(predicted_ms, LANGUAGE),
        };
        format!("mean {}, predicted {predicted}", ms(mean_ms))
    },
    predicts: |predicted_ms| format!("predicted mean {}", in_ms(predicted_ms, LANGUAGE)),
    predicted: "predicted mean",
    no_prediction: "no prediction without due times",
    judged,
    needs,
    sequence: "Requests, responses and events",
    sequence_hint: |detail| match detail {
        Detail::Shapes => {
            "Time runs to the right. Grey lines up are requests, lines down are responses. Hollow shape: an event is due. Filled shape: it has arrived."
        }
        Detail::Wires => {
            "Many events: each is a line that ends at a small mark where it arrives. Area below the server's line: number of waiting events. Grey lines are requests."
        }
        Detail::Columns => {
            "Too many events to draw each. Area above the client's line: number of arrivals (logarithmic). Area below the server's line: number of waiting events."
        }
    },
    waterfall: "Requests over time",
    waterfall_hint: "Light: held open. Dark: bytes. Tick: a chunk. Shape: an event, if there is space. Hollow: an empty response.",
    distribution: "Latency distribution",
    distribution_hint: "Share of events that have arrived within a time. Solid: measured. Dashed: predicted.",
    powers: "Powers of ten",
    value_hint: "Point at the chart, or focus it and press ← or →, to read its values.",
    value_within: |latency| format!("within {latency}"),
    value_due: "due",
    value_received: "received",
    value_latency: "latency",
    value_sent: "sent",
    value_lasted: "lasted",
    value_measured: "measured",
    value_predicted: "predicted",
    server: "server",
    client: "client",
    stepped: |by| {
        format!(
            "stopped {} {} the pause",
            Unit::Second.of(&seconds(by.abs()), LANGUAGE),
            if by < 0.0 { "before" } else { "after" }
        )
    },
    as_table: "as a table",
    table_late: "Latency in milliseconds and counts of each lane",
    samples: "samples",
    mean: "mean",
    minimum: "minimum",
    maximum: "maximum",
    p90: "p90",
    request_heads: "request heads",
    response_heads: "response heads",
    framing: "framing",
    bodies: "bodies",
    own_port: "for its own port",
    connections: "connections open",
    client_time: "browser, mean",
    client_p99: "browser, p99",
    to_catch_up: "requests to catch up",
    since: "sent (s ago)",
    response: "response",
    open_requests: "The last requests of each lane",
    body_column: "body bytes",
    lasted: "lasted (ms)",
    still_open: "open",
    controls: "Controls",
    stream: "Stream",
    source_host: "This server's measurements",
    source_generator: "Generated events",
    source_named: "A named stream",
    stream_name: "Name of the stream",
    stream_name_hint: "logs/demo",
    follow: "Follow",
    generator: "Events",
    generator_hint: "Rate and size apply to generated events only, the pattern also to the measurements.",
    rate: "Rate",
    pattern: "Pattern",
    pattern_name: |pattern| match pattern {
        Pattern::Poisson => "Poisson",
        Pattern::Periodic => "periodic",
        Pattern::Burst => "bursts of 10",
    },
    size: "Size",
    timing: "Timing",
    interval: "Poll interval",
    hold: "Long-poll hold",
    hold_hint: "The longest time that the server delays a response while there is no event.",
    path: "Path to the server, total added delay",
    path_name: |path| match path {
        PathPreset::Machine => "this machine",
        PathPreset::City => "same city",
        PathPreset::Country => "neighbouring country",
        PathPreset::Continent => "other continent",
        PathPreset::Mobile => "mobile network (4G)",
    },
    path_own: "custom",
    delay_up: "Delay up",
    delay_down: "Delay down",
    delay_none: "No delay is added: this requires the lab's relays.",
    delay_hint: "The relay adds the delay, so that the lanes differ as on a real network.",
    window: "Window",
    reset: "Reset all",
    publish: "Publish",
    publish_hint: "Appends one message to this stream. On a JSON stream its latency is measured.",
    publish_placeholder: "Message",
    send: "Send",
    sent: "sent",
    refused: |why| format!("Not sent: {why}"),
    latest: "Latest message",
    nothing_yet: "none yet",
    waiting_title: "Waiting for new messages",
    waiting: |stream| {
        format!("Every lane is at the tail of {stream}. Append a message here or in a shell:")
    },
    missing_title: "The stream does not exist",
    missing: |stream| {
        format!(
            "{stream} does not exist on this server. The page follows it as soon as it exists. Create it here or in a shell:"
        )
    },
    create: "Create it",
    or_append: "then append to it:",
    no_source_title: "Which stream?",
    no_source: "The lab of this server is off, so it has no measurements and no generated events. Enter the name of a stream, or create one in a shell:",
    gone: "Is it running? The page tries again every two seconds. Start it with:",
    failed_title: "The stream can't be followed",
    help_title: "About this page",
    help_intro: "One stream is followed by five techniques at the same time. All receive the same events, at different latency and cost. There are three methods over HTTP: polling, long-polling, and streaming, which is NDJSON or SSE. A WebSocket replaces HTTP on its connection.",
    key_lanes: "switch a lane on or off",
    key_pause: "pause or resume",
    key_publish: "go to the publish box",
    key_step: "step forward while paused; with Shift, step back",
    key_filter: "go to the stream's name",
    measured_title: "What is measured",
    measured: &[
        "Latency is the time from the due time of an event at its source until the chunk that completed it reached the page's script. The two clocks are compared by probes; a note shows the error bound. The ± beside a median is its whole error: that of the clocks, of the number of samples, and of the browser.",
        "Bytes are application bytes at the server's socket: heads, framing and bodies in both directions, without TCP, IP and TLS.",
        "Due is the moment for which the source scheduled an event. The source may append it later, which delays all lanes equally.",
        "An empty response has no events: a poll gets one if nothing has happened since the previous poll, a long-poll when its hold ends. The hold is the longest time that the server delays the response to a long-poll.",
        "The re-arm gap of long-polling is the time from a response until the server has the next request. An event in this gap waits for that request, so long-polling becomes polling as the rate rises.",
        "p50 is the median: half of the events arrived within this time. Within p99, 99 of 100 arrived.",
        "A percentile is shown once two samples are above it: p50 from 4 samples, p99 from 200.",
        "The first second of a lane and the time in which the tab was hidden are not measured.",
        "If server and browser are on one machine, there is no network between them: add delay to see its effect.",
    ],
    advice: AdviceText {
        title: "Which technique should I use?",
        within: "95 % of the events within (ms)",
        clients: "clients",
        clients_send: "clients also send",
        sentence: advice,
        unknown: "Rate and transit times are not known yet.",
        table: "Cost of each technique for all clients, at the rate, size, transit times and poll interval of this race",
        latency: "p95 (ms)",
        requests: "requests/s",
        bytes: "MB/h",
        connections: "open connections",
        source: "bytes",
        measured: "measured here",
        computed: "computed",
    },
    foot: "Latency from the due time to the page's script. Bytes are application bytes at the server's socket.",
};

fn phase(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Off => "off",
        LanePhase::Connecting => "connecting",
        LanePhase::CatchingUp => "catching up",
        LanePhase::Live => "live",
        LanePhase::Retrying => "retrying",
        LanePhase::Ended => "ended",
        LanePhase::Failed => "failed",
    }
}
