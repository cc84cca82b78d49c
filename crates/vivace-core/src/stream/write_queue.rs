//! Bytes not yet sent: whole pieces as they were written, and how much of the first is gone.

use std::collections::VecDeque;

/// A piece of data that can be lent as bytes.
pub trait Piece {
    /// The bytes, the same at every call.
    fn bytes(&self) -> &[u8];
}

impl Piece for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// The pieces in order. Empty pieces are not kept.
pub struct WriteQueue<P> {
    pieces: VecDeque<P>,
    sent_of_first: usize,
    size: usize,
}

impl<P: Piece> Default for WriteQueue<P> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), sent_of_first: 0, size: 0 }
    }
}

impl<P: Piece> WriteQueue<P> {
    /// Bytes that wait.
    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Adds a piece at the end; an empty one is handed back to be dropped.
    #[inline]
    pub fn push(&mut self, piece: P) -> Option<P> {
        let length = piece.bytes().len();
        if length == 0 {
            return Some(piece);
        }
        self.size += length;
        self.pieces.push_back(piece);
        None
    }

    /// How many pieces wait.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// The unsent bytes, piece by piece, for a vectored send.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let skip = self.sent_of_first;
        self.pieces.iter().enumerate().map(move |(index, piece)| {
            let bytes = piece.bytes();
            if index == 0 { &bytes[skip..] } else { bytes }
        })
    }

    /// `count` bytes were sent. One piece that is through is handed back to be dropped; call
    /// again with 0 until `None`.
    #[inline]
    pub fn advance(&mut self, count: usize) -> Option<P> {
        debug_assert!(count <= self.size);
        self.size -= count;
        self.sent_of_first += count;
        let first = self.pieces.front()?.bytes().len();
        if self.sent_of_first < first {
            return None;
        }
        self.sent_of_first -= first;
        self.pieces.pop_front()
    }

    /// Takes all, to be dropped by the caller.
    pub fn take(&mut self) -> VecDeque<P> {
        self.size = 0;
        self.sent_of_first = 0;
        std::mem::take(&mut self.pieces)
    }

    /// The first piece and how much of it is sent, to be replaced by a copy of the rest.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.pieces.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(queue: &WriteQueue<Vec<u8>>) -> Vec<u8> {
        queue.slices().flatten().copied().collect()
    }

    /// Whatever the pieces and however few bytes each send takes, the bytes leave in order.
    #[test]
    fn every_split_keeps_the_order() {
        let pieces: [&[u8]; 5] = [b"a", b"", b"bcd", b"ef", b"ghijk"];
        let whole: Vec<u8> = pieces.concat();
        for step in 1..=whole.len() {
            let mut queue = WriteQueue::default();
            for piece in pieces {
                assert_eq!(queue.push(piece.to_vec()).is_some(), piece.is_empty());
            }
            let mut sent: Vec<u8> = Vec::new();
            while !queue.is_empty() {
                let count = step.min(queue.size());
                sent.extend(rest(&queue).iter().take(count));
                let mut done = queue.advance(count);
                while done.is_some() {
                    done = queue.advance(0);
                }
                assert_eq!(rest(&queue), whole[sent.len()..]);
            }
            assert_eq!(sent, whole);
            assert_eq!(queue.pieces(), 0);
        }
    }

    #[test]
    fn take_empties() {
        let mut queue = WriteQueue::default();
        queue.push(b"xyz".to_vec());
        queue.advance(1);
        assert_eq!(queue.take().len(), 1);
        assert!(queue.is_empty());
        queue.push(b"q".to_vec());
        assert_eq!(rest(&queue), b"q");
    }
}
