//! What a client may ask of a connection that carries nothing: frames for their own sake, and
//! requests that it takes back.
//!
//! Each such frame is cheap to send and makes work. A [`Bucket`] lets a client have many at once,
//! and so many a second for ever; what it does besides gives it more.

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

#[cfg(test)]
mod tests {
    use super::*;

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
