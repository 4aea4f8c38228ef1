//! Random operations on streams, and how they are generated.

use proptest::prelude::*;
use tailwater_protocol::headers::ContentKind;

/// One operation; names are small numbers.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create {
        name: u8,
        kind: ContentKind,
        first: Option<AppendBody>,
        closed: bool,
    },
    Append {
        name: u8,
        sent: Sent,
    },
    Read {
        name: u8,
        from: usize,
        max: usize,
    },
    Delete {
        name: u8,
    },
    Fork {
        name: u8,
        source: u8,
        at: usize,
        first: Option<AppendBody>,
    },
    Reopen,
}

/// An append.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) body: Option<AppendBody>,
    pub(crate) closes: bool,
    /// Producer id, epoch and sequence number.
    pub(crate) producer: Option<(u8, (u64, u64))>,
    pub(crate) seq: Option<String>,
    /// The expected tail, as the number of bytes before the real one.
    pub(crate) only_at: Option<u8>,
}

/// Lengths of a body's messages; a text body has one.
#[derive(Debug, Clone)]
pub(crate) struct AppendBody(pub(crate) Vec<usize>);

impl AppendBody {
    /// The body as it is sent to a stream of this kind.
    pub(crate) fn sent(&self, kind: ContentKind) -> String {
        match kind {
            ContentKind::Json => format!("[{}]", self.texts().join(",")),
            ContentKind::Text | ContentKind::Binary => self.texts().concat(),
        }
    }

    /// The messages as a stream of this kind stores them.
    pub(crate) fn messages(&self, kind: ContentKind) -> Vec<Vec<u8>> {
        match kind {
            ContentKind::Json => self
                .texts()
                .into_iter()
                .map(|text| (text + ",").into_bytes())
                .collect(),
            ContentKind::Text | ContentKind::Binary => vec![self.texts().concat().into_bytes()],
        }
    }

    fn texts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|length| {
                format!(
                    "\"{}\"",
                    "abcdefghij".repeat(length / 10 + 1).split_at(*length).0
                )
            })
            .collect()
    }
}

fn name() -> impl Strategy<Value = u8> {
    0..4_u8
}

fn body() -> impl Strategy<Value = AppendBody> {
    let length = prop_oneof![8 => 0..40_usize, 1 => 1_000..20_000_usize];
    prop::collection::vec(length, 1..4).prop_map(AppendBody)
}

fn kind() -> impl Strategy<Value = ContentKind> {
    prop_oneof![Just(ContentKind::Json), Just(ContentKind::Text)]
}

/// Positions: boundaries, positions inside messages, and one beyond every tail; see `Simple::aim`.
fn position() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..200_usize, 1 => Just(500_001_usize)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let producer = prop::option::weighted(0.7, (0..2_u8, (0..8_u64, 0..6_u64)));
    let seq = prop::option::weighted(0.2, "[a-c]{1,2}");
    let only_at = prop::option::weighted(0.2, prop_oneof![3 => Just(0_u8), 1 => Just(1_u8)]);
    let closes = prop::bool::weighted(0.02);
    (
        prop::option::weighted(0.98, body()),
        closes,
        producer,
        seq,
        only_at,
    )
        .prop_map(|(body, closes, producer, seq, only_at)| {
            let closes = closes || body.is_none();
            Sent {
                body,
                closes,
                producer,
                seq,
                only_at,
            }
        })
}

/// Two streams of either kind, then random operations.
pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let create = |name| {
        (kind(), body()).prop_map(move |(kind, body)| Op::Create {
            name,
            kind,
            first: Some(body),
            closed: false,
        })
    };
    (create(0), create(1), prop::collection::vec(op(), 1..160)).prop_map(|(one, two, mut ops)| {
        ops.splice(0..0, [one, two]);
        ops
    })
}

/// A random operation.
fn op() -> impl Strategy<Value = Op> {
    let first = || prop::option::weighted(0.4, body());
    let create = (name(), kind(), first(), prop::bool::weighted(0.1));
    prop_oneof![
        4 => create.prop_map(|(name, kind, first, closed)| Op::Create { name, kind, first, closed }),
        20 => (name(), sent()).prop_map(|(name, sent)| Op::Append { name, sent }),
        8 => (name(), position(), 1..400_usize).prop_map(|(name, from, max)| Op::Read { name, from, max }),
        3 => name().prop_map(|name| Op::Delete { name }),
        5 => (name(), name(), position(), first())
            .prop_map(|(name, source, at, first)| Op::Fork { name, source, at, first }),
        1 => Just(Op::Reopen),
    ]
}
