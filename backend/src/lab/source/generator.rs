//! The generator: seeded events of a given size and rate, at due times that lateness does not
//! shift.

use super::schedule::Schedule;
use crate::lab::WrongField;
use std::fmt::Write;
use tailwater_protocol::lab::{EventStamps, GeneratorRequest, Pattern};

/// Allowed events per second.
const RATE: std::ops::RangeInclusive<f64> = 0.1..=2_000.0;
/// Allowed bytes per event; the minimum fits the stamps of a day at the maximum rate.
const SIZE: std::ops::RangeInclusive<usize> = 64..=65_536;
/// Maximum bytes per second of one generator.
const BYTES_PER_S_MAX: f64 = (16 << 20) as f64;

/// A running schedule, and the size of its events.
#[derive(Debug)]
pub(super) struct EventGenerator {
    schedule: Schedule,
    size: usize,
    began_us: u64,
}

/// Checks a request's ranges.
///
/// # Errors
/// [`WrongField`]: the field, its range and the value.
pub(super) fn check(request: &GeneratorRequest) -> Result<(), WrongField> {
    if !RATE.contains(&request.rate) {
        let allowed = format!("{} to {} events per second", RATE.start(), RATE.end());
        return Err(WrongField {
            field: "rate",
            allowed,
            received: request.rate.to_string(),
        });
    }
    if !SIZE.contains(&request.size) {
        let allowed = format!("{} to {} bytes", SIZE.start(), SIZE.end());
        return Err(WrongField {
            field: "size",
            allowed,
            received: request.size.to_string(),
        });
    }
    let bytes_per_s = request.rate * request.size as f64;
    if bytes_per_s > BYTES_PER_S_MAX {
        let allowed = format!("at most {BYTES_PER_S_MAX} bytes per second with `rate`");
        return Err(WrongField {
            field: "size",
            allowed,
            received: format!("{} × {}", request.size, request.rate),
        });
    }
    Ok(())
}

/// The stream's name: equal requests write to the same stream.
pub(super) fn stream_name(request: &GeneratorRequest) -> String {
    let pattern = match request.pattern {
        Pattern::Poisson => "poisson",
        Pattern::Periodic => "periodic",
        Pattern::Burst => "burst",
    };
    let parameters = format!(
        "{pattern} {} {} {}",
        request.rate, request.size, request.seed
    );
    format!("lab/generator-{:016x}", fnv_1a(parameters.as_bytes()))
}

/// Stable across versions and machines, unlike the standard library's hashes. Source: Fowler, Noll,
/// Vo.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl EventGenerator {
    /// - `now_us`: the start of the schedule, on the server's clock.
    pub(super) fn new(request: &GeneratorRequest, now_us: u64) -> Self {
        let schedule = Schedule::new(request.pattern, request.rate, request.seed);
        Self {
            schedule,
            size: request.size,
            began_us: now_us,
        }
    }

    /// When the next event is due, on the server's clock.
    pub(super) fn next_due_us(&self) -> u64 {
        self.began_us.saturating_add(self.schedule.next_us())
    }

    /// Writes the next event, of exactly the requested size unless its stamps are longer, and
    /// advances.
    pub(super) fn write(&mut self, seq: u64, sent_us: u64, out: &mut String) {
        write_event(
            EventStamps {
                seq,
                due_us: self.next_due_us(),
                sent_us,
            },
            self.size,
            out,
        );
        self.schedule.advance();
    }
}

/// `{"seq":0,"due_us":1,"sent_us":2,"pad":"xx"}`; if the pad does not fit, spaces before the last
/// brace.
fn write_event(
    EventStamps {
        seq,
        due_us,
        sent_us,
    }: EventStamps,
    size: usize,
    out: &mut String,
) {
    const PAD: &str = r#","pad":"""#;
    let start = out.len();
    // Writing to a string can't fail.
    let _ = write!(
        out,
        r#"{{"seq":{seq},"due_us":{due_us},"sent_us":{sent_us}"#
    );
    let left = (start + size).saturating_sub(out.len() + 1);
    if left >= PAD.len() {
        out.push_str(&PAD[..PAD.len() - 1]);
        out.extend(std::iter::repeat_n('x', left - PAD.len()));
        out.push('"');
    } else {
        out.extend(std::iter::repeat_n(' ', left));
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(rate: f64, size: usize) -> GeneratorRequest {
        GeneratorRequest {
            pattern: Pattern::Poisson,
            rate,
            size,
            seed: 1,
        }
    }

    #[test]
    fn every_event_is_json_of_exactly_the_size_asked_for() {
        for size in [64, 65, 70, 71, 72, 73, 100, 65_536] {
            for (seq, at_us) in [(0, 0), (12_345_678, 86_400_000_000)] {
                let mut out = String::from("before");
                let stamps = EventStamps {
                    seq,
                    due_us: at_us,
                    sent_us: at_us,
                };
                write_event(stamps, size, &mut out);
                let event = &out["before".len()..];
                assert_eq!(event.len(), size, "{event}");
                assert_eq!(serde_json::from_str::<EventStamps>(event).unwrap(), stamps);
            }
        }
    }

    #[test]
    fn stamps_are_never_truncated() {
        let (mut out, stamps) = (
            String::new(),
            EventStamps {
                seq: u64::MAX,
                due_us: u64::MAX,
                sent_us: u64::MAX,
            },
        );
        write_event(stamps, 64, &mut out);
        assert_eq!(serde_json::from_str::<EventStamps>(&out).unwrap(), stamps);
    }

    #[test]
    fn due_times_do_not_shift_when_writing_is_late() {
        let (mut prompt, mut late) = (
            EventGenerator::new(&request(100.0, 64), 5_000),
            EventGenerator::new(&request(100.0, 64), 5_000),
        );
        let (mut prompt_out, mut late_out) = (String::new(), String::new());
        for seq in 0..50 {
            let due_us = prompt.next_due_us();
            assert_eq!(late.next_due_us(), due_us);
            prompt.write(seq, due_us, &mut prompt_out);
            late.write(seq, due_us + 1_000_000, &mut late_out);
        }
    }

    #[test]
    fn an_error_names_the_allowed_range() {
        for (request, says) in [
            (
                request(0.05, 64),
                "`rate` is `0.05`, expected 0.1 to 2000 events per second",
            ),
            (
                request(f64::NAN, 64),
                "`rate` is `NaN`, expected 0.1 to 2000 events per second",
            ),
            (
                request(5.0, 63),
                "`size` is `63`, expected 64 to 65536 bytes",
            ),
            (
                request(2_000.0, 65_536),
                "`size` is `65536 × 2000`, expected at most 16777216 bytes per second with `rate`",
            ),
        ] {
            assert_eq!(check(&request).unwrap_err().to_string(), says);
        }
        assert!(check(&request(0.1, 64)).is_ok() && check(&request(2_000.0, 8_192)).is_ok());
    }

    #[test]
    fn equal_requests_share_a_stream_and_others_do_not() {
        assert_eq!(
            stream_name(&request(5.0, 64)),
            stream_name(&request(5.0, 64))
        );
        let others = [
            request(5.1, 64),
            request(5.0, 65),
            GeneratorRequest {
                seed: 2,
                ..request(5.0, 64)
            },
            GeneratorRequest {
                pattern: Pattern::Burst,
                ..request(5.0, 64)
            },
        ];
        for other in others {
            assert_ne!(
                stream_name(&other),
                stream_name(&request(5.0, 64)),
                "{other:?}"
            );
        }
        assert_eq!(fnv_1a(b"a"), 0xaf63_dc4c_8601_ec8c, "a published vector");
    }
}
