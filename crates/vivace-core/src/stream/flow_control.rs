//! When to tell a protocol to pause writing, and when to go on (asyncio's rules).
//!
//! Above the high-water mark the protocol is told to pause, once; at or below the low-water
//! mark it is told to go on, once.

/// asyncio's default high-water mark, in bytes.
pub const DEFAULT_HIGH: usize = 64 * 1024;

/// The two marks and whether the protocol is paused.
pub struct FlowControl {
    high: usize,
    low: usize,
    paused: bool,
}

/// What the protocol must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// `pause_writing()`.
    Pause,
    /// `resume_writing()`.
    Resume,
}

/// Marks that do not satisfy `high >= low >= 0`.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLimits {
    /// The high-water mark asked for (or derived).
    pub high: i64,
    /// The low-water mark asked for (or derived).
    pub low: i64,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self { high: DEFAULT_HIGH, low: DEFAULT_HIGH / 4, paused: false }
    }
}

impl FlowControl {
    /// `set_write_buffer_limits(high, low)`: a mark not given is derived from the other.
    pub fn set_limits(&mut self, high: Option<i64>, low: Option<i64>) -> Result<(), BadLimits> {
        let high =
            high.unwrap_or_else(|| low.map_or(DEFAULT_HIGH as i64, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high.div_euclid(4));
        if !(high >= low && low >= 0) {
            return Err(BadLimits { high, low });
        }
        self.high = high as usize;
        self.low = low as usize;
        Ok(())
    }

    /// `(low, high)`.
    pub fn limits(&self) -> (usize, usize) {
        (self.low, self.high)
    }

    /// The high-water mark, in bytes.
    #[inline]
    pub fn high(&self) -> usize {
        self.high
    }

    /// Whether the protocol was told to pause.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The buffer has grown to `size` bytes.
    pub fn grown(&mut self, size: usize) -> Option<Tell> {
        if size <= self.high || self.paused {
            return None;
        }
        self.paused = true;
        Some(Tell::Pause)
    }

    /// The buffer has shrunk to `size` bytes.
    pub fn shrunk(&mut self, size: usize) -> Option<Tell> {
        if !self.paused || size > self.low {
            return None;
        }
        self.paused = false;
        Some(Tell::Resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_once_each_way() {
        let mut flow = FlowControl::default();
        assert_eq!(flow.grown(DEFAULT_HIGH), None);
        assert_eq!(flow.grown(DEFAULT_HIGH + 1), Some(Tell::Pause));
        assert_eq!(flow.grown(DEFAULT_HIGH * 2), None);
        assert_eq!(flow.shrunk(DEFAULT_HIGH / 4 + 1), None);
        assert_eq!(flow.shrunk(DEFAULT_HIGH / 4), Some(Tell::Resume));
        assert_eq!(flow.shrunk(0), None);
    }

    #[test]
    fn limits_as_asyncio_derives_them() {
        let mut flow = FlowControl::default();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
        assert_eq!(flow.set_limits(None, Some(100)), Ok(()));
        assert_eq!(flow.limits(), (100, 400));
        assert_eq!(flow.set_limits(Some(8), None), Ok(()));
        assert_eq!(flow.limits(), (2, 8));
        assert_eq!(flow.set_limits(Some(0), None), Ok(()));
        assert_eq!(flow.limits(), (0, 0));
        assert_eq!(flow.set_limits(Some(1), Some(2)), Err(BadLimits { high: 1, low: 2 }));
        assert_eq!(flow.set_limits(Some(1), Some(-1)), Err(BadLimits { high: 1, low: -1 }));
    }
}
