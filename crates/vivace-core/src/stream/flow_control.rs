//! When to tell a protocol to pause writing, and when to go on (asyncio's rules).
//!
//! Above the high-water mark the protocol is told to pause, once; at or below the low-water
//! mark it is told to go on, once.

/// asyncio's default high-water mark, in bytes.
pub const DEFAULT_HIGH: usize = 64 * 1024;

/// The two marks, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// At or below it the protocol is told to go on.
    pub low: usize,
    /// Above it the protocol is told to pause.
    pub high: usize,
}

impl Marks {
    /// The marks when only the higher one is known.
    pub const fn under(high: usize) -> Self {
        Self { low: high / 4, high }
    }

    /// The marks of `set_write_buffer_limits(high, low)`: one that is not given is derived from
    /// the other, or from `default_high`.
    pub fn derive(
        high: Option<i64>,
        low: Option<i64>,
        default_high: usize,
    ) -> Result<Self, BadLimits> {
        let high =
            high.unwrap_or_else(|| low.map_or(default_high as i64, |low| low.saturating_mul(4)));
        let low = low.unwrap_or(high.div_euclid(4));
        if !(high >= low && low >= 0) {
            return Err(BadLimits { high, low });
        }
        Ok(Self { low: low as usize, high: high as usize })
    }
}

/// The two marks and whether the protocol is paused.
pub struct FlowControl {
    marks: Marks,
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
        Self { marks: Marks::under(DEFAULT_HIGH), paused: false }
    }
}

impl FlowControl {
    /// Changes the marks; nobody is told before the buffer grows or shrinks.
    pub fn set_marks(&mut self, marks: Marks) {
        self.marks = marks;
    }

    /// The marks.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// The high-water mark, in bytes.
    #[inline]
    pub fn high(&self) -> usize {
        self.marks.high
    }

    /// Whether the protocol was told to pause.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The buffer has grown to `size` bytes.
    pub fn grown(&mut self, size: usize) -> Option<Tell> {
        if size <= self.marks.high || self.paused {
            return None;
        }
        self.paused = true;
        Some(Tell::Pause)
    }

    /// The buffer has shrunk to `size` bytes.
    pub fn shrunk(&mut self, size: usize) -> Option<Tell> {
        if !self.paused || size > self.marks.low {
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
    fn marks_as_asyncio_derives_them() {
        let derive = |high, low| Marks::derive(high, low, DEFAULT_HIGH);
        let marks = |low, high| Ok(Marks { low, high });
        assert_eq!(derive(None, None), marks(16 * 1024, 64 * 1024));
        assert_eq!(derive(None, None), Ok(FlowControl::default().marks()));
        assert_eq!(derive(None, Some(100)), marks(100, 400));
        assert_eq!(derive(Some(8), None), marks(2, 8));
        assert_eq!(derive(Some(0), None), marks(0, 0));
        assert_eq!(derive(Some(1), Some(2)), Err(BadLimits { high: 1, low: 2 }));
        assert_eq!(derive(Some(1), Some(-1)), Err(BadLimits { high: 1, low: -1 }));
    }

    #[test]
    fn new_marks_hold_from_the_next_change() {
        let mut flow = FlowControl::default();
        flow.set_marks(Marks { low: 0, high: 1 });
        assert_eq!(flow.grown(2), Some(Tell::Pause));
        assert_eq!(flow.shrunk(1), None);
        assert_eq!(flow.shrunk(0), Some(Tell::Resume));
    }
}
