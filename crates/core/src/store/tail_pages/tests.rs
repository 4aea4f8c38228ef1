//! The tail pages compared with a plain list of messages.

use super::*;
use crate::model::Payload;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::time::{Duration, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;

/// One step of the random check; numbers are taken modulo the number of possibilities.
#[derive(Debug, Clone)]
enum PagesStep {
    Push { messages: Vec<usize> },
    Trim { message: usize },
    RemovePage { message: usize },
    Read { from: usize, max: usize },
    Cut { at: usize },
}

fn steps() -> impl Strategy<Value = Vec<PagesStep>> {
    let length = prop_oneof![6 => 1_usize..200, 3 => 1_usize..30_000, 1 => 30_000_usize..1_200_000];
    let step = prop_oneof![
        8 => prop::collection::vec(length, 1..4).prop_map(|messages| PagesStep::Push { messages }),
        1 => any::<usize>().prop_map(|message| PagesStep::Trim { message }),
        1 => any::<usize>().prop_map(|message| PagesStep::RemovePage { message }),
        5 => (any::<usize>(), prop_oneof![1_usize..2_000_000, Just(1)]).prop_map(|(from, max)| PagesStep::Read { from, max }),
        2 => any::<usize>().prop_map(|at| PagesStep::Cut { at }),
    ];
    prop::collection::vec(step, 1..120)
}

/// The expected content: all bytes, and the ends of messages and appends.
#[derive(Default)]
struct PagesModel {
    bytes: Vec<u8>,
    messages: Vec<usize>,
    appends: Vec<usize>,
}

impl PagesModel {
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

fn read(pages: &mut TailPages, model: &PagesModel, from: usize, max: usize) {
    if from == model.bytes.len() {
        return;
    }
    match pages.page(Offset::new(from as u64).unwrap(), pages.end(), max) {
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
            assert!(from < distance(Offset::ZERO, pages.begins()));
            assert_eq!(
                refusal,
                StoreError::Trimmed {
                    earliest: pages.begins()
                }
            );
        }
    }
}

fn take(pages: &mut TailPages, model: &mut PagesModel, step: PagesStep) {
    let position = |bytes: usize| Offset::new(bytes as u64).unwrap();
    let begins = distance(Offset::ZERO, pages.begins());
    match step {
        PagesStep::Push { messages } => drop(pages.push(model.add(&messages))),
        PagesStep::Trim { message } => {
            let before = model.boundary(message);
            pages.trim(position(before));
            assert_eq!(pages.begins(), position(before.max(begins)));
        }
        PagesStep::RemovePage { message } => {
            pages.remove_page(position(model.boundary(message)));
            assert!(pages.begins() >= position(begins) && pages.begins() <= pages.end());
        }
        PagesStep::Read { from, max } => read(pages, model, model.boundary(from), max),
        PagesStep::Cut { at } => {
            let at = model.boundary(at);
            let expected = model
                .appends
                .iter()
                .rev()
                .find(|end| **end <= at)
                .copied()
                .unwrap_or(0)
                .max(begins);
            assert_eq!(pages.cut(Cut::AtMost(position(at))), position(expected));
            let older = model.appends.len() / 2;
            let expected = older
                .checked_sub(1)
                .map_or(0, |last| model.appends[last])
                .max(begins);
            let time = UNIX_EPOCH + Duration::from_secs(older as u64 + 1);
            assert_eq!(pages.cut(Cut::OlderThan(time)), position(expected));
        }
    }
    assert_eq!(distance(Offset::ZERO, pages.end()), model.bytes.len());
    assert_eq!(
        pages.pages_memory,
        pages
            .pages
            .iter()
            .map(SealedPage::memory_bytes)
            .sum::<usize>()
    );
    let kept = distance(pages.begins(), pages.end());
    assert!(
        pages.memory_bytes() <= 3 * kept + 2 * OPEN_BYTES_MAX + 4096,
        "{} for {kept}",
        pages.memory_bytes()
    );
}

#[test]
fn tail_pages_agree_with_a_plain_list_of_messages() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = |steps: Vec<PagesStep>| {
        let (mut pages, mut model) = (TailPages::new(Offset::ZERO), PagesModel::default());
        steps
            .into_iter()
            .for_each(|step| take(&mut pages, &mut model, step));
        Ok(())
    };
    TestRunner::new(config).run(&steps(), run).unwrap();
}

#[test]
fn small_appends_are_joined_into_pages_that_readers_share() {
    let (mut pages, mut model) = (TailPages::new(Offset::ZERO), PagesModel::default());
    while model.bytes.len() < 4 * PAGE_BYTES {
        pages.push(model.add(&[100]));
    }
    let overhead = pages.memory_bytes() - model.bytes.len();
    assert!(
        overhead < model.appends.len() * 14 + 2 * OPEN_BYTES_MAX,
        "{overhead} for {}",
        model.appends.len()
    );
    let mut from = Offset::ZERO;
    while from < pages.pages[2].at {
        let [one, other] = [(); 2].map(|()| pages.page(from, pages.end(), PAGE_BYTES).unwrap());
        assert!(
            one.as_ptr() == other.as_ptr() && one.len() >= LARGE,
            "{} bytes at {from}",
            one.len()
        );
        from = from.advance(one.len()).unwrap();
    }
}
