//! Passing over JSON: where each value in a text ends, without recursion.

use super::{Came, JsonError, Value};

/// A place in a text.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_if(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn fault(&self, expected: &'static str) -> JsonError {
        // Every place that is looked at is the beginning of a character, but within a malformed escape.
        let rest = self.text.get(self.at..).unwrap_or_default();
        JsonError::new(expected, format_args!("{} at byte {}", Came(rest), self.at))
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.skip_if(byte) {
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    /// The next value of a list in a text that was checked, so that nothing but the list's end can come instead.
    pub(super) fn next_in_list(&mut self) -> Option<Value<'a>> {
        if let None | Some(b']' | b'}') = self.peek() {
            None
        } else {
            self.value().ok()
        }
    }

    /// Passes over a value with all that lies in it.
    pub(super) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        self.peek();
        let from = self.at;
        let mut open = Brackets::default();
        loop {
            match self.peek() {
                Some(first @ (b'{' | b'[')) => {
                    self.at += 1;
                    let is_object = first == b'{';
                    if !self.skip_if(closing(is_object)) {
                        open.push(is_object);
                        self.name_in(is_object)?;
                        continue;
                    }
                }
                Some(b'"') => self.string("a string")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.word()?,
            }
            if self.is_last(&mut open)? {
                return Ok(Value {
                    text: &self.text[from..self.at],
                });
            }
        }
    }

    /// Behind a value: passes over the brackets that end there. Whether none is open any more; else the next value follows.
    fn is_last(&mut self, open: &mut Brackets) -> Result<bool, JsonError> {
        while let Some(is_object) = open.last() {
            if !self.skip_if(closing(is_object)) {
                self.expect(b',', "a comma or the closing bracket")?;
                self.name_in(is_object)?;
                return Ok(false);
            }
            open.pop();
        }
        Ok(true)
    }

    /// What precedes a value in an object.
    fn name_in(&mut self, is_object: bool) -> Result<(), JsonError> {
        if !is_object {
            return Ok(());
        }
        self.peek();
        self.string("a member's name")?;
        self.expect(b':', "a colon")
    }

    fn string(&mut self, expected: &'static str) -> Result<(), JsonError> {
        if self.byte() != Some(b'"') {
            return Err(self.fault(expected));
        }
        loop {
            self.at += 1;
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                None | Some(0..=0x1f) => return Err(self.fault("the end of a string")),
                Some(_) => {}
            }
        }
        self.at += 1;
        Ok(())
    }

    /// From the backslash to the last byte of the escape.
    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault("four hexadecimal digits"));
                    }
                }
                Ok(())
            }
            _ => Err(self.fault("an escape")),
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > from {
            Ok(())
        } else {
            Err(self.fault("a digit"))
        }
    }

    fn word(&mut self) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        for word in ["null", "true", "false"] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err(self.fault("a value"))
    }
}

fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// The brackets that are open, the innermost last: a bit each, on the heap from the 65th on.
#[derive(Default)]
struct Brackets {
    count: usize,
    /// The last up to 64; a bit that is set is an object's.
    inner: u64,
    outer: Vec<u64>,
}

impl Brackets {
    fn push(&mut self, is_object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(is_object);
        self.count += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.inner & 1 == 1)
    }

    fn pop(&mut self) {
        self.count = self.count.saturating_sub(1);
        self.inner >>= 1;
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }
}
