//! `vivace._native.Loop`: the engine of `vivace.EventLoop`.
//!
//! The Python class adds the cold half of asyncio's interface (`python/vivace/_loop.py`); what
//! runs for each callback, timer, descriptor and byte is here.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the struct and the class |
//! | `entry` | what can wait in the ready queue |
//! | `scheduling` | `call_soon` and its kin, futures and tasks |
//! | `turn` | one turn of the loop, and running until stopped |
//! | `fds` | `add_reader`, `add_writer`, who owns a descriptor |
//! | `lifecycle` | flags, closing, forking |
//! | `report` | what the exception handler is told |

pub(crate) mod entry;
pub(crate) mod fds;
mod lifecycle;
pub(crate) mod report;
mod scheduling;
pub(crate) mod turn;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use vivace_core::fuzz_schedule::FuzzSchedule;
use vivace_core::inbox::{Inbox, Wake};
use vivace_core::poll_budget::PollBudget;
use vivace_core::ready::ReadyQueue;
use vivace_core::timers::Timers;
use vivace_core::wake_spacing::WakeSpacing;
use vivace_sys::Errno;
use vivace_sys::alarm::Alarm;
use vivace_sys::poller::{Mode, Poller, Readiness};
use vivace_sys::wake_fd::WakeFd;

pub(crate) use self::entry::Entry;
use self::fds::Descriptors;
use crate::ffi::context::Contexts;
use crate::ffi::slot::Counted;
use crate::ffi::task_class;
use crate::ffi::thread::Crossing;
use crate::ffi::{
    Builtin, Class, ClassBuilder, ClassCell, Collector, Instance, Object, Owned, Raised, Ref,
    Result, Slot, Visitor, allocate_for, raise,
};
use crate::handles::{AsHandle, TimerHandle};
use crate::see::probe::LoopProbe;
use crate::see::trace;
use crate::transports::Transports;

/// The descriptors of the operating system that a loop needs to wait and to be woken.
pub(crate) struct Waiting {
    pub(crate) poller: Poller,
    pub(crate) wake: WakeFd,
    /// For deadlines that are far away. Opened with the others, so that no descriptor appears while
    /// the program runs; none if there is no room for it.
    alarm: Option<Alarm>,
}

impl Waiting {
    pub(crate) fn open() -> std::result::Result<Self, Errno> {
        let (poller, wake) = (Poller::new()?, WakeFd::new()?);
        poller.add(wake.as_fd().as_raw_fd(), READABLE, Mode::Level)?;
        let watched =
            |alarm: &Alarm| poller.add(alarm.as_fd().as_raw_fd(), READABLE, Mode::Edge).is_ok();
        let alarm = Alarm::new().ok().filter(watched);
        Ok(Self { poller, wake, alarm })
    }

    /// Has a wait end when CLOCK_MONOTONIC is `at`, or earlier; whether that can be had. Only for the
    /// thread of the loop.
    fn end_by(&self, at: u64) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| alarm.ring_by(at).is_ok())
    }

    /// Whether it is the alarm that has this descriptor; it has rung.
    fn rang(&self, fd: i32) -> bool {
        let rang = self.alarm.as_ref().filter(|alarm| alarm.as_fd().as_raw_fd() == fd);
        rang.inspect(|alarm| alarm.rang()).is_some()
    }
}

const READABLE: Readiness = Readiness { readable: true, writable: false, ended: false };

/// The flags that Python sees as attributes.
pub(crate) struct Flags {
    pub(crate) closed: Cell<bool>,
    /// It ran when the process forked, and this is the child: it can only be closed.
    pub(crate) forked: Cell<bool>,
    pub(crate) stopping: Cell<bool>,
    /// Its turns are being run.
    pub(crate) turning: Cell<bool>,
    pub(crate) debug: Cell<bool>,
    /// The thread that runs the loop; 0 while none does.
    pub(crate) thread: Cell<u64>,
    /// `call_soon` or `time` were replaced, on the instance or in a subclass.
    pub(crate) custom_call_soon: Cell<bool>,
    pub(crate) custom_time: Cell<bool>,
}

