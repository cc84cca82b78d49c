//! `contextvars.Context`: running inside one, and copying the current one only when it must be.
//!
//! asyncio copies the current context for every callback and task. Nearly all of these copies
//! are equal, and die unchanged. So callbacks and tasks that were made while the variables were
//! the same share one copy, a *snapshot*, in which nothing ever runs. What runs is lent a
//! *spare*, a context with the same variables; if it changes a variable, or somebody keeps the
//! context (a token does), the spare becomes its own for good. To Python code each has a context
//! of its own, as in asyncio.
//!
//! Whether two contexts have the same variables is told by comparing two pointers: the variables
//! are an immutable tree. No public function shows that pointer, nor which context is the
//! current one, so the places of both are looked for at import ([`find_fields`]). Where they are
//! not found, and on builds without a GIL, everybody gets a copy at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pyo3::ffi;

use super::error::{Raised, Result};
use super::gc::Visitor;
use super::object::{Object, Owned};
use super::slot::Slot;

/// `contextvars.copy_context()`.
#[inline]
pub(crate) fn copy_current() -> Result<Owned> {
    // SAFETY: attached; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyContext_CopyCurrent()) }
}

/// `context.copy()`.
pub(crate) fn copy(context: &Object) -> Result<Owned> {
    // SAFETY: a live object; anything but a context is answered with TypeError.
    unsafe { Owned::from_new(ffi::PyContext_Copy(context.as_ptr())) }
}

/// Runs `body` inside `context`, as `context.run` does.
#[inline(always)]
pub(crate) fn run_in<R>(context: &Object, body: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: a live object; anything but a context is answered with TypeError.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(Raised);
    }
    let result = body();
    // SAFETY: entered above, and left by whoever entered later.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } < 0 && result.is_ok() {
        return Err(Raised);
    }
    result
}

/// A new context without variables.
pub(crate) fn empty() -> Result<Owned> {
    // SAFETY: attached; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyContext_New()) }
}

/// What a loop keeps for the environments of its callbacks and tasks.
#[derive(Default)]
pub(crate) struct Contexts {
    /// A copy of the context that was current when one was last asked for.
    snapshot: Slot,
    /// A context that ran something and has the variables that it had before.
    spare: Slot,
}

impl Contexts {
    /// The environment of what is scheduled now: inside `given`, or with today's variables.
    #[inline(always)]
    pub(crate) fn environment(&self, given: Option<&Object>) -> Result<Environment> {
        if let Some(context) = given {
            return Ok(Environment::own(context.new_ref()));
        }
        if let Some(snapshot) = self.snapshot.get() {
            if variables_of_thread().is_some_and(|now| Some(now) == variables_of(&snapshot)) {
                return Ok(Environment::shared(snapshot));
            }
        }
        self.new_snapshot()
    }

    fn new_snapshot(&self) -> Result<Environment> {
        let copy = copy_current()?;
        if variables_of(&copy).is_none() {
            return Ok(Environment::own(copy));
        }
        self.snapshot.set(copy.clone());
        Ok(Environment::shared(copy))
    }

    /// Lets go of what nobody shares any more: the values of its variables must not outlive the
    /// callbacks and tasks that could see them. Called once a turn.
    #[inline(always)]
    pub(crate) fn tidy(&self) {
        if self.snapshot.is_only_reference() {
            self.clear();
        }
    }

    /// A context with the variables of `snapshot`, that nobody else has.
    #[inline(always)]
    fn lend(&self, snapshot: &Object) -> Result<Owned> {
        match self.spare.take() {
            Some(spare) if variables_of(&spare) == variables_of(snapshot) => Ok(spare),
            _ => copy(snapshot),
        }
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.snapshot);
        visitor.slot(&self.spare);
    }

    pub(crate) fn clear(&self) {
        self.snapshot.clear();
        self.spare.clear();
    }
}

/// Most tasks have no more steps than this, and callbacks run once.
const BORROWINGS: u8 = 3;

/// The context in which a callback or a task runs.
#[derive(Default)]
pub(crate) struct Environment {
    context: Slot,
    /// Not 0: the context is a snapshot, which others may have as well and in which nothing
    /// runs, and so often a spare will be borrowed. A spare costs less than a copy, but for each
    /// run: what runs often gets a context of its own.
    borrowings: Cell<u8>,
}

impl Environment {
    /// Inside a context that is nobody else's business.
    #[inline(always)]
    pub(crate) const fn own(context: Owned) -> Self {
        Self { context: Slot::new(context), borrowings: Cell::new(0) }
    }

    #[inline(always)]
    const fn shared(snapshot: Owned) -> Self {
        Self { context: Slot::new(snapshot), borrowings: Cell::new(BORROWINGS) }
    }

    /// Runs `body` inside the context; what cannot be entered is an error.
    #[inline(always)]
    pub(crate) fn run<R>(
        &self,
        contexts: &Contexts,
        body: impl FnOnce() -> Result<R>,
    ) -> Result<Option<R>> {
        let Some(context) = self.context.get() else { return Ok(None) };
        let borrowings = self.borrowings.get();
        let (entered, snapshot) = if borrowings == 0 {
            (context, None)
        } else {
            let spare = contexts.lend(&context)?;
            // Whoever asks for the context meanwhile gets the one that is entered.
            self.set(spare.clone(), 0);
            (spare, Some(context))
        };
        let result = run_in(&entered, body);
        if let (Some(snapshot), Ok(_)) = (snapshot, &result) {
            if borrowings > 1 {
                self.give_back(contexts, entered, snapshot, borrowings - 1);
            }
        }
        result.map(Some)
    }

