//! Removes parts of a sequence as long as the responses still differ.

use super::compare::{Difference, ServerPair, difference};
use super::script::{RequestSequence, ScriptRequest, ScriptStep};
use super::settings::DifferentialSettings;
use std::time::Duration;

/// Limit of the runs for shrinking one sequence.
const RUNS_MAX: usize = 100;

/// Shorter than in the first run, as shrinking waits for missing responses again and again.
const DEADLINE: Duration = Duration::from_secs(2);

/// The smaller sequence and its difference; `None` if the responses do not differ a second time.
pub(crate) async fn shrink(
    settings: &DifferentialSettings,
    servers: &ServerPair,
    sequence: &RequestSequence,
) -> Option<(RequestSequence, Difference)> {
    let settings = &DifferentialSettings {
        deadline: DEADLINE,
        ..settings.clone()
    };
    let mut best = sequence.clone();
    let mut told = differs(settings, servers, &best).await?;
    let (mut at, mut tried) = (0, 0);
    // After one round without success it is minimal.
    for _ in 0..RUNS_MAX {
        let Some(smaller) = without(&best, at) else {
            if tried == 0 {
                break;
            }
            (at, tried) = (0, 0);
            continue;
        };
        match differs(settings, servers, &smaller)
            .await
            .filter(|it| it.kind == told.kind)
        {
            Some(difference) => (best, told, tried) = (smaller, difference, tried + 1),
            None => at += 1,
        }
    }
    Some((best, told))
}

async fn differs(
    settings: &DifferentialSettings,
    servers: &ServerPair,
    sequence: &RequestSequence,
) -> Option<Difference> {
    let [left, right] = servers.run(settings, sequence).await;
    difference(&left, &right)
}

/// `sequence` without its part number `at`: a step, or a part of a step.
fn without(sequence: &RequestSequence, at: usize) -> Option<RequestSequence> {
    let mut at = at;
    if at < sequence.steps.len() {
        let mut smaller = sequence.clone();
        smaller.steps.remove(at);
        return Some(smaller);
    }
    at -= sequence.steps.len();
    for (place, step) in sequence.steps.iter().enumerate() {
        let parts = parts(step);
        if let Some(part) = parts.into_iter().nth(at) {
            let mut smaller = sequence.clone();
            smaller.steps[place] = part;
            return Some(smaller);
        }
        at -= self::parts(step).len();
    }
    None
}

/// Variants of the step, each without one of its parts.
fn parts(step: &ScriptStep) -> Vec<ScriptStep> {
    match step {
        ScriptStep::Send {
            connection,
            requests,
            cuts,
            finish,
        } => smaller_sends(*connection, requests, cuts, *finish),
        ScriptStep::Follow {
            readers,
            changes,
            beyond,
        } => smaller_follows(readers, changes, beyond),
        ScriptStep::WebSocket {
            connection,
            request,
            frames,
        } => {
            // The last frame closes the connection.
            (1..frames.len())
                .map(|at| ScriptStep::WebSocket {
                    connection: *connection,
                    request: request.clone(),
                    frames: dropped(frames, at - 1),
                })
                .collect()
        }
        ScriptStep::Finish { .. } | ScriptStep::Drop { .. } => Vec::new(),
    }
}

fn smaller_sends(
    connection: usize,
    requests: &[ScriptRequest],
    cuts: &[usize],
    finish: bool,
) -> Vec<ScriptStep> {
    let mut smaller = Vec::new();
    let with = |requests, cuts, finish| ScriptStep::Send {
        connection,
        requests,
        cuts,
        finish,
    };
    if requests.len() > 1 {
        smaller.extend(
            (0..requests.len()).map(|at| with(dropped(requests, at), cuts.to_vec(), finish)),
        );
    }
    smaller.extend((0..cuts.len()).map(|at| with(requests.to_vec(), dropped(cuts, at), finish)));
    if finish {
        smaller.push(with(requests.to_vec(), cuts.to_vec(), false));
    }
    for (place, request) in requests.iter().enumerate() {
        for at in removable(request) {
            let mut fewer = requests.to_vec();
            fewer[place].fields.remove(at);
            smaller.push(with(fewer, cuts.to_vec(), finish));
        }
    }
    smaller
}

fn smaller_follows(
    readers: &[(usize, ScriptRequest)],
    changes: &[ScriptRequest],
    beyond: &[ScriptRequest],
) -> Vec<ScriptStep> {
    let mut smaller = Vec::new();
    let with = |readers, changes, beyond| ScriptStep::Follow {
        readers,
        changes,
        beyond,
    };
    if readers.len() > 1 {
        smaller.extend(
            (0..readers.len())
                .map(|at| with(dropped(readers, at), changes.to_vec(), beyond.to_vec())),
        );
    }
    // The last request ends the live responses.
    smaller.extend(
        (1..changes.len())
            .map(|at| with(readers.to_vec(), dropped(changes, at - 1), beyond.to_vec())),
    );
    smaller.extend(
        (0..beyond.len()).map(|at| with(readers.to_vec(), changes.to_vec(), dropped(beyond, at))),
    );
    for (place, (_, request)) in readers.iter().enumerate() {
        for at in removable(request) {
            let mut fewer = readers.to_vec();
            fewer[place].1.fields.remove(at);
            smaller.push(with(fewer, changes.to_vec(), beyond.to_vec()));
        }
    }
    smaller
}

/// Fields without which the request still ends at the same byte.
fn removable(request: &ScriptRequest) -> Vec<usize> {
    let frames = |field: &[u8]| {
        field.starts_with(b"Content-Length") || field.starts_with(b"Transfer-Encoding")
    };
    (0..request.fields.len())
        .filter(|at| !frames(&request.fields[*at]))
        .collect()
}

fn dropped<T: Clone>(items: &[T], at: usize) -> Vec<T> {
    let mut items = items.to_vec();
    items.remove(at);
    items
}
