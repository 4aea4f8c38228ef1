//! Random operations on a store, compared with a list of messages, the simplest model of a stream.

use crate::OpenStore;
use crate::calls::{append, commit, create, offset, read};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tailwater_core::StreamId;
use tailwater_core::store::{Change, Store, StoreError};

/// One step of the random check; numbers are taken modulo the number of possibilities.
#[derive(Debug, Clone)]
pub(crate) enum ContractStep {
    Append {
        lengths: Vec<usize>,
        out_of_step: bool,
    },
    Trim {
        boundary: usize,
    },
    Read {
        from: usize,
        until: usize,
        max: usize,
    },
    Recreate {
        first: Option<Vec<usize>>,
    },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<ContractStep>> {
    let lengths = || prop::collection::vec(1_usize..40, 1..6);
    let step = prop_oneof![
        4 => (lengths(), prop::bool::weighted(0.1)).prop_map(|(lengths, out_of_step)| ContractStep::Append { lengths, out_of_step }),
        1 => any::<usize>().prop_map(|boundary| ContractStep::Trim { boundary }),
        6 => (any::<usize>(), any::<usize>(), prop_oneof![1_usize..150, Just(usize::MAX)])
            .prop_map(|(from, until, max)| ContractStep::Read { from, until, max }),
        1 => prop::option::of(lengths()).prop_map(|first| ContractStep::Recreate { first }),
    ];
    prop::collection::vec(step, 1..60)
}

/// The expected state of a stream: its stored messages, and how many of them may have been trimmed.
#[derive(Debug, Default)]
pub(crate) struct StoreModel {
    messages: Vec<String>,
    /// The index of the message before which everything may have been trimmed.
    trimmed_before: usize,
}

impl StoreModel {
    fn boundary(&self, index: usize) -> usize {
        self.messages[..index].iter().map(String::len).sum()
    }

    fn end(&self) -> usize {
        self.boundary(self.messages.len())
    }

    fn add(&mut self, lengths: &[usize]) -> String {
        let new: Vec<_> = lengths.iter().map(|length| "7".repeat(*length)).collect();
        self.messages
            .extend(new.iter().map(|message| format!("{message},")));
        format!("[{}]", new.join(","))
    }

    /// Whole messages in `from..until`, at least one, of at most `max` bytes.
    fn page(&self, from: usize, until: usize, max: usize) -> String {
        let mut page = String::new();
        for message in &self.messages[from..until] {
            if !page.is_empty() && page.len() + message.len() > max {
                break;
            }
            page += message;
        }
        page
    }
}

pub(crate) fn random_operations_agree_with_the_model(open: OpenStore<'_>) {
    // `PROPTEST_CASES` sets the number of cases; a failure prints its shrunk steps and its seed.
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let store = open(1 << 24);
            let (mut id, mut model) = (create(&*store, None), StoreModel::default());
            for step in steps {
                take(&*store, &mut id, &mut model, step);
            }
            Ok(())
        })
        .unwrap();
}

pub(crate) fn take(
    store: &dyn Store,
    id: &mut StreamId,
    model: &mut StoreModel,
    step: ContractStep,
) {
    match step {
        ContractStep::Append {
            out_of_step: true, ..
        } => {
            let result = append(store, *id, offset(model.end() as u64 + 1), "1");
            assert_eq!(result, Err(StoreError::OutOfStep));
        }
        ContractStep::Append {
            lengths,
            out_of_step: false,
        } => {
            let at = offset(model.end() as u64);
            append(store, *id, at, &model.add(&lengths)).unwrap();
        }
        ContractStep::Trim { boundary } => {
            let before = boundary % (model.messages.len() + 1);
            commit(
                store,
                *id,
                Change::Trim {
                    before: offset(model.boundary(before) as u64),
                },
            )
            .unwrap();
            model.trimmed_before = model.trimmed_before.max(before);
        }
        ContractStep::Recreate { first } => {
            commit(store, *id, Change::delete()).unwrap();
            *model = StoreModel::default();
            let first = first.map(|lengths| model.add(&lengths));
            *id = create(store, first.as_deref());
        }
        ContractStep::Read { from, until, max } => {
            let from = from % (model.messages.len() + 1);
            let until = from + until % (model.messages.len() + 1 - from);
            if from == until {
                return;
            }
            let (start, end) = (model.boundary(from) as u64, model.boundary(until) as u64);
            match read(store, *id, start, end, max) {
                Ok(page) => assert_eq!(page, model.page(from, until, max)),
                // Trimmed messages may be freed later or in larger pieces, but nothing else may,
                // and the store reports it correctly.
                Err(StoreError::Trimmed { earliest }) => {
                    let kept_from = model.boundary(model.trimmed_before) as u64;
                    assert!(
                        start < earliest.bytes() && earliest.bytes() <= kept_from,
                        "{earliest}, {kept_from}"
                    );
                }
                Err(other) => panic!("{other:?} at {start}"),
            }
        }
    }
}
