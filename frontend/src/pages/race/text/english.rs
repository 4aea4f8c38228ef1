//! The English texts of the Race page.

use std::iter;

use tailwater_lab::{Doubt, Finding, Verdict};
use tailwater_protocol::Technique;
use tailwater_protocol::lab::Pattern;

use super::RaceText;
use crate::language::Language;
use crate::numbers::{
    Unit, bound_ms, bytes, count, in_ms, ms, percent, plus_minus, seconds, size, span_ms,
};
use crate::pages::race::model::headline::{Cost, Headline, LaneGroup};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::Measure;
use crate::techniques::look;

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
    export_samples: "Samples",
    headline,
    cost,
    announced: |state, headline| format!("{state}. {headline}"),
    phase,
    clock: |bound, probes| format!("clocks agree within {} ({probes} probes)", within_ms(bound)),
    clock_unknown: "comparing the clocks…",
    relay_counts: "bytes counted at the server's socket, each lane on a port of its own",
    lab_off: "the server's lab is off: lanes share the page's origin, and header bytes can't be counted",
    none_free: "the server has no free ports for the lanes: lanes share the page's origin, and header bytes can't be counted",
    ports_shut: "the lanes' own ports can't be reached from here: lanes share the page's origin, and header bytes can't be counted",
    hidden: |samples| {
        format!(
            "{} samples discarded: the tab was hidden, or the page could not run",
            count(samples)
        )
    },
    behind_first: "these messages have no due time: lateness is counted from the arrival in the first lane",
    paused_note: "Paused. Measuring continues; figures and drawings are not updated.",
    server_gone: "The server does not answer. The page keeps trying and goes on by itself.",
    from_tail: |skipped| {
        format!(
            "followed from the current tail; {} before it are not read",
            size(skipped, LANGUAGE)
        )
    },
    lanes: "Lanes",
    lane_switch: |name| format!("{name} lane"),
    median: "p50",
    p99: "p99",
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
    sequence_hint: "Time runs to the right. Grey lines up are requests, lines down are responses. Hollow shape: an event is due. Filled shape: it has arrived.",
    waterfall: "Requests over time",
    waterfall_hint: "Light: held open. Dark: bytes. Tick: a chunk. Shape: an event.",
    distribution: "Latency distribution",
    distribution_hint: "Share of events that have arrived within a time. Solid: measured. Dashed: predicted.",
    powers: "Powers of ten",
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
    connections: "connections",
    since: "sent (s ago)",
    response: "response",
    open_requests: "The last requests of each lane",
    body_column: "body bytes",
    lasted: "lasted (ms)",
    still_open: "open",
    controls: "Controls",
    stream: "Stream",
    source_host: "This server's pulse",
    source_generator: "Generated events",
    source_named: "A named stream",
    stream_name: "Name of the stream",
    stream_name_hint: "logs/demo",
    follow: "Follow",
    generator: "Generated events",
    generator_hint: "Rate, pattern and size belong to generated events.",
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
    delay_up: "Delay up",
    delay_down: "Delay down",
    delay_hint: "Delay is added by the relay, so that the lanes differ as on a real network.",
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
    no_source: "The lab of this server is off, so it has no pulse and no generated events. Enter the name of a stream, or create one in a shell:",
    gone_title: "The server does not answer",
    gone: "Is it running? The page tries again every two seconds. Start it with:",
    failed_title: "The stream can't be followed",
    help_title: "About this page",
    help_intro: "One stream is followed by five techniques at the same time. All receive the same events, at different latency and cost.",
    key_lanes: "switch a lane on or off",
    key_pause: "pause or resume",
    key_publish: "go to the publish box",
    key_step: "step forward while paused; with Shift, step back",
    key_filter: "go to the stream's name",
    measured_title: "What is measured",
    measured: &[
        "Latency is the time from the due time of an event at its source until the chunk that completed it reached the page's script. The two clocks are compared by probes; the error bound is shown.",
        "Bytes are application bytes at the server's socket: heads, framing and bodies in both directions, without TCP, IP and TLS.",
        "A percentile is shown once two samples are above it: p50 from 4 samples, p99 from 200.",
        "The first second of a lane and the time in which the tab was hidden are not measured.",
        "If server and browser are on one machine, there is no network between them: add delay to see its effect.",
    ],
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

/// An error bound: `± 0.06 ms`.
fn within_ms(bound: f64) -> String {
    Unit::Millisecond.of(&plus_minus(&bound_ms(bound), LANGUAGE), LANGUAGE)
}

/// Names as a list in a sentence: `NDJSON, SSE and WebSocket`.
fn names(techniques: &[Technique]) -> String {
    let names: Vec<&str> = techniques
        .iter()
        .map(|technique| look(*technique).name_in_sentence.english)
        .collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| {
            iter::once(first.to_ascii_uppercase())
                .chain(letters)
                .collect()
        })
        .unwrap_or_default()
}

