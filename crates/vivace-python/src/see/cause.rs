//! Why a thread does not go on.

use vivace_see::live::Cause;
pub(super) use vivace_sys::kernel_view::{Call, Kernel, ask, busiest};

/// How a thread has spent the time since it was first seen at the same place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    /// Nanoseconds of processor time.
    pub(super) computed: u64,
    /// Nanoseconds.
    pub(super) passed: u64,
    /// How often it gave the processor away by itself.
    pub(super) switches: u64,
    /// Another thread had the GIL whenever it was looked at; not if it was free or this thread's;
    /// none if that cannot be told.
    pub(super) without_gil: Option<bool>,
}

/// The cause, from what the kernel says and how the time was spent; `threshold` in nanoseconds.
pub(super) fn of(kernel: &Kernel, spent: &Spent, threshold: u64) -> Cause {
    /// The interpreter looks every 5 ms whether the GIL is free.
    const GIL_SWITCHES: u64 = 50;
    if matches!(kernel.state, 'T' | 't') {
        return Cause::Stopped;
    }
    // On a busy machine a thread that computes has the processor now and then.
    if spent.computed * 2 >= spent.passed || spent.computed >= threshold * 8 / 10 {
        return Cause::Cpu;
    }
    let often = spent.switches * 1_000_000_000 >= GIL_SWITCHES * spent.passed;
    match &kernel.call {
        Some(call) if call.is_futex() && often => Cause::Gil,
        Some(call) if call.is_futex() => Cause::Lock,
        Some(_) => Cause::Syscall,
        None if often && spent.without_gil != Some(false) => Cause::Gil,
        None if kernel.state == 'D' => Cause::Syscall,
        None if spent.without_gil == Some(true) => Cause::Gil,
        None if kernel.state == 'R' => Cause::Starved,
        None => Cause::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        let kernel = |state| Kernel { state, call: None, switches: 0 };
        let spent = |computed, switches, without_gil| Spent {
            computed,
            passed: 1_000_000_000,
            switches,
            without_gil,
        };
        let of = |state, spent| of(&kernel(state), &spent, 100_000_000);
        assert_eq!(of('R', spent(900_000_000, 0, None)), Cause::Cpu);
        assert_eq!(of('R', spent(100_000_000, 0, None)), Cause::Cpu);
        assert_eq!(of('R', spent(50_000_000, 0, None)), Cause::Starved);
        assert_eq!(of('R', spent(50_000_000, 0, Some(true))), Cause::Gil);
        assert_eq!(of('R', spent(50_000_000, 100, None)), Cause::Gil);
        assert_eq!(of('R', spent(50_000_000, 100, Some(false))), Cause::Starved);
        assert_eq!(of('D', spent(0, 0, None)), Cause::Syscall);
        assert_eq!(of('T', spent(0, 0, None)), Cause::Stopped);
    }
}
