//! Where a task was made, who cancelled it, and what was told of it.
//!
//! Kept for the diagnostics, and only while they are on. Lines are kept as a code object and an
//! instruction; nobody pays for file names and numbers until somebody asks.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Name, Task};
use crate::ffi::frames::{self, Site};
use crate::ffi::{Instance, Object, Owned, Result, Slot, error, imports, text, thread};
use crate::see;
use vivace_see::settings::Level;
use vivace_sys::clock::monotonic_nanoseconds;

/// How often `CancelledError` was thrown in because somebody had asked for it.
static CANCELLATIONS: AtomicU64 = AtomicU64::new(0);

/// See [`CANCELLATIONS`].
pub(crate) fn cancellations() -> u64 {
    CANCELLATIONS.load(Relaxed)
}

/// The frames kept of where a task was made, if the dear detectors run.
const TRAIL: usize = 10;

/// See the module.
#[derive(Default)]
pub(crate) struct Provenance {
    /// A code object holds nothing that could be part of a cycle: the collector is not shown it.
    code: Slot,
    instruction: Cell<u32>,
    /// What has been reported of the task, as bits that `vivace.see` gives a meaning to.
    told: Cell<u8>,
    rare: RefCell<Option<Box<Rare>>>,
}

/// What few tasks have.
#[derive(Default)]
struct Rare {
    trail: Vec<Site>,
    cancellation: Option<Cancellation>,
}

/// A task as others may remember it without keeping it alive.
struct Remembered {
    number: u64,
    /// The name, unless the number says it.
    name: Option<Owned>,
    code: Option<Owned>,
}

/// A cancellation that was asked for.
struct Cancellation {
    by: Option<Remembered>,
    site: Option<Site>,
    /// CLOCK_MONOTONIC when it was first asked for.
    asked: u64,
    /// And when `CancelledError` was thrown in; 0 if it was not yet.
    thrown: u64,
}

/// The same for whoever asks.
pub(crate) struct Canceller {
    pub(crate) name: Option<String>,
    pub(crate) coroutine: Option<Owned>,
    pub(crate) site: Option<(Owned, u32)>,
    pub(crate) asked: u64,
    pub(crate) thrown: u64,
}

impl Provenance {
    /// Where the code object and the instruction lie, for whoever reads them as memory.
    pub(super) const PLACES: (usize, usize) =
        (std::mem::offset_of!(Self, code), std::mem::offset_of!(Self, instruction));

    /// The task is being made.
    #[inline(always)]
    pub(crate) fn note_creation(&self) {
        match see::settings().level {
            Level::Off => {}
            Level::On => {
                if let Some(site) = frames::here() {
                    self.code.set(site.code);
                    self.instruction.set(site.instruction);
                }
            }
            Level::Dev => self.note_trail(),
        }
    }

    #[cold]
    fn note_trail(&self) {
        let trail = frames::trail(TRAIL);
        if let Some(site) = trail.first() {
            self.code.set(site.code.clone());
            self.instruction.set(site.instruction);
        }
        if let Ok(mut rare) = self.rare.try_borrow_mut() {
            *rare = Some(Box::new(Rare { trail, cancellation: None }));
        }
    }

    /// Where it was made.
    pub(crate) fn site(&self) -> Option<Site> {
        self.code.get().map(|code| Site { code, instruction: self.instruction.get() })
    }

    /// What tells one place from another, as long as the task lives.
    pub(crate) fn place(&self) -> (usize, u32) {
        let code = self.code.look(|code| std::ptr::from_ref::<Object>(code) as usize);
        (code.unwrap_or(0), self.instruction.get())
    }

    /// Where it was made, the innermost frame first.
    pub(crate) fn sites(&self) -> Vec<(Owned, u32)> {
        if let Ok(rare) = self.rare.try_borrow() {
            if let Some(rare) = rare.as_ref().filter(|rare| !rare.trail.is_empty()) {
                let pair = |site: &Site| (site.code.clone(), site.instruction);
                return rare.trail.iter().map(pair).collect();
            }
        }
        self.site().map(|site| (site.code, site.instruction)).into_iter().collect()
    }

