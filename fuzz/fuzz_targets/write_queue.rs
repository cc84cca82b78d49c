//! `vivace_core::stream::write_queue` against one flat row of bytes.
//!
//! What must hold: however the bytes are cut into pieces, and however few of them each send
//! takes, they leave in the order of writing, none twice and none lost; and each piece is handed
//! back once, when the last of its bytes has left.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::stream::write_queue::WriteQueue;

#[derive(Arbitrary, Debug)]
enum Operation {
    Push(Vec<u8>),
    Advance(u16),
    /// Up to the end of a piece, where the queue could miscount.
    AdvancePieces(u8),
    AdvanceAll,
    Take,
}

#[derive(Default)]
struct Pair {
    queue: WriteQueue<Vec<u8>>,
    /// What waits, byte by byte.
    unsent: VecDeque<u8>,
    /// What waits, piece by piece, sent parts of the first included.
    pieces: VecDeque<Vec<u8>>,
    sent_of_first: usize,
}

impl Pair {
    fn push(&mut self, piece: Vec<u8>) {
        let handed_back = self.queue.push(piece.clone());
        if piece.is_empty() {
            assert_eq!(handed_back, Some(piece), "an empty piece is not kept");
            return;
        }
        assert_eq!(handed_back, None);
        self.unsent.extend(&piece);
        self.pieces.push_back(piece);
    }

    fn advance(&mut self, count: usize) {
        self.unsent.drain(..count);
        self.sent_of_first += count;
        let mut through = self.queue.advance(count);
        while let Some(piece) = through {
            let expected = self.pieces.pop_front();
            assert_eq!(Some(&piece), expected.as_ref(), "pieces come back in order");
            assert!(self.sent_of_first >= piece.len(), "not before they are through");
            self.sent_of_first -= piece.len();
            through = self.queue.advance(0);
        }
        let first = self.pieces.front().map_or(1, Vec::len);
        assert!(self.sent_of_first < first, "a piece that is through came back");
    }

    fn check(&self) {
        assert_eq!(self.queue.size(), self.unsent.len());
        assert_eq!(self.queue.is_empty(), self.unsent.is_empty());
        assert_eq!(self.queue.pieces(), self.pieces.len());
        assert!(self.queue.iter().eq(&self.pieces));
        assert!(self.queue.slices().all(|slice| !slice.is_empty()), "a send of nothing");
        assert!(self.queue.slices().flatten().eq(&self.unsent), "other bytes would be sent");
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut pair = Pair::default();
    for operation in operations {
        match operation {
            Operation::Push(piece) => pair.push(piece),
            Operation::Advance(count) => pair.advance(usize::from(count).min(pair.unsent.len())),
            Operation::AdvancePieces(count) => {
                let whole = pair.queue.slices().take(count.into()).map(<[u8]>::len).sum();
                pair.advance(whole);
            }
            Operation::AdvanceAll => pair.advance(pair.unsent.len()),
            Operation::Take => {
                assert_eq!(pair.queue.take(), std::mem::take(&mut pair.pieces));
                pair.unsent.clear();
                pair.sent_of_first = 0;
            }
        }
        pair.check();
    }
});