/// What `create_task` does when nothing is said.
pub(crate) struct TaskCreation {
    pub(crate) factory: Slot,
    pub(crate) eager: Cell<bool>,
}

/// The engine.
pub(crate) struct Loop {
    ready: ReadyQueue<Entry>,
    timers: RefCell<Timers<Ref<TimerHandle>>>,
    spacing: RefCell<WakeSpacing>,
    inbox: Inbox<Crossing<Entry>>,
    budget: RefCell<PollBudget>,
    waiting: RefCell<Option<Arc<Waiting>>>,
    pub(crate) descriptors: Descriptors,
    pub(crate) transports: Transports,
    pub(crate) flags: Flags,
    pub(crate) tasks: TaskCreation,
    pub(crate) contexts: Contexts,
    /// The task that asyncio's books show as the current one.
    pub(crate) shown: Slot,
    pub(crate) see: LoopProbe,
    fuzz: FuzzSchedule,
}

impl Loop {
    #[inline(always)]
    pub(crate) fn debug(&self) -> bool {
        self.flags.debug.get()
    }

    #[inline(always)]
    pub(crate) fn is_running(&self) -> bool {
        self.flags.thread.get() != 0
    }

    /// Whether the queue may be used directly: see `Core::direct_loop`.
    #[inline(always)]
    pub(crate) fn is_direct(&self) -> bool {
        !self.flags.debug.get() && !self.flags.custom_call_soon.get()
    }

    #[inline(always)]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.flags.closed.get() || self.flags.forked.get() {
            return Err(self.unusable_error());
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn unusable_error(&self) -> Raised {
        if self.flags.closed.get() {
            raise(Builtin::Runtime, "Event loop is closed")
        } else {
            raise(
                Builtin::Runtime,
                "This event loop was running when the process forked and belongs to the parent; \
                 make a new one in the child process",
            )
        }
    }

    /// Whether `create_task` makes other tasks than ours. asyncio's eager factory does not here.
    pub(crate) fn has_other_tasks(&self) -> bool {
        (self.tasks.factory.is_some() || task_class::is_replaced()) && !self.tasks.eager.get()
    }

    /// A handle that will be queued: see `handles` for what the collector knows of it.
    #[inline(always)]
    pub(crate) fn make_handle<T: AsHandle>(&self, handle: impl FnOnce() -> T) -> Result<Ref<T>> {
        let is_held = self.flags.turning.get() && cfg!(not(Py_GIL_DISABLED));
        allocate_for(if is_held { Collector::KnowsNot } else { Collector::Knows }, handle)
    }

    /// The loop stops: whatever waits in its queues may become garbage together with it.
    fn show_queues_to_collector(&self) {
        self.ready.for_each(|entry| match entry {
            Entry::Handle(handle) => handle.show_to_collector(),
            Entry::ThreadSafe(handle) => handle.show_to_collector(),
            Entry::Timer(timer) => timer.show_to_collector(),
            _ => {}
        });
        if let Ok(timers) = self.timers.try_borrow() {
            timers.for_each(|timer| timer.show_to_collector());
        }
    }

    /// Queues an entry for the next turn. Only for the thread that runs the loop, or while
    /// nobody does.
    #[inline(always)]
    pub(crate) fn push(&self, entry: Entry) {
        if let Entry::Step(task) = &entry {
            self.see.made_ready(&task.see);
            if trace::is_on() {
                trace::made_ready(self, task);
            }
        } else if trace::is_on() {
            trace::queued(self, &entry);
        }
        self.ready.push(entry);
    }

