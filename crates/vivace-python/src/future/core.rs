//! The state of a future and every change of it.
//!
//! ```text
//!              set_result, set_exception
//!   PENDING ------------------------------> FINISHED
//!      |                cancel
//!      +----------------------------------> CANCELLED
//! ```
//!
//! A change queues the callbacks; nothing of the user's runs inside it. The rules are those of
//! CPython's `_asynciomodule.c` for the same version.

use std::cell::Cell;

use super::callbacks::{Callback, Callbacks};
use crate::event_loop::{Entry, Loop};
use crate::ffi::{
    Builtin, Environment, Instance, Object, Owned, Raised, Ref, Result, Slot, Visitor, context,
    error, imports, names, raise, text,
};
use crate::handles::Parts;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Pending,
    Cancelled,
    Finished,
}

/// What futures and tasks have in common.
pub(crate) struct Core {
    /// The loop, when it is one of ours; then `foreign` is empty.
    native: Slot<Ref<Loop>>,
    foreign: Slot,
    callbacks: Callbacks,
    result: Slot,
    exception: Slot,
    exception_traceback: Slot,
    cancel_message: Slot,
    cancelled_exception: Slot,
    source_traceback: Slot,
    state: Cell<State>,
    log_traceback: Cell<bool>,
    blocking: Cell<bool>,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            native: Slot::empty(),
            foreign: Slot::empty(),
            callbacks: Callbacks::default(),
            result: Slot::empty(),
            exception: Slot::empty(),
            exception_traceback: Slot::empty(),
            cancel_message: Slot::empty(),
            cancelled_exception: Slot::empty(),
            source_traceback: Slot::empty(),
            state: Cell::new(State::Pending),
            log_traceback: Cell::new(false),
            blocking: Cell::new(false),
        }
    }
}

impl Core {
    /// A new future becomes one of this loop's.
    #[inline(always)]
    pub(crate) fn join(&self, event_loop: &Instance<Loop>) {
        self.native.set(event_loop.counted());
    }

    /// `__init__`: everything from the start again, for `loop` or the current one.
    pub(crate) fn initialise(&self, event_loop: Option<&Object>) -> Result<()> {
        self.clear();
        self.state.set(State::Pending);
        self.log_traceback.set(false);
        self.blocking.set(false);
        let event_loop = match event_loop {
            Some(event_loop) => event_loop.new_ref(),
            None => imports().get_event_loop.call(&[])?,
        };
        let debug = match event_loop.downcast::<Loop>() {
            Some(native) => {
                self.native.set(native.counted());
                native.debug()
            }
            None => {
                self.foreign.set(event_loop.clone());
                event_loop.call_method(&names().get_debug, &[])?.is_true()?
            }
        };
        if debug {
            self.remember_source()?;
        }
        Ok(())
    }

    /// Debug mode: keeps the stack of whoever makes the future.
    pub(crate) fn remember_source(&self) -> Result<()> {
        self.source_traceback.set(imports().extract_stack.call(&[])?);
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.state.get() == State::Pending
    }

    #[inline(always)]
    pub(crate) fn blocking(&self) -> bool {
        self.blocking.get()
    }

    #[inline(always)]
    pub(crate) fn set_blocking(&self, blocking: bool) {
        self.blocking.set(blocking);
    }

    pub(crate) fn log_traceback(&self) -> bool {
        self.log_traceback.get()
    }

    pub(crate) fn silence(&self) {
        self.log_traceback.set(false);
    }

    /// The loop, if it is one of ours whose queue may be used directly: it does not check
    /// threads (debug mode), and nobody has put a `call_soon` of his own in.
    #[inline(always)]
    pub(crate) fn direct_loop(&self) -> Option<Ref<Loop>> {
        self.native.get().filter(|event_loop| event_loop.is_direct())
    }

    /// The loop, if it is one of ours.
    pub(crate) fn native_loop(&self) -> Option<Ref<Loop>> {
        self.native.get()
    }

