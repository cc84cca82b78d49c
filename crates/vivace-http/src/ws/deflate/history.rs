//! The last bytes of what went over a connection in one direction, uncompressed.

/// Keeps the end of what is pushed.
#[derive(Debug)]
pub(super) struct History {
    bytes: Vec<u8>,
    limit: usize,
}

impl History {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.limit);
        self.bytes.drain(..excess);
        // A connection with few messages needs few bytes; never more than the limit.
        self.bytes.reserve_exact(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_end_of_all_that_was_pushed() {
        let mut history = History::new(10);
        let mut all = vec![];
        for len in [0, 1, 3, 0, 5, 4, 10, 2, 11, 9, 40, 1] {
            let piece: Vec<u8> = (0..len).map(|index| (all.len() + index) as u8).collect();
            all.extend_from_slice(&piece);
            history.push(&piece);
            assert_eq!(history.bytes(), &all[all.len().saturating_sub(10)..]);
            assert!(history.bytes.capacity() <= 20);
        }
    }
}