    /// Queues an entry from any thread.
    pub(crate) fn push_threadsafe(&self, entry: Entry) {
        let wake = if cfg!(Py_GIL_DISABLED) {
            self.inbox.push(Crossing(entry))
        } else {
            // Whoever holds the GIL has the queue for himself: the loop never lets go of it
            // with the queue in its hands. So the order is that of the calls, in all threads.
            self.ready.push(entry);
            self.inbox.wake_ordered()
        };
        if wake == Wake::Needed {
            self.wake();
        }
    }

    /// A descriptor may have come to be ready by what the loop itself has done.
    pub(crate) fn expect_events(&self) {
        self.budget.borrow_mut().expect();
    }

    /// Interrupts the wait.
    pub(crate) fn wake(&self) {
        if let Some(waiting) = self.waiting() {
            waiting.wake.wake();
        }
    }

    pub(crate) fn waiting(&self) -> Option<Arc<Waiting>> {
        self.waiting.borrow().clone()
    }

    /// A timer was cancelled; what is to be dropped for it comes back.
    pub(crate) fn note_cancelled_timer(&self) -> Vec<Ref<TimerHandle>> {
        match self.timers.try_borrow_mut() {
            Ok(mut timers) => timers.note_cancelled(|timer| timer.is_cancelled()),
            Err(_) => Vec::new(),
        }
    }

    pub(crate) fn ready_length(&self) -> usize {
        self.ready.len()
    }

    /// How many tasks are queued.
    pub(crate) fn ready_tasks(&self) -> u64 {
        let mut tasks = 0;
        self.ready.for_each(|entry| tasks += u64::from(matches!(entry, Entry::Step(_))));
        tasks
    }
}

impl Class for Loop {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(0);
        &CELL
    }

    fn empty() -> Self {
        Self {
            ready: ReadyQueue::default(),
            timers: RefCell::default(),
            spacing: RefCell::default(),
            inbox: Inbox::default(),
            budget: RefCell::default(),
            waiting: RefCell::new(None),
            descriptors: Descriptors::default(),
            transports: Transports::default(),
            flags: Flags {
                closed: Cell::new(false),
                forked: Cell::new(false),
                stopping: Cell::new(false),
                turning: Cell::new(false),
                debug: Cell::new(false),
                thread: Cell::new(0),
                custom_call_soon: Cell::new(false),
                custom_time: Cell::new(false),
            },
            tasks: TaskCreation { factory: Slot::empty(), eager: Cell::new(false) },
            contexts: Contexts::default(),
            shown: Slot::empty(),
            see: LoopProbe::default(),
            fuzz: FuzzSchedule::default(),
        }
    }

    fn traverse(&self, visitor: &mut Visitor) {
        self.ready.for_each(|entry| entry.traverse(visitor));
        if let Ok(timers) = self.timers.try_borrow() {
            timers.for_each(|timer| visitor.object(timer.as_object()));
        }
        self.descriptors.traverse(visitor);
        self.transports.traverse(visitor);
        visitor.slot(&self.tasks.factory);
        self.contexts.traverse(visitor);
        visitor.slot(&self.shown);
        self.see.traverse(visitor);
    }

    fn clear(&self) {
        drop(self.ready.take());
        if let Ok(mut timers) = self.timers.try_borrow_mut() {
            let timers = timers.take();
            drop(timers);
        }
        drop(self.inbox.take());
        self.descriptors.clear();
        self.transports.clear();
        self.tasks.factory.clear();
        self.contexts.clear();
        self.shown.clear();
        self.see.clear();
    }
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    let builder = ClassBuilder::<Loop>::new(
        c"vivace._native.Loop",
        c"The engine of vivace.EventLoop: queues, timers, descriptors.",
    );
    let builder = scheduling::with_methods(builder);
    let builder = turn::with_methods(builder);
    let builder = fds::with_methods(builder);
    let builder = crate::transports::with_loop_methods(builder);
    let builder = crate::tls::with_loop_methods(builder);
    lifecycle::with_methods(builder)
        .notice_setattr(|this: &Instance<Loop>, name: &Object| lifecycle::notice(this, name))
        .build(None)
}