    /// The spare goes back, unless it is not what it was any more: then it stays.
    #[inline(always)]
    fn give_back(&self, contexts: &Contexts, spare: Owned, snapshot: Owned, borrowings: u8) {
        let untouched = spare.references() == 2
            && self.context.is(&spare)
            && variables_of(&spare) == variables_of(&snapshot);
        if untouched {
            self.set(snapshot, borrowings);
            contexts.spare.set(spare);
        }
    }

    #[inline(always)]
    fn set(&self, context: Owned, borrowings: u8) {
        self.borrowings.set(borrowings);
        self.context.set(context);
    }

    /// The context, to be shown to Python code, and from then on its own.
    pub(crate) fn context(&self) -> Result<Option<Owned>> {
        if self.borrowings.get() != 0 {
            if let Some(snapshot) = self.context.get() {
                self.set(copy(&snapshot)?, 0);
            }
        }
        Ok(self.context.get())
    }

    /// The same, or Python's `None`.
    pub(crate) fn context_or_none(&self) -> Result<Owned> {
        Ok(self.context()?.unwrap_or_else(super::text::none))
    }

    /// The same again, for another holder.
    pub(crate) fn duplicate(&self) -> Self {
        let duplicate = Self { context: Slot::empty(), borrowings: self.borrowings.clone() };
        drop(duplicate.context.replace(self.context.get()));
        duplicate
    }

    pub(crate) fn replace(&self, other: Self) {
        self.borrowings.set(other.borrowings.get());
        drop(self.context.replace(other.context.take()));
    }

    pub(crate) fn clear(&self) {
        self.context.clear();
        self.borrowings.set(0);
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.context);
    }
}

/// Where a thread state has its current context, and a context its variables; 0: not known.
static IN_THREAD: AtomicUsize = AtomicUsize::new(0);
static IN_CONTEXT: AtomicUsize = AtomicUsize::new(0);

/// What stands for the variables of a context: equal for equal variables that came from one
/// another, for as long as one of the contexts lives. `None`: it cannot be told.
#[inline(always)]
fn variables_of(context: &Object) -> Option<usize> {
    match IN_CONTEXT.load(Relaxed) {
        0 => None,
        // SAFETY: a context, all of whose words can be read; this one is a pointer.
        offset => Some(unsafe { context.as_ptr().byte_add(offset).cast::<usize>().read() }),
    }
}

/// The same of the context that is current in this thread.
#[inline(always)]
fn variables_of_thread() -> Option<usize> {
    let offset = IN_THREAD.load(Relaxed);
    if offset == 0 {
        return None;
    }
    // SAFETY: this thread's state, whose word at this offset is null or its current context.
    unsafe {
        let thread = ffi::compat::PyThreadState_GetUnchecked();
        let context = thread.byte_add(offset).cast::<*mut ffi::PyObject>().read();
        if context.is_null() { None } else { variables_of(Object::from_ptr(context)) }
    }
}

/// How much of a thread state is searched. It is larger in every version.
const SEARCHED: usize = 256;

/// Looks for both places, by watching which words change as contexts are entered and variables
/// set. Nothing is taken as found unless there is just one such word.
pub(super) fn find_fields() -> Result<()> {
    if cfg!(Py_GIL_DISABLED) {
        return Ok(());
    }
    let (first, second) = (empty()?, empty()?);
    // SAFETY: attached; a new reference or null.
    let variable = unsafe {
        Owned::from_new(ffi::PyContextVar_New(c"vivace".as_ptr(), std::ptr::null_mut()))?
    };
    let set = |value: &Object| {
        // SAFETY: a live variable and a live value.
        unsafe {
            Owned::from_new(ffi::PyContextVar_Set(variable.as_ptr(), value.as_ptr())).map(drop)
        }
    };
    let in_first = run_in(&first, || {
        set(super::text::none_ref())?;
        Ok(places_in_thread(&first))
    })?;
    let in_second = run_in(&second, || Ok(places_in_thread(&second)))?;
    let outside = [places_in_thread(&first), places_in_thread(&second)].concat();
    let in_thread: Vec<usize> = in_first
        .into_iter()
        .filter(|place| in_second.contains(place) && !outside.contains(place))
        .collect();

    // A copy has the same variables, and others once one is set; everything else in a context
    // that is not entered is zero.
    let copied = copy(&first)?;
    let before = (words(&first), words(&copied));
    run_in(&copied, || set(&variable.class()))?;
    let after = words(&copied);
    let in_context: Vec<usize> = (FIRST_FIELD..after.len())
        .filter(|&index| {
            let (original, same) = (before.0[index], before.1[index]);
            original != 0 && original == same && after[index] != original && after[index] != 0
        })
        .collect();

    if let ([thread], [context]) = (&*in_thread, &*in_context) {
        IN_CONTEXT.store(context * size_of::<usize>(), Relaxed);
        IN_THREAD.store(thread * size_of::<usize>(), Relaxed);
    }
    Ok(())
}

/// The first word of an object behind its reference count and type.
const FIRST_FIELD: usize = size_of::<ffi::PyObject>() / size_of::<usize>();

fn words(context: &Object) -> Vec<usize> {
    // SAFETY: every word of an object can be read, and so many it has.
    unsafe {
        let size = (*context.class_ptr()).tp_basicsize as usize;
        std::slice::from_raw_parts(context.as_ptr().cast::<usize>(), size / size_of::<usize>())
            .to_vec()
    }
}

/// The words of this thread's state that are a pointer to `context`.
fn places_in_thread(context: &Object) -> Vec<usize> {
    // SAFETY: a thread state is larger than what is read here.
    let words = unsafe {
        let thread = ffi::compat::PyThreadState_GetUnchecked();
        std::slice::from_raw_parts(thread.cast::<usize>(), SEARCHED / size_of::<usize>())
    };
    (0..words.len()).filter(|&index| words[index] == context.as_ptr() as usize).collect()
}
