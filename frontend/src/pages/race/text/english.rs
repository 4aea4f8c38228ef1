//! The English texts of the Race page.

use std::iter;

use tailwater_lab::{Advice, AdviceReason, Doubt, Finding, Verdict};
use tailwater_protocol::Technique;
use tailwater_protocol::lab::Pattern;

use super::{AdviceText, RaceText};
use crate::lanes::ReaderPlace;
use crate::language::Language;
use crate::numbers::{
    Unit, bound_ms, bytes, count, in_ms, ms, percent, plus_minus, seconds, size, span_ms,
};
use crate::pages::race::model::headline::{Cost, Headline, LaneGroup, Ranking};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::Measure;
use crate::pages::race::parts::draw::sequence::Detail;
use crate::pages::race::parts::presets::PathPreset;
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
    clock: |bound, probes| {
        format!(
            "clocks agree within {} ({})",
            within_ms(bound),
            plural(probes as u64, "probe", "probes")
        )
    },
    clock_unknown: "comparing the clocks…",
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
    source_host: "This server's pulse",
    source_generator: "Generated events",
    source_named: "A named stream",
    stream_name: "Name of the stream",
    stream_name_hint: "logs/demo",
    follow: "Follow",
    generator: "Events",
    generator_hint: "Rate and size apply to generated events only, the pattern also to the pulse.",
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
    no_source: "The lab of this server is off, so it has no pulse and no generated events. Enter the name of a stream, or create one in a shell:",
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
                "The stream is closed; every lane has read all of it, {}.",
                plural(*events, "message", "messages")
            )
        }
        Headline::Waiting { lanes, before: 0 } => {
            format!("{} waiting; no message has arrived yet.", lanes_are(*lanes))
        }
        Headline::Waiting { lanes, before } => {
            format!(
                "{} caught up on {} and listening.",
                lanes_are(*lanes),
                plural(*before, "message", "messages")
            )
        }
        Headline::First { lanes, events } => {
            format!(
                "The first {} arriving in {lanes} {}; measuring…",
                plural(*events, "event is", "events are"),
                if *lanes == 1 { "lane" } else { "lanes" }
            )
        }
        Headline::Unfinished { bytes } => format!(
            "{} of a line received, but not its end. Messages of text and binary streams are counted by lines.",
            plural(*bytes as u64, "byte", "bytes")
        ),
        Headline::Broken {
            technique,
            lost,
            fell_behind: true,
            ..
        } => format!(
            "{} read too slowly: the server had already removed {}.",
            capital(look(*technique).name_in_sentence.english),
            plural(*lost, "event", "events")
        ),
        Headline::Broken {
            technique,
            lost,
            repeated,
            fell_behind: false,
        } => format!(
            "{} has lost {} and repeated {}. This must not happen.",
            capital(look(*technique).name_in_sentence.english),
            plural(*lost, "event", "events"),
            count(*repeated)
        ),
        Headline::Ranking(ranking) => sentence(ranking),
    }
}

fn sentence(ranking: &Ranking) -> String {
    let Ranking {
        failed, unmeasured, ..
    } = ranking;
    let failures = if failed.is_empty() {
        String::new()
    } else {
        format!("{} failed. ", capital(&names(failed)))
    };
    let rest = if unmeasured.is_empty() {
        String::new()
    } else {
        format!("; no figures yet for {}", names(unmeasured))
    };
    let end = if failed.is_empty() {
        "Nothing lost, nothing repeated."
    } else {
        "Nothing lost, nothing repeated in these."
    };
    let ranking = capital(&steps(ranking));
    format!("{failures}{ranking}{rest}. {end}")
}

/// One figure, or the two ends of a range if they are written differently.
fn range_ms(group: &LaneGroup) -> String {
    let (from, to) = (ms(group.from_ms), ms(group.to_ms));
    let to = Unit::Millisecond.of(&to, LANGUAGE);
    if to == Unit::Millisecond.of(&from, LANGUAGE) {
        to
    } else {
        format!("{from} to {to}")
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

fn steps(ranking: &Ranking) -> String {
    let Ranking {
        measure,
        lane_groups,
        interval_ms,
        ..
    } = ranking;
    let step = |(index, group): (usize, &LaneGroup)| {
        let mut lanes = names(&group.techniques);
        if group.techniques == [Technique::Poll] {
            lanes.push_str(&format!(" every {}", span_ms(*interval_ms, LANGUAGE)));
        }
        match (index, *measure) {
            (0, Measure::FromDue) => {
                let verb = if group.techniques.len() == 1 {
                    "shows"
                } else {
                    "show"
                };
                format!(
                    "{lanes} {verb} an event {} after it was due",
                    range_ms(group)
                )
            }
            (0, Measure::BehindFirst) if lane_groups.len() == 1 => {
                format!(
                    "{lanes} show a message within {} of each other",
                    in_ms(group.to_ms.max(0.1), LANGUAGE)
                )
            }
            (0, Measure::BehindFirst) => {
                format!(
                    "{lanes} {} first",
                    if group.techniques.len() == 1 {
                        "is"
                    } else {
                        "are"
                    }
                )
            }
            (_, Measure::FromDue) => format!("{lanes} {}", range_ms(group)),
            (_, Measure::BehindFirst) => format!("{lanes} {} later", range_ms(group)),
        }
    };
    let steps: Vec<String> = lane_groups.iter().enumerate().map(step).collect();
    steps.join(", ")
}

fn advice(advice: &Advice) -> String {
    let name = capital(look(advice.technique).name_in_sentence.english);
    let reason = match advice.reason {
        AdviceReason::PollingSuffices => {
            "it meets the limit, needs no open connection, and costs at most twice the bytes of any other"
        }
        AdviceReason::ClientsSend => {
            "it meets the limit, and clients send messages as frames instead of requests"
        }
        AdviceReason::Cheapest => "it meets the limit at the lowest cost or close to it",
        AdviceReason::Fastest => {
            "no technique meets the limit at this distance; this is the fastest"
        }
    };
    let interval = advice.interval_max.as_secs_f64() * 1_000.0;
    let change = if interval >= 1.0 {
        format!(
            "Polling meets the limit up to an interval of {}.",
            span_ms(interval.floor(), LANGUAGE)
        )
    } else {
        "Polling never meets the limit.".to_owned()
    };
    format!("{name}: {reason}. {change}")
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
        Doubt::ClientBusy { client_ms } if client_ms < Doubt::BUSY_MS => format!(
            "too close to tell: the browser itself takes up to {}",
            in_ms(client_ms, LANGUAGE)
        ),
        Doubt::ClientBusy { client_ms } => {
            format!("the browser was busy (p99 {})", in_ms(client_ms, LANGUAGE))
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
