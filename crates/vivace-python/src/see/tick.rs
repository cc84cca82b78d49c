//! Once a second, on the loop's thread just before it waits: `vivace.see._tick.called(loop)`.
//!
//! A loop that sleeps is woken for it after 1, 5, 10 and then every 30 seconds, or when somebody who
//! looks has asked for it, unless nobody has put anything into `vivace.see._tick.watches`.

use std::cell::Cell;

use pyo3::prelude::*;

use super::lost::loop_of;
use super::{jobs, slow_request};
use crate::event_loop::Loop;
use crate::ffi::{Instance, Owned, Raised, Result, Slot, imports, text};
use crate::task::current;
use vivace_see::live::Scale;
use vivace_sys::clock::{monotonic_nanoseconds, ticks};

const SECOND: u64 = 1_000_000_000;

/// When a loop that only sleeps is woken again, in seconds.
const PAUSES: [u64; 4] = [1, 5, 10, 30];

/// When it is called again by a busy loop if it says that there is more to do, in nanoseconds.
const SOON: u64 = 5_000_000;

/// In the probe of the loop.
#[derive(Default)]
pub(super) struct Ticking {
    /// CLOCK_MONOTONIC when it was last called.
    last: Cell<u64>,
    /// The callbacks that had run then.
    callbacks: Cell<u64>,
    /// How often it was called without a turn of the program in between.
    idle: Cell<usize>,
    /// It is to be called again soon.
    soon: Cell<bool>,
    /// The longest until it is to be called again, in nanoseconds; 0 if nobody has said.
    wanted: Cell<u64>,
    /// The processor's counter when it is to be called next, if the loop has nothing to do until
    /// then but to run the program; and how long that was when it was reckoned. See `is_quiet`.
    next: Cell<u64>,
    within: Cell<u64>,
    function: Slot,
    watches: Slot,
}

impl Ticking {
    pub(super) fn traverse(&self, visitor: &mut crate::ffi::Visitor) {
        visitor.slot(&self.function);
        visitor.slot(&self.watches);
    }

    pub(super) fn clear(&self) {
        self.function.clear();
        self.watches.clear();
    }

    /// Nanoseconds between two calls.
    fn pause(&self) -> u64 {
        let pause = PAUSES[self.idle.get().min(PAUSES.len() - 1)] * SECOND;
        match self.wanted.get() {
            0 => pause,
            wanted => pause.min(wanted),
        }
    }

    /// Whether it is known that nothing is to be called when the counter stands at `now`. One
    /// comparison, for each wait of a loop that has much to do.
    #[inline]
    fn is_quiet(&self, now: u64) -> bool {
        // A counter that has begun anew is not what was reckoned with.
        self.next.get().wrapping_sub(now).wrapping_sub(1) < self.within.get()
    }

    /// It is to be called in so many nanoseconds, whether the program has a turn until then or not.
    fn be_quiet(&self, scale: Scale, now: u64, left: u64) {
        // A bit less, so that the clock decides in the end, and not the counter's scale.
        let ticks = scale.ticks_of(left - left / 1024);
        self.next.set(now.wrapping_add(ticks));
        self.within.set(ticks);
    }

    /// When it is called next, of CLOCK_MONOTONIC.
    fn until(&self) -> u64 {
        self.last.get().saturating_add(self.pause())
    }

    /// Whether anybody looks.
    fn is_wanted(&self) -> Result<bool> {
        let watches = match self.watches.get() {
            Some(watches) => watches,
            None => {
                // Who looks has imported it.
                let name = text::interned("vivace.see._tick")?;
                let Some(module) = text::dict_get(&imports().modules, &name)? else {
                    return Ok(false);
                };
                let watches = module.getattr(&*text::interned("watches")?)?;
                self.function.set(module.getattr(&*text::interned("called")?)?);
                self.watches.set(watches.clone());
                watches
            }
        };
        watches.is_true()
    }
}

/// What a loop that is about to wait has to know.
pub(crate) struct Rest {
    /// When the wait must end, of CLOCK_MONOTONIC; none if nobody looks.
    pub(crate) until: Option<u64>,
    /// The processor's counter.
    pub(crate) now: u64,
}

/// The loop is about to wait: calls it if it is time.
///
/// # Errors
///
/// Only what leaves the loop: a `KeyboardInterrupt` that came while somebody looked.
#[inline]
pub(crate) fn before_waiting(event_loop: &Instance<Loop>) -> Result<Rest> {
    if event_loop.see.page().is_none() {
        return Ok(Rest { until: None, now: 0 });
    }
    let ticking = &event_loop.see.ticking;
    let now = ticks();
    if ticking.is_quiet(now) && !jobs::pending() {
        return Ok(Rest { until: Some(ticking.until()), now });
    }
    let until = look_if_due(event_loop, 0)?;
    Ok(Rest { until, now: ticks() })
}

