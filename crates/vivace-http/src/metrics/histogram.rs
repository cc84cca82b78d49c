//! A histogram with fixed buckets, which any thread may feed.

use super::snapshot::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, in nanoseconds, ascending.
#[derive(Clone, Debug)]
pub(super) struct Buckets(Arc<[u64]>);

/// How often a duration fell into each bucket, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Buckets,
    /// One more than there are bounds.
    counts: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
}

impl Buckets {
    pub(super) fn new(bounds: &[Duration]) -> Self {
        let mut bounds: Vec<_> = bounds.iter().map(|&bound| nanoseconds(bound)).collect();
        bounds.sort_unstable();
        bounds.dedup();
        Self(bounds.into())
    }
}

impl Histogram {
    pub(super) fn new(buckets: Buckets) -> Self {
        let counts = (0..=buckets.0.len()).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, counts, nanoseconds: AtomicU64::new(0) }
    }

    /// Counts a duration. A bound belongs to the bucket below it.
    #[inline]
    pub(super) fn observe(&self, duration: Duration) {
        let duration = nanoseconds(duration);
        let bucket = self.buckets.0.partition_point(|&bound| bound < duration);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(duration, Ordering::Relaxed);
    }

    /// What was counted. While others count, the sum may be a little ahead or behind.
    pub(super) fn value(&self) -> Value {
        Value::Histogram {
            bounds: self.buckets.0.iter().map(|&bound| bound as f64 / 1e9).collect(),
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_below() {
        let ms = Duration::from_millis;
        let histogram = Histogram::new(Buckets::new(&[ms(10), ms(1), ms(10)]));
        for duration in [ms(0), ms(1), ms(1) + Duration::from_nanos(1), ms(10), ms(11)] {
            histogram.observe(duration);
        }
        assert_eq!(
            histogram.value(),
            Value::Histogram { bounds: vec![0.001, 0.01], counts: vec![2, 2, 1], sum: 0.023000001 }
        );
    }

    #[test]
    fn without_bounds_there_is_one_bucket() {
        let histogram = Histogram::new(Buckets::new(&[]));
        histogram.observe(Duration::MAX);
        let Value::Histogram { bounds, counts, .. } = histogram.value() else { panic!("another") };
        assert_eq!((bounds, counts), (vec![], vec![1]));
    }
}
