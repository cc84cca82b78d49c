//! `vivace.Future`: a subclass of `asyncio.Future` with a body of its own.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the class |
//! | `core` | the state that futures and tasks share, and every change of it |
//! | `methods` | the methods and attributes that futures and tasks share |
//! | `callbacks` | who is told when it is done |
//! | `await_iter` | what `await future` drives |
//!
//! The base's own struct stays empty: every method and attribute is overridden, and a method
//! of the base called unbound on one of ours answers "not initialized".

pub(crate) mod await_iter;
pub(crate) mod callbacks;
pub(crate) mod core;
pub(crate) mod methods;

use self::core::Core;
use crate::ffi::{
    Args, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Result, Visitor, imports,
};

/// A future; see [`Core`].
#[derive(Default)]
pub(crate) struct Future {
    pub(crate) core: Core,
}

/// A class with the state of a future.
pub(crate) trait FutureLike: Class {
    fn core(&self) -> &Core;
}

impl FutureLike for Future {
    #[inline(always)]
    fn core(&self) -> &Core {
        &self.core
    }
}

impl Class for Future {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(1024);
        &CELL
    }
    fn empty() -> Self {
        Self::default()
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.core.traverse(visitor);
    }
    fn clear(&self) {
        self.core.clear();
    }
    fn wants_finalize(this: &Instance<Self>) -> bool {
        this.core.has_unseen_exception()
    }
    fn finalize(this: &Instance<Self>) {
        this.core.report_unseen_exception(this.object());
    }
}

fn init(this: &Instance<Future>, args: &Args<'_>) -> Result<()> {
    let [event_loop] = args.parse("Future", ["loop"], 0, 0)?;
    this.core.initialise(event_loop.filter(|event_loop: &&Object| !event_loop.is_none()))
}

fn repr(this: &Instance<Future>) -> Result<Owned> {
    imports().future_repr.call(&[this.object()])
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    methods::with_future_methods(ClassBuilder::<Future>::new(
        c"vivace.Future",
        c"Future(*, loop=None)\n--\n\nA result that will be there later; an asyncio.Future.",
    ))
    .init(init)
    .repr(repr)
    .finalizer()
    .build(Some(&imports().future_class))
}
