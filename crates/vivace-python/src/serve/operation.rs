//! What `receive()` and `send()` return: a native awaitable that is a coroutine as well.
//!
//! It mostly has its value at the first step, so that the application is not suspended. It has
//! `send`, `throw` and `close`, and so is a `collections.abc.Coroutine`: it can be awaited, given
//! to `asyncio.create_task`, and started in an anyio task group.

use std::cell::{Cell, RefCell};

use super::exchange::Exchange;
use super::websocket::WebSocket;
use crate::event_loop::Loop;
use crate::ffi::coroutine::{self, Sent, stop_with};
use crate::ffi::slot::Counted;
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Ref, Result, Slot,
    Visitor, allocate_with, error, names, raise, text,
};
use crate::future::Future;
use crate::future::await_iter::exception_to_throw;

/// What an operation waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it is done.
    Nothing,
    /// The next message for the application.
    Message,
    /// Room for more to write.
    Room,
    /// A coroutine that sends a file.
    File,
}

/// See the module.
pub(crate) struct Operation {
    wait: Cell<Wait>,
    /// An [`Exchange`] or a [`WebSocket`].
    party: Slot,
    /// The future that the task waits for.
    future: Slot<Ref<Future>>,
    coroutine: Slot,
}

impl Operation {
    fn new(wait: Wait) -> Self {
        Self {
            wait: Cell::new(wait),
            party: Slot::empty(),
            future: Slot::empty(),
            coroutine: Slot::empty(),
        }
    }
}

impl Class for Operation {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(256);
        &CELL
    }
    fn empty() -> Self {
        Self::new(Wait::Nothing)
    }
    fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.party);
        visitor.slot(&self.future);
        visitor.slot(&self.coroutine);
    }
    fn clear(&self) {
        self.party.clear();
        self.future.clear();
        self.coroutine.clear();
    }
}

/// An operation that is done, for any number of awaits.
pub(super) fn done() -> Result<Ref<Operation>> {
    allocate_with(Operation::empty)
}

/// An operation of `party`.
#[inline]
pub(super) fn waiting(party: &Object, wait: Wait) -> Result<Owned> {
    let operation = allocate_with(|| Operation::new(wait))?;
    operation.party.set(party.new_ref());
    Ok(operation.into_owned())
}

/// An operation that is a coroutine of Python's.
pub(super) fn of_coroutine(party: &Object, coroutine: Owned) -> Result<Owned> {
    let operation = allocate_with(|| Operation::new(Wait::File))?;
    operation.party.set(party.new_ref());
    operation.coroutine.set(coroutine);
    Ok(operation.into_owned())
}

/// Those who wait for something to happen to an exchange.
#[derive(Default)]
pub(super) struct Waiters(RefCell<Vec<Ref<Future>>>);

impl Waiters {
    fn wait(&self, event_loop: &Instance<Loop>) -> Result<Ref<Future>> {
        let future = allocate_with(Future::default)?;
        future.core.join(event_loop);
        self.0.borrow_mut().push(future.clone());
        Ok(future)
    }

    /// Lets all look again.
    #[inline]
    pub(super) fn wake(&self) -> Result<()> {
        if self.0.borrow().is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut *self.0.borrow_mut());
        for future in waiting {
            if future.core.is_pending() {
                future.core.set_result(future.object(), text::none())?;
            }
        }
        Ok(())
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        if let Ok(waiting) = self.0.try_borrow() {
            waiting.iter().for_each(|future| visitor.object(future.as_object()));
        }
    }

    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut *self.0.borrow_mut());
        drop(waiting);
    }
}

/// What the operation has come to, if it has.
fn outcome(party: &Object, wait: Wait) -> Result<Option<Owned>> {
    if let Some(exchange) = party.exact::<Exchange>() {
        return match wait {
            Wait::Message => exchange.next_message(),
            _ => exchange.has_room(),
        };
    }
    match party.exact::<WebSocket>() {
        Some(websocket) => match wait {
            Wait::Message => websocket.next_message(),
            _ => websocket.has_room(),
        },
        None => Ok(Some(text::none())),
    }
}

