//! A bounded buffer of the last values, which drops the oldest.

use std::collections::VecDeque;

/// The last `limit` values pushed, oldest first.
#[derive(Debug, Clone)]
pub struct Ring<T> {
    values: VecDeque<T>,
    limit: usize,
}

impl<T> Ring<T> {
    /// An empty ring that keeps at most `limit` values (at least 1).
    pub fn new(limit: usize) -> Self {
        Self {
            values: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// Adds a value; the oldest is dropped when the ring is full.
    pub fn push(&mut self, value: T) {
        if self.values.len() == self.limit {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at `index`, counted from the oldest.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.values.get(index)
    }

    /// The newest value.
    pub fn last(&self) -> Option<&T> {
        self.values.back()
    }

    /// All values, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.values.iter()
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_oldest_first() {
        let mut ring = Ring::new(3);
        for value in 0..5 {
            ring.push(value);
        }
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(ring.last(), Some(&4));
    }
}
