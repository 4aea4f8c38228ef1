//! Answers to polls as they were just given: who asks the same at the same moment gets the same bytes.

use crate::log::{Log, State, Tail};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The longest answer that is kept in bytes, and how many are.
const ANSWER_MAX: usize = 16 << 10;
const ANSWERS_MAX: usize = 256;

/// The answers of one worker, of one second.
#[derive(Debug, Default)]
pub(super) struct Answers {
    all: RefCell<HashMap<Vec<u8>, Answer>>,
    second: Cell<u64>,
}

/// What an answer depends on, beside the request's target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Path and query.
    pub(super) target: &'a [u8],
    /// The value of `If-None-Match`, if there is one.
    pub(super) if_none_match: Option<&'a str>,
    /// The header fields that all answers have.
    pub(super) standing: &'a Rc<[u8]>,
    /// Since 1970, as the answer's date says it.
    pub(super) second: u64,
}

#[derive(Debug)]
struct Answer {
    log: Arc<Log>,
    tail: Tail,
    if_none_match: Option<String>,
    standing: Rc<[u8]>,
    bytes: Bytes,
}

impl Answers {
    /// The answer, head and body, if it would be the same now.
    pub(super) fn find(&self, asked: Asked<'_>) -> Option<Bytes> {
        if self.second.get() != asked.second {
            return None;
        }
        let all = self.all.borrow();
        let answer = all.get(asked.target)?;
        let is_same = answer.log.tail_now() == answer.tail
            && answer.if_none_match.as_deref() == asked.if_none_match
            && (Rc::ptr_eq(&answer.standing, asked.standing) || answer.standing == *asked.standing);
        // Who polls a stream uses it.
        if !is_same || !answer.log.is_there() || !answer.log.renew() {
            return None;
        }
        answer.log.readers().note_plain_read();
        Some(answer.bytes.clone())
    }

    /// Keeps an answer that was made while the log ended at `tail`.
    pub(super) fn keep(&self, asked: Asked<'_>, log: &Arc<Log>, tail: Tail, bytes: &[u8]) {
        let mut all = self.all.borrow_mut();
        if self.second.replace(asked.second) != asked.second || all.len() >= ANSWERS_MAX {
            all.clear();
        }
        if bytes.len() > ANSWER_MAX || tail.state == State::Deleted {
            return;
        }
        let answer = Answer {
            log: Arc::clone(log),
            tail,
            if_none_match: asked.if_none_match.map(str::to_owned),
            standing: Rc::clone(asked.standing),
            bytes: Bytes::copy_from_slice(bytes),
        };
        all.insert(asked.target.to_owned(), answer);
    }
}
