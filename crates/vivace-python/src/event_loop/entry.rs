//! What can wait in the ready queue of a loop.

use vivace_see::live::Kind;

use crate::ffi::slot::Counted;
use crate::ffi::{Environment, Owned, Ref, Visitor};
use crate::handles::{AsHandle, Handle, ThreadSafeHandle, TimerHandle};
use crate::task::Task;
use crate::transports::listener::Listener;
use crate::transports::stream::Stream;

/// One thing to run.
pub(crate) enum Entry {
    /// A callback that the user can cancel.
    Handle(Ref<Handle>),
    /// One that another thread may cancel.
    ThreadSafe(Ref<ThreadSafeHandle>),
    /// A timer whose deadline has passed.
    Timer(Ref<TimerHandle>),
    /// A task takes its next step.
    Step(Ref<Task>),
    /// `function(argument)` inside `environment`: a done callback, say.
    Callback { function: Owned, argument: Owned, environment: Environment },
    /// A connection whose descriptor became ready, or that has something to tell its protocol.
    Stream(Ref<Stream>),
    /// A listening socket with connections waiting.
    Listener(Ref<Listener>),
}

impl Entry {
    /// What it is and where it lies, for the diagnostics; not for steps of tasks.
    #[inline(always)]
    pub(super) fn described(&self) -> (Kind, usize) {
        match self {
            Self::Handle(handle) => (Kind::Handle, handle.object().address()),
            Self::ThreadSafe(handle) => (Kind::Handle, handle.object().address()),
            Self::Timer(timer) => (Kind::Timer, timer.object().address()),
            Self::Step(task) => (Kind::Step, task.object().address()),
            Self::Callback { function, .. } => (Kind::Callback, function.address()),
            Self::Stream(stream) => (Kind::Stream, stream.object().address()),
            Self::Listener(listener) => (Kind::Listener, listener.object().address()),
        }
    }

    /// Whether another thread has queued it.
    #[inline(always)]
    pub(super) fn is_from_thread(&self) -> bool {
        match self {
            Self::Handle(handle) => handle.is_from_thread(),
            Self::ThreadSafe(handle) => AsHandle::handle(&***handle).is_from_thread(),
            _ => false,
        }
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        match self {
            Self::Handle(handle) => visitor.object(handle.as_object()),
            Self::ThreadSafe(handle) => visitor.object(handle.as_object()),
            Self::Timer(timer) => visitor.object(timer.as_object()),
            Self::Step(task) => visitor.object(task.as_object()),
            Self::Callback { function, argument, environment } => {
                visitor.object(function);
                visitor.object(argument);
                environment.traverse(visitor);
            }
            Self::Stream(stream) => visitor.object(stream.as_object()),
            Self::Listener(listener) => visitor.object(listener.as_object()),
        }
    }
}
