//! The tail pages against a plain list of messages.

use super::*;
use crate::model::Payload;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::time::{Duration, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;

/// One step of the random check; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Push { messages: Vec<usize> },
    Trim { message: usize },
    ForgetPage { message: usize },
    Read { from: usize, max: usize },
    Cut { at: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![6 => 1_usize..200, 3 => 1_usize..30_000, 1 => 30_000_usize..1_200_000];
    let step = prop_oneof![
        8 => prop::collection::vec(length, 1..4).prop_map(|messages| Step::Push { messages }),
        1 => any::<usize>().prop_map(|message| Step::Trim { message }),
        1 => any::<usize>().prop_map(|message| Step::ForgetPage { message }),
        5 => (any::<usize>(), prop_oneof![1_usize..2_000_000, Just(1)]).prop_map(|(from, max)| Step::Read { from, max }),
        2 => any::<usize>().prop_map(|at| Step::Cut { at }),
    ];
    prop::collection::vec(step, 1..120)
}

/// What should be there: all bytes, and where messages and appends end.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    messages: Vec<usize>,
    appends: Vec<usize>,
}

impl Model {
    fn add(&mut self, lengths: &[usize]) -> Record {
        let at = Offset::new(self.bytes.len() as u64).unwrap();
        let texts: Vec<_> = lengths
            .iter()
            .map(|len| vec![b"abcdefghijk"[self.appends.len() % 11]; *len])
            .collect();
        for text in &texts {
            self.bytes.extend_from_slice(text);
            self.messages.push(self.bytes.len());
        }
        self.appends.push(self.bytes.len());
        let payload =
            Payload::of_messages(ContentKind::Text, texts.iter().map(|text| &text[..])).unwrap();
        Record {
            at,
            time: UNIX_EPOCH + Duration::from_secs(self.appends.len() as u64),
            payload,
        }
    }

    /// A boundary between messages.
    fn boundary(&self, number: usize) -> usize {
        match number % (self.messages.len() + 1) {
            0 => 0,
            index => self.messages[index - 1],
        }
    }
}

fn read(tape: &mut Tape, model: &Model, from: usize, max: usize) {
    if from == model.bytes.len() {
        return;
    }
    match tape.page(Offset::new(from as u64).unwrap(), tape.end(), max) {
        Ok(page) => {
            assert_eq!(page, model.bytes[from..from + page.len()]);
            let first = model.messages.iter().find(|end| **end > from).unwrap() - from;
            assert!(
                page.len() >= first && page.len() <= max.max(first),
                "{} of {max}",
                page.len()
            );
            assert!(model.messages.binary_search(&(from + page.len())).is_ok());
        }
        Err(refusal) => {
            assert!(from < distance(Offset::ZERO, tape.begins()));
            assert_eq!(
                refusal,
                StoreError::Trimmed {
                    earliest: tape.begins()
                }
            );
        }
    }
}

fn take(tape: &mut Tape, model: &mut Model, step: Step) {
    let position = |bytes: usize| Offset::new(bytes as u64).unwrap();
    let begins = distance(Offset::ZERO, tape.begins());
    match step {
        Step::Push { messages } => drop(tape.push(model.add(&messages))),
        Step::Trim { message } => {
            let before = model.boundary(message);
            tape.trim(position(before));
            assert_eq!(tape.begins(), position(before.max(begins)));
        }
        Step::ForgetPage { message } => {
            tape.forget_page(position(model.boundary(message)));
            assert!(tape.begins() >= position(begins) && tape.begins() <= tape.end());
        }
        Step::Read { from, max } => read(tape, model, model.boundary(from), max),
        Step::Cut { at } => {
            let at = model.boundary(at);
            let expected = model
                .appends
                .iter()
                .rev()
                .find(|end| **end <= at)
                .copied()
                .unwrap_or(0)
                .max(begins);
            assert_eq!(tape.cut(Cut::AtMost(position(at))), position(expected));
            let older = model.appends.len() / 2;
            let expected = older
                .checked_sub(1)
                .map_or(0, |last| model.appends[last])
                .max(begins);
            let time = UNIX_EPOCH + Duration::from_secs(older as u64 + 1);
            assert_eq!(tape.cut(Cut::OlderThan(time)), position(expected));
        }
    }
    assert_eq!(distance(Offset::ZERO, tape.end()), model.bytes.len());
    assert_eq!(
        tape.pages_memory,
        tape.pages.iter().map(Page::memory_bytes).sum::<usize>()
    );
    let kept = distance(tape.begins(), tape.end());
    assert!(
        tape.memory_bytes() <= 3 * kept + 2 * OPEN_BYTES_MAX + 4096,
        "{} for {kept}",
        tape.memory_bytes()
    );
}

#[test]
fn a_tape_agrees_with_a_plain_list_of_messages() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = |steps: Vec<Step>| {
        let (mut tape, mut model) = (Tape::new(Offset::ZERO), Model::default());
        steps
            .into_iter()
            .for_each(|step| take(&mut tape, &mut model, step));
        Ok(())
    };
    TestRunner::new(config).run(&steps(), run).unwrap();
}

#[test]
fn small_appends_come_to_lie_in_large_pages_and_readers_share_them() {
    let (mut tape, mut model) = (Tape::new(Offset::ZERO), Model::default());
    while model.bytes.len() < 4 * PAGE_BYTES {
        tape.push(model.add(&[100]));
    }
    let overhead = tape.memory_bytes() - model.bytes.len();
    assert!(
        overhead < model.appends.len() * 14 + 2 * OPEN_BYTES_MAX,
        "{overhead} for {}",
        model.appends.len()
    );
    let mut from = Offset::ZERO;
    while from < tape.pages[2].at {
        let [one, other] = [(); 2].map(|()| tape.page(from, tape.end(), PAGE_BYTES).unwrap());
        assert!(
            one.as_ptr() == other.as_ptr() && one.len() >= LARGE,
            "{} bytes at {from}",
            one.len()
        );
        from = from.advance(one.len()).unwrap();
    }
}
