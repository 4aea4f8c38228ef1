//! A subscription as stored: one JSON document, `subscription/ID`.
//!
//! It excludes streams' tails and a delivery in progress: both are determined again at opening.

use super::definition::{Definition, Delivery};
use super::glob::Glob;
use super::state::{Lease, Link, Moment, Retry, SubscriptionState, Wake, WakeStage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tailwater_core::StreamId;
use tailwater_core::StreamName;
use tailwater_protocol::{Offset, document};

/// The version that this server writes and reads.
const VERSION: u32 = 1;

/// What is stored of a subscription besides its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// What it was asked to be.
    pub definition: Definition,
    /// When it was created.
    pub created: Moment,
    /// The server's URL according to its creator: `http://host:port`.
    pub base: String,
}

#[derive(Serialize, Deserialize)]
struct StoredSubscription {
    version: u32,
    r#type: String,
    target: String,
    pattern: Option<String>,
    streams: Vec<String>,
    lease_ttl_ms: u64,
    description: Option<String>,
    hash: String,
    created_ms: u64,
    base: String,
    generation: u64,
    links: BTreeMap<String, LinkNote>,
    wake: Option<WakeNote>,
    retry: Option<RetryNote>,
    #[serde(default, skip_serializing_if = "is_false")]
    paused: bool,
}

#[derive(Serialize, Deserialize)]
struct LinkNote {
    #[serde(default, skip_serializing_if = "is_false")]
    explicit: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    glob: bool,
    stream: Option<u64>,
    #[serde(default, rename = "life", skip_serializing_if = "is_first")]
    stream_generation: u32,
    acked: u64,
}

#[derive(Serialize, Deserialize)]
struct WakeNote {
    id: String,
    stream: String,
    #[serde(rename = "told")]
    delivered: bool,
    lease: Option<LeaseNote>,
}

#[derive(Serialize, Deserialize)]
struct LeaseNote {
    holder: Option<String>,
    until_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct RetryNote {
    failures: u32,
    next_attempt_at_ms: u64,
    reason: String,
}

/// Why a note can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoteError(String);

/// Serializes a subscription.
pub fn write(record: &SubscriptionRecord, state: &SubscriptionState) -> Vec<u8> {
    let definition = &record.definition;
    let (kind, target) = match &definition.delivery {
        Delivery::Webhook(url) => ("webhook", url.clone()),
        Delivery::PullWake(stream) => ("pull-wake", stream.to_string()),
    };
    let link = |link: &Link| LinkNote {
        explicit: link.explicit,
        glob: link.glob,
        stream: link.stream.map(|stream| stream.0),
        stream_generation: link.stream_generation,
        acked: link.acked.bytes(),
    };
    let note = StoredSubscription {
        version: VERSION,
        r#type: kind.to_owned(),
        target,
        pattern: definition.pattern.as_ref().map(ToString::to_string),
        streams: definition.streams.iter().map(ToString::to_string).collect(),
        lease_ttl_ms: definition.lease_ttl_ms(),
        description: definition.description.clone(),
        hash: definition.hash(),
        created_ms: record.created.0,
        base: record.base.clone(),
        generation: state.generation,
        links: state
            .links
            .iter()
            .map(|(name, it)| (name.to_string(), link(it)))
            .collect(),
        wake: state.wake.as_ref().map(|wake| WakeNote {
            id: wake.id.clone(),
            stream: wake.stream.to_string(),
            delivered: wake.step == WakeStage::Delivered,
            lease: wake.lease.as_ref().map(|lease| LeaseNote {
                holder: lease.holder.clone(),
                until_ms: lease.until.0,
            }),
        }),
        retry: state.retry.as_ref().map(|retry| RetryNote {
            failures: retry.failures,
            next_attempt_at_ms: retry.at.0,
            reason: retry.reason.clone(),
        }),
        paused: state.is_paused,
    };
    // Strings, numbers and maps with text keys can always be serialized.
    serde_json::to_vec(&note).unwrap_or_default()
}

/// Parses a subscription.
///
/// # Errors
/// [`NoteError`] when the document is invalid or of another version.
pub fn read(bytes: &[u8]) -> Result<(SubscriptionRecord, SubscriptionState), NoteError> {
    let fault = |error: &dyn std::fmt::Display| NoteError(error.to_string());
    let note: StoredSubscription = document::read(bytes).map_err(|error| fault(&error))?;
    if note.version != VERSION {
        return Err(NoteError(format!(
            "it has version {}, this server reads {VERSION}",
            note.version
        )));
    }
    let name = |text: &str| StreamName::parse(text).map_err(|error| fault(&error));
    let delivery = match note.r#type.as_str() {
        "webhook" => Delivery::Webhook(note.target),
        "pull-wake" => Delivery::PullWake(name(&note.target)?),
        other => {
            return Err(NoteError(format!(
                "its type is `{other}`: expected webhook or pull-wake"
            )));
        }
    };
    let definition = Definition {
        delivery,
        pattern: note
            .pattern
            .as_deref()
            .map(Glob::parse)
            .transpose()
            .map_err(|error| fault(&error))?,
        streams: note
            .streams
            .iter()
            .map(|text| name(text))
            .collect::<Result<_, _>>()?,
        lease_ttl: Duration::from_millis(note.lease_ttl_ms),
        description: note.description,
    };
    if definition.hash() != note.hash {
        return Err(NoteError(
            "its configuration does not match the stored hash".to_owned(),
        ));
    }
    let mut state = SubscriptionState::new(definition.way(), definition.lease_ttl);
    (state.generation, state.is_paused) = (note.generation, note.paused);
    for (text, link) in note.links {
        let link = restore_link(&link)?;
        state.links.insert(name(&text)?, link);
    }
    state.wake = note
        .wake
        .map(|wake| restore_wake(wake, &name))
        .transpose()?;
    state.retry = note.retry.map(|retry| Retry {
        failures: retry.failures,
        at: Moment(retry.next_attempt_at_ms),
        reason: retry.reason,
    });
    Ok((
        SubscriptionRecord {
            definition,
            created: Moment(note.created_ms),
            base: note.base,
        },
        state,
    ))
}

fn restore_link(link: &LinkNote) -> Result<Link, NoteError> {
    let acked = Offset::new(link.acked)
        .ok_or_else(|| NoteError(format!("{} is not a valid offset", link.acked)))?;
    let LinkNote {
        explicit,
        glob,
        stream,
        stream_generation,
        ..
    } = *link;
    Ok(Link {
        explicit,
        glob,
        stream: stream.map(StreamId),
        stream_generation,
        acked,
        tail: acked,
    })
}

fn restore_wake(
    wake: WakeNote,
    name: &dyn Fn(&str) -> Result<StreamName, NoteError>,
) -> Result<Wake, NoteError> {
    Ok(Wake {
        id: wake.id,
        stream: name(&wake.stream)?,
        lease: wake.lease.map(|lease| Lease {
            holder: lease.holder,
            until: Moment(lease.until_ms),
        }),
        step: if wake.delivered {
            WakeStage::Delivered
        } else {
            WakeStage::Due
        },
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(generation: &u32) -> bool {
    *generation == 0
}