    /// What `read` says of the loop, if it is one of ours; it must only look at it.
    #[inline(always)]
    pub(crate) fn look_at_loop<R>(&self, read: impl FnOnce(&Loop) -> R) -> Option<R> {
        self.native.look(|event_loop| read(event_loop))
    }

    /// Whether this future's loop is just this one.
    #[inline(always)]
    pub(crate) fn is_of(&self, event_loop: &Instance<Loop>) -> bool {
        self.native.is(event_loop.object())
    }

    /// Whether the loop is one of ours and its turns are being run. Counts no reference, for the
    /// collector's sake.
    pub(crate) fn loop_turns(&self) -> bool {
        self.native.look(|event_loop| event_loop.flags.turning.get()).unwrap_or(false)
    }

    pub(crate) fn has_native_loop(&self) -> bool {
        self.native.is_some()
    }

    pub(crate) fn is_initialised(&self) -> bool {
        self.native.is_some() || self.foreign.is_some()
    }

    /// The loop, or the error of an object whose `__init__` did not run.
    pub(crate) fn event_loop(&self) -> Result<Owned> {
        if let Some(native) = self.native.get() {
            return Ok(native.into_owned());
        }
        self.foreign
            .get()
            .ok_or_else(|| raise(Builtin::Runtime, "Future object is not initialized."))
    }

    pub(crate) fn event_loop_or_none(&self) -> Owned {
        self.native.get().map_or_else(|| self.foreign.get_or_none(), Ref::into_owned)
    }

    pub(crate) fn check_initialised(&self) -> Result<()> {
        if self.is_initialised() { Ok(()) } else { self.event_loop().map(drop) }
    }

    #[inline]
    fn check_pending(&self) -> Result<()> {
        if !self.is_initialised() {
            return self.check_initialised();
        }
        if self.is_pending() {
            Ok(())
        } else {
            Err(error::raise_class(&imports().invalid_state_error, "invalid state"))
        }
    }

    #[inline]
    pub(crate) fn set_result(&self, this: &Object, result: Owned) -> Result<()> {
        self.check_pending()?;
        self.result.set(result);
        self.state.set(State::Finished);
        self.schedule_callbacks(this)
    }

    pub(crate) fn set_exception(&self, this: &Object, exception: &Object) -> Result<()> {
        self.check_pending()?;
        let instance = if error::is_exception_class(exception) {
            exception.call(&[])?
        } else {
            exception.new_ref()
        };
        if !error::is_exception_instance(&instance) {
            return Err(raise(Builtin::Type, "invalid exception object"));
        }
        let instance = Self::without_stop_iteration(instance)?;
        if let Some(traceback) = error::traceback(&instance) {
            self.exception_traceback.set(traceback);
        }
        self.exception.set(instance);
        self.state.set(State::Finished);
        self.schedule_callbacks(this)?;
        self.log_traceback.set(true);
        Ok(())
    }

    /// A StopIteration would end the generator that awaits it.
    fn without_stop_iteration(instance: Owned) -> Result<Owned> {
        const MESSAGE: &str =
            "StopIteration interacts badly with generators and cannot be raised into a Future";
        if !error::is_exception_of(&instance, Builtin::StopIteration.object()) {
            return Ok(instance);
        }
        if !super::methods::wraps_stop_iteration() {
            return Err(raise(Builtin::Type, MESSAGE));
        }
        let wrapper = Builtin::Runtime.object().call(&[&*text::string(MESSAGE)?])?;
        error::set_cause(&wrapper, instance.clone());
        error::set_context(&wrapper, instance);
        Ok(wrapper)
    }

    /// Cancels, unless done. Says whether it did.
    pub(crate) fn cancel(&self, this: &Object, message: Option<&Object>) -> Result<bool> {
        self.log_traceback.set(false);
        if !self.is_pending() {
            return Ok(false);
        }
        self.state.set(State::Cancelled);
        drop(self.cancel_message.replace(message.map(Object::new_ref)));
        self.schedule_callbacks(this)?;
        Ok(true)
    }