    /// An exception is about to be thrown into the coroutine.
    #[inline]
    pub(super) fn note_thrown(&self, exception: &Object) {
        let Ok(mut rare) = self.rare.try_borrow_mut() else { return };
        let Some(cancellation) = rare.as_mut().and_then(|rare| rare.cancellation.as_mut()) else {
            return;
        };
        if error::is_exception_of(exception, &imports().cancelled_error) {
            cancellation.thrown = monotonic_nanoseconds();
            CANCELLATIONS.fetch_add(1, Relaxed);
        }
    }

    /// The last request to cancel was taken back.
    pub(super) fn forget_cancellation(&self) {
        let cancellation = match self.rare.try_borrow_mut() {
            Ok(mut rare) => rare.as_mut().and_then(|rare| rare.cancellation.take()),
            Err(_) => None,
        };
        drop(cancellation);
    }

    /// Marks something as told; whether it was before.
    pub(crate) fn tell(&self, what: u8) -> bool {
        let before = self.told.get();
        self.told.set(before | what);
        before & what != 0
    }

    /// Who asked to cancel.
    pub(crate) fn canceller(&self) -> Option<Canceller> {
        let rare = self.rare.try_borrow().ok()?;
        let cancellation = rare.as_ref()?.cancellation.as_ref()?;
        let by = cancellation.by.as_ref();
        Some(Canceller {
            name: by.map(|by| match &by.name {
                Some(name) => text::to_string_lossy(name),
                None => format!("Task-{}", by.number),
            }),
            coroutine: by.and_then(|by| by.code.clone()),
            site: cancellation.site.as_ref().map(|site| (site.code.clone(), site.instruction)),
            asked: cancellation.asked,
            thrown: cancellation.thrown,
        })
    }
}

impl Instance<Task> {
    /// Somebody asks to cancel the task: keeps who, and where.
    pub(super) fn note_cancellation(&self) {
        if !see::is_on() {
            return;
        }
        // Of several requests that are open at once the first one counts.
        if self.cancel_requests.get() <= 1 || !self.provenance.is_cancelled() {
            self.keep_canceller();
        }
        if see::is_dev() {
            see::lost::cancelled(self);
        }
    }

    fn keep_canceller(&self) {
        let by = self.current_task().map(|task| task.remembered());
        let cancellation = Cancellation {
            by: by.and_then(Result::ok),
            site: frames::here(),
            asked: monotonic_nanoseconds(),
            thrown: 0,
        };
        let before = match self.provenance.rare.try_borrow_mut() {
            Ok(mut rare) => rare.get_or_insert_default().cancellation.replace(cancellation),
            Err(_) => None,
        };
        drop(before);
    }

    /// The task that its loop runs now, if this thread runs the loop.
    fn current_task(&self) -> Option<crate::ffi::Ref<Task>> {
        let event_loop = self.core.native_loop()?;
        if event_loop.flags.thread.get() != thread::ident() {
            return None;
        }
        event_loop.shown.get()?.downcast::<Task>().map(Self::counted)
    }

    fn remembered(&self) -> Result<Remembered> {
        let code = match self.coroutine.get() {
            Some(coroutine) => frames::code_of_coroutine(&coroutine)?,
            None => None,
        };
        let number = match self.name_kind.replace(Name::Given) {
            Name::Number(number) => {
                self.name_kind.set(Name::Number(number));
                number
            }
            Name::Given => 0,
        };
        Ok(Remembered { number, name: self.name.get(), code })
    }

    /// Whether it waits for something that is not done.
    pub(crate) fn is_parked(&self) -> bool {
        self.core.is_pending() && !self.must_cancel.get() && self.waits_for.is_some()
    }

    /// How many requests to cancel are open.
    pub(crate) fn open_cancellations(&self) -> i32 {
        self.cancel_requests.get()
    }
}

impl Provenance {
    fn is_cancelled(&self) -> bool {
        self.rare
            .try_borrow()
            .is_ok_and(|rare| rare.as_ref().is_some_and(|rare| rare.cancellation.is_some()))
    }

    /// When `CancelledError` was thrown in because somebody had asked for it, or 0.
    pub(crate) fn thrown(&self) -> u64 {
        let Ok(rare) = self.rare.try_borrow() else { return 0 };
        let cancellation = rare.as_ref().and_then(|rare| rare.cancellation.as_ref());
        cancellation.map_or(0, |cancellation| cancellation.thrown)
    }
}
