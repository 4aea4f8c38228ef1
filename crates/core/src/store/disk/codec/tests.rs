//! Tests of the codec: encoded values decode unchanged, and all other values are reported as damage.

use super::*;
use crate::model::Payload;
use std::time::{Duration, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::timestamp;

fn records(bodies: &[&'static str]) -> Vec<Record> {
    let mut at = Offset::new(77).unwrap();
    let record = |(number, body): (u64, &&'static str)| {
        let payload =
            Payload::parse(ContentKind::Json, Bytes::from_static(body.as_bytes())).unwrap();
        let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789 - number);
        let begins = at;
        at = at.advance(payload.len()).unwrap();
        Record {
            at: begins,
            time,
            payload,
        }
    };
    (0..).zip(bodies).map(record).collect()
}

#[test]
fn appends_decode_unchanged_and_any_flipped_bit_is_damage() {
    for bodies in [
        &["1"][..],
        &["[1,22,333]"],
        &["[\"x\"]"],
        &["1", "[22,3]", "4"],
    ] {
        let were = records(bodies);
        let key = data_key(StreamId(5), were[0].at);
        let value = seal_records(&key, &were);
        let are = open_records(&key, &Bytes::from(value.clone())).unwrap();
        let pages: Vec<_> = were.into_iter().map(SealedPage::of).collect();
        assert_eq!(
            Some(&are),
            SealedPage::join(pages.iter()).as_ref(),
            "{bodies:?}"
        );
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open_records(&key, &Bytes::from(flipped)).is_err(),
                "{bodies:?}, bit {bit}"
            );
        }
        assert!(
            open_records(&data_key(StreamId(6), are.at), &Bytes::from(value)).is_err(),
            "{bodies:?} elsewhere"
        );
    }
}

#[test]
fn streams_and_states_decode_unchanged() {
    let name = |text| StreamName::parse(text).unwrap();
    let offset = |bytes| Offset::new(bytes).unwrap();
    let fork = Fork {
        source: StreamId(9),
        source_name: name("a"),
        at: offset(300),
        sub: 4,
    };
    for config in [
        StreamConfig::new("application/json; charset=utf-8"),
        StreamConfig {
            expiry: Some(Expiry::Idle(Duration::from_millis(1500))),
            ..StreamConfig::new("")
        },
        StreamConfig {
            expiry: Some(Expiry::At(UNIX_EPOCH + Duration::from_millis(9))),
            ..StreamConfig::new("x")
        },
        StreamConfig {
            expiry: Expiry::at("x", timestamp::END - Duration::from_nanos(1)).ok(),
            ..StreamConfig::new("x")
        },
        StreamConfig {
            keep_bytes: Some(u64::MAX),
            keep_age: Some(Duration::MAX),
            ..StreamConfig::new("x")
        },
        StreamConfig {
            fork: Some(fork),
            ..StreamConfig::new("x")
        },
    ] {
        for generation in [0, 1, u32::MAX] {
            let was = StreamMetadata {
                name: name("a/b c/ö"),
                generation,
                config: config.clone(),
                created: UNIX_EPOCH,
            };
            let mut out = Vec::new();
            was.put(&mut out);
            assert_eq!(StreamMetadata::read(&out), Ok(was));
        }
    }
    let by = (
        ProducerId::parse("producer-id", "p").unwrap(),
        Accepted {
            epoch: (1 << 53) - 1,
            seq: 3,
        },
    );
    for closed in [None, Some(None), Some(Some(by))] {
        let was = StateMetadata {
            closed,
            hidden: true,
            earliest: offset(128),
        };
        let mut out = Vec::new();
        was.put(&mut out);
        assert_eq!(StateMetadata::read(&out), Ok(was));
    }
}

#[test]
fn keys_decode_and_sort_by_stream_and_position() {
    let offset = |bytes| Offset::new(bytes).unwrap();
    let key = data_key(StreamId(1), offset(256));
    assert_eq!(read_data_key(&key), Ok((StreamId(1), offset(256))));
    assert!(data_key(StreamId(1), offset(255)) < key && key < data_key(StreamId(2), Offset::ZERO));
    let producer = MetadataKind::Producer(ProducerId::parse("producer-id", "p/1").unwrap());
    for kind in [
        MetadataKind::Stream,
        MetadataKind::State,
        MetadataKind::Seq,
        producer,
        MetadataKind::Swept,
        MetadataKind::Gone,
    ] {
        assert_eq!(
            read_metadata_key(&metadata_key(StreamId(3), &kind)),
            Ok((StreamId(3), kind))
        );
    }
    for wrong in [
        &[][..],
        &[0; 8],
        &[0, 0, 0, 0, 0, 0, 0, 1, 3],
        &[0, 0, 0, 0, 0, 0, 0, 1, 9],
    ] {
        assert!(read_metadata_key(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn dates_stored_in_nanoseconds_can_be_read() {
    let moment = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let config = StreamConfig {
        expiry: Some(Expiry::At(moment)),
        ..StreamConfig::new("text/plain")
    };
    let was = StreamMetadata {
        name: StreamName::parse("a").unwrap(),
        generation: 0,
        config,
        created: UNIX_EPOCH,
    };
    let mut encoded = Vec::new();
    put_text(&mut encoded, "a");
    put_time(&mut encoded, UNIX_EPOCH);
    put_text(&mut encoded, "text/plain");
    encoded.push(2);
    put_time(&mut encoded, moment);
    encoded.extend([0, 0, 0]);
    assert_eq!(StreamMetadata::read(&encoded), Ok(was));
}