    /// A task ends by the `CancelledError` that came out of its coroutine.
    pub(crate) fn cancel_by(&self, this: &Object, exception: Owned) -> Result<()> {
        self.cancelled_exception.set(exception);
        self.log_traceback.set(false);
        if self.is_pending() {
            self.state.set(State::Cancelled);
            drop(self.cancel_message.take());
            self.schedule_callbacks(this)?;
        }
        Ok(())
    }

    /// A task ends, although its coroutine returned, because it was asked to cancel.
    pub(crate) fn cancel_late(&self, this: &Object) -> Result<()> {
        let message = self.cancel_message.get();
        self.cancel(this, message.as_deref()).map(drop)
    }

    pub(crate) fn set_cancel_message(&self, message: Option<&Object>) {
        drop(self.cancel_message.replace(message.map(Object::new_ref)));
    }

    pub(crate) fn cancel_message(&self) -> Owned {
        self.cancel_message.get_or_none()
    }

    pub(crate) fn cancel_message_opt(&self) -> Option<Owned> {
        self.cancel_message.get()
    }

    /// The `CancelledError` to raise: the one that cancelled, once; else a new one.
    pub(crate) fn make_cancelled_error(&self) -> Result<Owned> {
        if let Some(exception) = self.cancelled_exception.take() {
            return Ok(exception);
        }
        match self.cancel_message.get().filter(|message| !message.is_none()) {
            Some(message) => imports().cancelled_error.call(&[&message]),
            None => imports().cancelled_error.call(&[]),
        }
    }

    /// How it ended: `Ok(result)` or `Err(exception)`; the outer error is a call too early.
    pub(crate) fn outcome(&self) -> Result<std::result::Result<Owned, Owned>> {
        match self.state.get() {
            State::Finished => {
                self.log_traceback.set(false);
                match self.exception.get() {
                    None => Ok(Ok(self.result.get_or_none())),
                    Some(exception) => {
                        // What earlier raises added to the traceback is not part of the error.
                        let traceback = self.exception_traceback.take();
                        error::set_traceback(&exception, traceback.as_deref());
                        Ok(Err(exception))
                    }
                }
            }
            State::Cancelled => Ok(Err(self.make_cancelled_error()?)),
            State::Pending => {
                Err(error::raise_class(&imports().invalid_state_error, "Result is not set."))
            }
        }
    }

    /// `result()`.
    #[inline]
    pub(crate) fn result(&self) -> Result<Owned> {
        match self.outcome()? {
            Ok(result) => Ok(result),
            Err(exception) => Err(error::raise_chained(&exception)),
        }
    }

    /// Whether it ended well, and nothing has to be thrown into a task that waits for it.
    #[inline(always)]
    pub(crate) fn succeeded(&self) -> bool {
        self.state.get() == State::Finished && !self.exception.is_some()
    }

    /// `exception()`.
    pub(crate) fn exception(&self) -> Result<Owned> {
        match self.state.get() {
            State::Finished => {
                self.log_traceback.set(false);
                Ok(self.exception.get_or_none())
            }
            State::Cancelled => Err(error::raise_chained(&*self.make_cancelled_error()?)),
            State::Pending => {
                Err(error::raise_class(&imports().invalid_state_error, "Exception is not set."))
            }
        }
    }

    pub(crate) fn result_slot(&self) -> Owned {
        self.result.get_or_none()
    }

    pub(crate) fn exception_slot(&self) -> Owned {
        self.exception.get_or_none()
    }

    pub(crate) fn source_traceback(&self) -> Owned {
        self.source_traceback.get_or_none()
    }

