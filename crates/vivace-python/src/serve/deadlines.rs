//! How long a connection may take for what: several deadlines, one timer.
//!
//! Setting and lifting a deadline writes a number. The timer is moved only when a deadline comes
//! before it; one that fires too early looks when the next one is.

use std::cell::Cell;

use super::connection::Connection;
use crate::event_loop::Loop;
use crate::ffi::function::{Body, Function};
use crate::ffi::{Instance, Object, Owned, Result, Slot, Visitor, text};

/// What a client or an application can be late with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Late {
    /// The next request on a connection that had one.
    KeepAlive,
    /// The head of a request.
    Header,
    /// The body of a request.
    Body,
    /// Taking what was written.
    Write,
    /// The application, with its response.
    Request,
    /// The next ping of a WebSocket, or the answer to one.
    Ping,
    /// The end of a connection that is being closed.
    Close,
}

const ALL: [Late; 7] = [
    Late::KeepAlive,
    Late::Header,
    Late::Body,
    Late::Write,
    Late::Request,
    Late::Ping,
    Late::Close,
];

const NEVER: f64 = f64::INFINITY;

/// The deadlines of one connection.
pub(super) struct Deadlines {
    at: [Cell<f64>; ALL.len()],
    timer: Slot,
    timer_at: Cell<f64>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            at: std::array::from_fn(|_| Cell::new(NEVER)),
            timer: Slot::empty(),
            timer_at: Cell::new(NEVER),
        }
    }
}

impl Deadlines {
    /// Nothing is awaited any more.
    #[inline]
    pub(super) fn lift(&self, late: Late) {
        self.at[late as usize].set(NEVER);
    }

    /// When it is too late; never if it is not awaited.
    pub(super) fn time_of(&self, late: Late) -> f64 {
        self.at[late as usize].get()
    }

    pub(super) fn is_set(&self, late: Late) -> bool {
        self.at[late as usize].get() != NEVER
    }

    fn first(&self) -> Option<(Late, f64)> {
        let mut first = None;
        for late in ALL {
            let at = self.at[late as usize].get();
            if at < first.map_or(NEVER, |(_, at)| at) {
                first = Some((late, at));
            }
        }
        first
    }

    /// Nothing is awaited, and no timer is left.
    pub(super) fn end(&self) -> Result<()> {
        ALL.iter().for_each(|late| self.lift(*late));
        self.timer_at.set(NEVER);
        match self.timer.take() {
            Some(timer) => timer.call_method(&crate::ffi::names().cancel, &[]).map(drop),
            None => Ok(()),
        }
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.timer);
    }

    pub(super) fn clear(&self) {
        self.timer.clear();
    }
}

struct FireBody;

impl Body for FireBody {
    fn call(bound: &Object, _argument: &Object) -> Result<Owned> {
        if let Some(connection) = bound.exact::<Connection>() {
            fire(connection)?;
        }
        Ok(text::none())
    }
}

static FIRE: Function = Function::new::<FireBody>(c"deadline");

impl Instance<Connection> {
    /// Something is awaited for this many seconds from now on.
    #[inline]
    pub(super) fn await_within(&self, late: Late, seconds: f64) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        self.await_until(late, event_loop.now()? + seconds)
    }

    /// Something is awaited until then.
    #[inline]
    pub(super) fn await_until(&self, late: Late, at: f64) -> Result<()> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        self.deadlines.at[late as usize].set(at);
        if at < self.deadlines.timer_at.get() { set_timer(self, &event_loop, at) } else { Ok(()) }
    }
}

fn set_timer(
    connection: &Instance<Connection>,
    event_loop: &Instance<Loop>,
    at: f64,
) -> Result<()> {
    let callback = FIRE.bind(connection.object())?;
    let timer = event_loop.call_at(at, &callback, &[text::none_ref()])?;
    connection.deadlines.timer_at.set(at);
    match connection.deadlines.timer.replace(Some(timer)) {
        Some(old) => old.call_method(&crate::ffi::names().cancel, &[]).map(drop),
        None => Ok(()),
    }
}

fn fire(connection: &Instance<Connection>) -> Result<()> {
    let deadlines = &connection.deadlines;
    deadlines.timer.clear();
    deadlines.timer_at.set(NEVER);
    let Some(event_loop) = connection.event_loop.get() else { return Ok(()) };
    let now = event_loop.now()?;
    while let Some((late, at)) = deadlines.first() {
        if at > now {
            return set_timer(connection, &event_loop, at);
        }
        deadlines.lift(late);
        connection.late(late)?;
    }
    Ok(())
}