/// A wait has ended because it was time. If it was time to look, the next wait must see that by the
/// clock: the counter's scale is measured, and may be off by more than the part that is left out.
#[inline]
pub(crate) fn reckon_anew(event_loop: &Instance<Loop>) {
    event_loop.see.ticking.within.set(0);
}

/// It wants to be called again before the loop waits.
pub(crate) fn is_unfinished(event_loop: &Instance<Loop>) -> bool {
    event_loop.see.ticking.soon.get()
}

/// `soon`: nanoseconds until it is called again if there is more to do. The answer is when it is to
/// be called next, of CLOCK_MONOTONIC.
#[cold]
fn look_if_due(event_loop: &Instance<Loop>, soon: u64) -> Result<Option<u64>> {
    if jobs::pending() {
        do_jobs(event_loop)?;
    }
    let ticking = &event_loop.see.ticking;
    ticking.within.set(0);
    match ticking.is_wanted() {
        Ok(true) => {}
        Ok(false) => {
            ticking.soon.set(false);
            return Ok(None);
        }
        Err(raised) => {
            ticking.soon.set(false);
            return settle(raised).map(|()| None);
        }
    }
    let now = monotonic_nanoseconds();
    if ticking.last.get() == 0 {
        ticking.last.set(now);
    }
    if event_loop.see.callbacks() != ticking.callbacks.get() {
        ticking.callbacks.set(event_loop.see.callbacks());
        ticking.idle.set(0);
    }
    let pause = if ticking.soon.get() { soon } else { ticking.pause() };
    let passed = now.saturating_sub(ticking.last.get());
    if passed < pause {
        if ticking.idle.get() == 0 && !ticking.soon.get() {
            ticking.be_quiet(event_loop.see.scale(), ticks(), pause - passed);
        }
        return Ok(Some(now.saturating_add(pause - passed)));
    }
    ticking.last.set(now);
    // What was asked for in the part of a round that is over holds to its end.
    if !ticking.soon.replace(false) {
        ticking.wanted.set(0);
    }
    ticking.soon.set(call(event_loop, ticking)?);
    if !ticking.soon.get() {
        ticking.idle.set(ticking.idle.get() + 1);
    }
    // What it queued is no turn of the program.
    Ok(Some(now.saturating_add(if ticking.soon.get() { soon } else { ticking.pause() })))
}

/// `see_again(loop, seconds)`: who looks at the loop wants to do so again after so long, also if it
/// sleeps.
#[pyfunction]
pub(super) fn see_again(event_loop: &Bound<'_, PyAny>, seconds: f64) -> PyResult<()> {
    let ticking = &loop_of(event_loop)?.see.ticking;
    let wanted = ((seconds * SECOND as f64) as u64).max(1);
    let before = ticking.wanted.get();
    ticking.wanted.set(if before == 0 { wanted } else { before.min(wanted) });
    // It is reckoned anew at the next wait.
    ticking.within.set(0);
    Ok(())
}

/// The loop is too busy to wait, and has just looked at its descriptors.
#[inline]
pub(crate) fn while_busy(event_loop: &Instance<Loop>) -> Result<()> {
    // The last reading is old by a few short callbacks.
    let is_quiet = || event_loop.see.ticking.is_quiet(event_loop.see.last());
    let quiet = || is_quiet() && !jobs::pending();
    if event_loop.see.page().is_none() || quiet() {
        return Ok(());
    }
    look_if_due(event_loop, SOON).map(drop)
}

/// What a look raised is no matter of the program. What comes from outside of it, a
/// `KeyboardInterrupt` or a `SystemExit` of a signal's handler, leaves the loop.
fn settle(raised: Raised) -> Result<()> {
    raised.fetch_for_report().map(drop)
}

/// What others ask of this process.
#[cold]
fn do_jobs(event_loop: &Instance<Loop>) -> Result<()> {
    // No task runs now, which asyncio's books are to say, too.
    if let Err(raised) = current::hide(event_loop) {
        raised.clear();
    }
    event_loop.see.begin_tick();
    let outcome = (|| -> Result<()> {
        text::import("vivace.see._jobs")?.getattr(&*text::interned("run")?)?.call(&[])?;
        Ok(())
    })();
    event_loop.see.end_tick();
    outcome.or_else(settle)
}

/// Whether it wants to be called again soon.
fn call(event_loop: &Instance<Loop>, ticking: &Ticking) -> Result<bool> {
    event_loop.see.trace.let_go();
    slow_request::look(event_loop);
    let Some(function) = ticking.function.get() else { return Ok(false) };
    // No task runs now, which asyncio's books are to say, too.
    if let Err(raised) = current::hide(event_loop) {
        raised.clear();
    }
    event_loop.see.begin_tick();
    let outcome: Result<Owned> = function.call(&[event_loop.object()]);
    event_loop.see.end_tick();
    outcome.and_then(|more| more.is_true()).or_else(|raised| settle(raised).map(|()| false))
}
