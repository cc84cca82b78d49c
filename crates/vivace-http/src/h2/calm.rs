//! What a client may ask of a connection that carries nothing: frames for their own sake, and
//! requests that it takes back.
//!
//! Each such frame is cheap to send and makes work. A [`Bucket`] lets a client have many at once,
//! and so many a second for ever; what it does besides gives it more.

use super::PREFACE;
use super::limits::Rate;

/// Fills with what a client does, and leaks with time.
#[derive(Debug)]
pub(super) struct Bucket {
    level: f64,
    size: f64,
    leak: f64,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self { level: 0.0, size: rate.burst.into(), leak: rate.steady.into() }
    }

    pub(super) fn pass(&mut self, seconds: f64) {
        self.level = (self.level - self.leak * seconds).max(0.0);
    }

    pub(super) fn fill(&mut self, count: usize) {
        self.level += count as f64;
    }

    pub(super) fn empty(&mut self, count: usize) {
        self.level = (self.level - count as f64).max(0.0);
    }

    pub(super) fn overflows(&self) -> bool {
        self.level > self.size
    }
}

const HEAD: usize = 9;

/// Finds the heads of the frames in what a client sends.
#[derive(Debug)]
pub(super) struct FrameCounter {
    /// Bytes of the preface, or of a payload, that are to come.
    ahead: usize,
    head: [u8; HEAD],
    known: usize,
}

impl Default for FrameCounter {
    fn default() -> Self {
        Self { ahead: PREFACE.len(), head: [0; HEAD], known: 0 }
    }
}

/// Whether a frame asks for work and carries nothing: all but DATA with content, HEADERS,
/// RST_STREAM (which is counted with its stream), GOAWAY, WINDOW_UPDATE and CONTINUATION.
fn is_overhead(kind: u8, length: usize) -> bool {
    match kind {
        0 => length == 0,
        1 | 3 | 7 | 8 | 9 => false,
        _ => true,
    }
}

impl FrameCounter {
    /// How many frames that carry nothing begin in these bytes, which follow those before.
    pub(super) fn overhead(&mut self, mut data: &[u8]) -> usize {
        let mut count = 0;
        loop {
            let passed = self.ahead.min(data.len());
            self.ahead -= passed;
            data = &data[passed..];
            let new = (HEAD - self.known).min(data.len());
            self.head[self.known..self.known + new].copy_from_slice(&data[..new]);
            self.known += new;
            data = &data[new..];
            if self.known < HEAD {
                return count;
            }
            let [high, middle, low, kind, ..] = self.head;
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            self.known = 0;
            self.ahead = length;
            count += usize::from(is_overhead(kind, length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 1]);
        frame.resize(HEAD + length, kind);
        frame
    }

    #[test]
    fn counts_what_carries_nothing_however_it_is_split() {
        let mut all = PREFACE.to_vec();
        for (kind, length) in
            [(4, 0), (1, 20), (0, 100), (0, 0), (6, 8), (8, 4), (3, 4), (2, 5), (200, 3), (9, 2)]
        {
            all.extend(frame(kind, length));
        }
        for size in 1..all.len() {
            let mut counter = FrameCounter::default();
            let count: usize = all.chunks(size).map(|piece| counter.overhead(piece)).sum();
            assert_eq!(count, 5, "in pieces of {size}");
        }
    }

    #[test]
    fn a_bucket_leaks() {
        let mut bucket = Bucket::new(Rate { burst: 10, steady: 5 });
        bucket.fill(11);
        assert!(bucket.overflows());
        bucket.pass(0.2);
        assert!(!bucket.overflows());
        bucket.fill(100);
        bucket.pass(100.0);
        bucket.fill(10);
        assert!(!bucket.overflows());
        bucket.empty(5);
        bucket.fill(5);
        assert!(!bucket.overflows());
        bucket.fill(1);
        assert!(bucket.overflows());
    }
}