fn wait_for(party: &Object, wait: Wait) -> Result<Option<Ref<Future>>> {
    if let Some(exchange) = party.exact::<Exchange>() {
        if wait == Wait::Message {
            exchange.awaits_message();
        }
        return exchange.waiters.wait(&*exchange.event_loop()?).map(Some);
    }
    match party.exact::<WebSocket>() {
        Some(websocket) => websocket.waiters.wait(&*websocket.event_loop()?).map(Some),
        None => Ok(None),
    }
}

fn advance(this: &Instance<Operation>) -> Result<Sent> {
    let wait = this.wait.get();
    if wait == Wait::Nothing {
        return Ok(Sent::Returned(text::none()));
    }
    if let Some(coroutine) = this.coroutine.get() {
        return match coroutine::send(&coroutine, text::none_ref())? {
            Sent::Yielded(value) => Ok(Sent::Yielded(value)),
            Sent::Returned(value) => {
                finish(this);
                Ok(Sent::Returned(value))
            }
        };
    }
    if let Some(future) = this.future.get() {
        if future.core.is_pending() {
            return Err(raise(Builtin::Runtime, "await wasn't used with future"));
        }
        drop(this.future.take());
    }
    let Some(party) = this.party.get() else { return Ok(Sent::Returned(text::none())) };
    if let Some(value) = outcome(&party, wait)? {
        finish(this);
        return Ok(Sent::Returned(value));
    }
    let Some(future) = wait_for(&party, wait)? else { return Ok(Sent::Returned(text::none())) };
    future.core.set_blocking(true);
    this.future.set(future.clone());
    Ok(Sent::Yielded(future.into_owned()))
}

fn finish(this: &Instance<Operation>) {
    this.wait.set(Wait::Nothing);
    drop(this.party.take());
    drop(this.coroutine.take());
}

fn next(this: &Instance<Operation>) -> Result<Owned> {
    match advance(this)? {
        Sent::Yielded(value) => Ok(value),
        Sent::Returned(result) => Err(stop_with(result)),
    }
}

fn send(this: &Instance<Operation>, _value: &Object) -> Result<Owned> {
    match advance(this)? {
        Sent::Yielded(value) => Ok(value),
        // Called by hand, not by an `await`: an exception of its own, with `args`.
        Sent::Returned(result) => {
            Err(error::raise_instance(Builtin::StopIteration.object().call(&[&result])?))
        }
    }
}

fn throw(this: &Instance<Operation>, args: &Args<'_>) -> Result<Owned> {
    let exception = exception_to_throw(args)?;
    if let Some(coroutine) = this.coroutine.get() {
        return coroutine.call_method(&names().throw, &[&exception]);
    }
    if let Some(future) = this.future.take() {
        future.core.cancel(future.object(), None)?;
    }
    if this.wait.get() != Wait::Nothing {
        finish(this);
    }
    Err(error::raise_instance(exception))
}

fn close(this: &Instance<Operation>) -> Result<Owned> {
    if let Some(coroutine) = this.coroutine.get() {
        coroutine.call_method(&names().close, &[])?;
    }
    if this.wait.get() != Wait::Nothing {
        drop(this.future.take());
        finish(this);
    }
    Ok(text::none())
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<Operation>::new(
        c"vivace.Operation",
        c"What receive() and send() of an ASGI application return.",
    )
    .iter_and_await(|this: &Instance<Operation>| Ok(this.object().new_ref()))
    .next(next)
    .send(advance)
    .noargs(c"__await__", c"Itself.", |this: &Instance<Operation>| Ok(this.object().new_ref()))
    .onearg(c"send", c"Drives it one step; the value is not used.", send)
    .keywords(c"throw", c"Ends it with an exception.", throw)
    .noargs(c"close", c"Ends it.", close)
    .build(None)
}