fn headline(headline: &Headline) -> String {
    match headline {
        Headline::Connecting => "Setting up the lanes…".to_owned(),
        Headline::NoLanes => "No lane is on. Switch one on to start.".to_owned(),
        Headline::Missing(stream) => format!("The stream {stream} does not exist."),
        Headline::NoSource => {
            "This server has no source of events: enter the name of a stream.".to_owned()
        }
        Headline::Unreachable => "The server does not respond.".to_owned(),
        Headline::Failed(why) => format!("The stream can't be followed: {why}."),
        Headline::Closed { events } => {
            format!(
                "The stream is closed; every lane has read all {} messages.",
                count(*events)
            )
        }
        Headline::Waiting { lanes, before: 0 } => {
            format!("{} waiting; no message has arrived yet.", lanes_are(*lanes))
        }
        Headline::Waiting { lanes, before } => {
            format!(
                "{} caught up on {} messages and listening.",
                lanes_are(*lanes),
                count(*before)
            )
        }
        Headline::First { lanes, events } => {
            format!(
                "The first {} arriving in {lanes} {}; measuring…",
                plural(*events, "event is", "events are"),
                if *lanes == 1 { "lane" } else { "lanes" }
            )
        }
        Headline::Broken {
            technique,
            lost,
            repeated,
        } => format!(
            "{} has lost {} and repeated {}. This must not happen.",
            capital(look(*technique).name_in_sentence.english),
            plural(*lost, "event", "events"),
            count(*repeated)
        ),
        Headline::Ranking {
            measure,
            lane_groups,
            interval_ms,
        } => ranking(*measure, lane_groups, *interval_ms),
    }
}

fn lanes_are(lanes: usize) -> String {
    if lanes == 1 {
        "One lane is".to_owned()
    } else {
        format!("All {lanes} lanes are")
    }
}

fn plural(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("{number} {one}")
    } else {
        format!("{} {many}", count(number))
    }
}

fn ranking(measure: Measure, lane_groups: &[LaneGroup], interval_ms: f64) -> String {
    let step = |(index, group): (usize, &LaneGroup)| {
        let mut who = names(&group.techniques);
        if group.techniques == [Technique::Poll] {
            who.push_str(&format!(" every {}", span_ms(interval_ms, LANGUAGE)));
        }
        match (index, measure) {
            (0, Measure::FromDue) => {
                let verb = if group.techniques.len() == 1 {
                    "shows"
                } else {
                    "show"
                };
                format!(
                    "{who} {verb} an event {} after it was due",
                    in_ms(group.late_ms, LANGUAGE)
                )
            }
            (0, Measure::BehindFirst) if lane_groups.len() == 1 => {
                format!(
                    "{who} show a message within {} of each other",
                    in_ms(group.late_ms.max(0.1), LANGUAGE)
                )
            }
            (0, Measure::BehindFirst) => {
                format!(
                    "{who} {} first",
                    if group.techniques.len() == 1 {
                        "is"
                    } else {
                        "are"
                    }
                )
            }
            (_, Measure::FromDue) => format!("{who} {}", in_ms(group.late_ms, LANGUAGE)),
            (_, Measure::BehindFirst) => format!("{who} {} later", in_ms(group.late_ms, LANGUAGE)),
        }
    };
    let steps: Vec<String> = lane_groups.iter().enumerate().map(step).collect();
    format!(
        "{}. Nothing lost, nothing repeated.",
        capital(&steps.join(", "))
    )
}

fn cost(cost: &Cost) -> String {
    let name = |technique: Technique| look(technique).name_in_sentence.english;
    let mut text = format!(
        "{} costs {} bytes per event, {} {}",
        capital(name(cost.least.0)),
        bytes(cost.least.1),
        name(cost.most.0),
        bytes(cost.most.1)
    );
    if let Some(share) = cost.empty_polls.filter(|share| *share >= 0.005) {
        text.push_str(&format!(
            "; {} of the polls had an empty response",
            percent(share, LANGUAGE)
        ));
    }
    text.push('.');
    text
}

fn judged(verdict: Verdict) -> &'static str {
    match verdict.finding {
        Finding::Confirmed => "confirmed",
        Finding::Refuted => "refuted",
        Finding::Inconclusive { .. } => "not yet clear",
    }
}

fn needs(doubt: Doubt) -> String {
    match doubt {
        Doubt::TooFew {
            more_s: Some(more_s),
        } => format!("about {} s more are needed", count(whole_s(more_s))),
        Doubt::TooFew { more_s: None } => "more events are needed".to_owned(),
        Doubt::Hidden => "the tab was hidden".to_owned(),
        Doubt::ClockStepped => "a clock was changed, or the machine slept".to_owned(),
        Doubt::ClockUnsure { bound_ms: bound } => {
            format!("the clocks are only known to {}", within_ms(bound))
        }
        Doubt::BeforeItsTime { .. } => {
            "an event arrived before its due time: the clocks are wrong".to_owned()
        }
        Doubt::SourceLate { late_ms } => {
            format!("the source was {} late", in_ms(late_ms, LANGUAGE))
        }
    }
}

/// Seconds as a whole number.
pub(super) fn whole_s(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below zero, saturating"
    )]
    let whole = seconds.max(0.0).ceil() as u64;
    whole
}