    pub(crate) fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }

    /// The environment of what is to run for this future: inside `given`, or as it is now.
    #[inline]
    pub(crate) fn environment(&self, given: Option<&Object>) -> Result<Environment> {
        match (self.native.get(), given) {
            (Some(native), _) => native.contexts.environment(given),
            (None, Some(context)) => Ok(Environment::own(context.new_ref())),
            (None, None) => Ok(Environment::own(context::copy_current()?)),
        }
    }

    /// `add_done_callback(function, context=context)`.
    pub(crate) fn add_done_callback(
        &self,
        this: &Object,
        function: &Object,
        context: Option<&Object>,
    ) -> Result<()> {
        self.check_initialised()?;
        let environment = self.environment(context)?;
        let callback = Callback::Call { function: function.new_ref(), environment };
        if self.is_pending() {
            self.callbacks.push(callback);
            Ok(())
        } else {
            self.schedule(this, callback)
        }
    }

    #[inline]
    fn schedule_callbacks(&self, this: &Object) -> Result<()> {
        let (first, rest) = self.callbacks.take();
        let mut outcome = Ok(());
        for callback in first.into_iter().chain(rest) {
            if let Err(raised) = self.schedule(this, callback) {
                // The loop is closed, say: the first error counts, the others are the same.
                match outcome {
                    Ok(()) => outcome = Err(raised),
                    Err(_) => raised.clear(),
                }
                return outcome;
            }
        }
        outcome
    }

    /// Queues one callback on the future's loop.
    #[inline]
    fn schedule(&self, this: &Object, callback: Callback) -> Result<()> {
        if let Some(event_loop) = self.direct_loop() {
            event_loop.check_open()?;
            event_loop.push(match callback {
                Callback::Wake(task) => Entry::Step(task),
                Callback::Call { function, environment } if event_loop.see.runs_for_thread() => {
                    let args = [this];
                    let parts = Parts::new(&event_loop, &function, &args, environment)?;
                    let parts = parts.queued_by_thread(true);
                    Entry::Handle(event_loop.make_handle(|| parts.handle())?)
                }
                Callback::Call { function, environment } => {
                    Entry::Callback { function, argument: this.new_ref(), environment }
                }
            });
            return Ok(());
        }
        let (function, context) = callback.into_function()?;
        let event_loop = self.event_loop()?;
        let call_soon = event_loop.getattr(&names().call_soon)?;
        call_soon
            .call_keywords(&[&function, this, &context], 2, &imports().context_keyword)
            .map(drop)
    }

    pub(crate) fn has_unseen_exception(&self) -> bool {
        self.log_traceback.get() && self.exception.is_some()
    }

    /// The report of an exception that nobody has looked at, when the last reference goes.
    pub(crate) fn report_unseen_exception(&self, this: &Object) {
        self.log_traceback.set(false);
        if let Err(raised) = self.try_report_unseen(this) {
            raised.write_unraisable(Some(this));
        }
    }

    fn try_report_unseen(&self, this: &Object) -> Result<()> {
        let Some(exception) = self.exception.get() else { return Ok(()) };
        let name = this.class().getattr(&*text::interned("__name__")?)?;
        let message = format!("{} exception was never retrieved", text::to_string_lossy(&name));
        let context = text::dict()?;
        text::dict_set(&context, &names().message, &*text::string(&message)?)?;
        text::dict_set(&context, &names().exception, &exception)?;
        text::dict_set(&context, &names().future, this)?;
        self.report(&context)
    }

    /// Hands a report to the loop's exception handler, with where the future was made.
    pub(crate) fn report(&self, context: &Object) -> Result<()> {
        if let Some(source) = self.source_traceback.get() {
            text::dict_set(context, &names().source_traceback, &source)?;
        }
        self.event_loop()?.call_method(&names().call_exception_handler, &[context]).map(drop)
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.native);
        visitor.slot(&self.foreign);
        self.callbacks.traverse(visitor);
        visitor.slot(&self.result);
        visitor.slot(&self.exception);
        visitor.slot(&self.exception_traceback);
        visitor.slot(&self.cancel_message);
        visitor.slot(&self.cancelled_exception);
        visitor.slot(&self.source_traceback);
    }

    pub(crate) fn clear(&self) {
        self.native.clear();
        self.foreign.clear();
        drop(self.callbacks.take());
        self.result.clear();
        self.exception.clear();
        self.exception_traceback.clear();
        self.cancel_message.clear();
        self.cancelled_exception.clear();
        self.source_traceback.clear();
    }
}

/// An error while a callback was queued, where only the report is left to do.
pub(crate) fn ignore(outcome: Result<()>, place: &Object) {
    if let Err(raised) = outcome {
        Raised::write_unraisable(raised, Some(place));
    }
}
