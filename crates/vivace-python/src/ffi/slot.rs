//! Fields of native classes that hold Python objects.
//!
//! A `Slot` is read by taking a reference of one's own and written by replacing: no borrow
//! of the field is ever held while Python code runs, whatever that code does to the field.

use std::cell::Cell;

use super::object::{Object, Owned};

/// A pointer whose `clone` is nothing but an increment, and so runs no Python code.
pub(crate) trait Counted: Clone {
    fn as_object(&self) -> &Object;
}

impl Counted for Owned {
    fn as_object(&self) -> &Object {
        self
    }
}

/// A field that holds a reference or nothing (in C's eyes: a pointer that may be null).
#[repr(transparent)]
pub(crate) struct Slot<P: Counted = Owned>(Cell<Option<P>>);

impl<P: Counted> Slot<P> {
    pub(crate) const fn empty() -> Self {
        Self(Cell::new(None))
    }

    pub(crate) const fn new(value: P) -> Self {
        Self(Cell::new(Some(value)))
    }

    #[inline(always)]
    fn peek(&self) -> Option<&P> {
        // SAFETY: the reference does not leave this module, and none of the uses below runs
        // code that could write the cell while it lives.
        unsafe { (*self.0.as_ptr()).as_ref() }
    }

    /// A reference of one's own.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<P> {
        self.peek().cloned()
    }

    #[inline(always)]
    pub(crate) fn is_some(&self) -> bool {
        self.peek().is_some()
    }

    /// Whether the field holds just this object.
    #[inline(always)]
    pub(crate) fn is(&self, object: &Object) -> bool {
        self.peek().is_some_and(|held| held.as_object().is(object))
    }

    /// What `read` says of the value, which it must only look at: it runs no Python code.
    #[inline(always)]
    pub(crate) fn look<R>(&self, read: impl FnOnce(&P) -> R) -> Option<R> {
        self.peek().map(read)
    }

    /// Whether the field holds the only reference that there is to something.
    #[inline(always)]
    pub(crate) fn is_only_reference(&self) -> bool {
        self.peek().is_some_and(|held| held.as_object().references() == 1)
    }

    #[inline(always)]
    pub(crate) fn take(&self) -> Option<P> {
        self.0.take()
    }

    /// Puts `value` in; the old value is dropped after it has left the field.
    #[inline(always)]
    pub(crate) fn set(&self, value: P) {
        drop(self.0.replace(Some(value)));
    }

    #[inline(always)]
    pub(crate) fn replace(&self, value: Option<P>) -> Option<P> {
        self.0.replace(value)
    }

    pub(crate) fn clear(&self) {
        drop(self.0.take());
    }

    /// For the garbage collector: what is held, while nothing else runs.
    pub(super) fn for_visit(&self) -> Option<&Object> {
        self.peek().map(P::as_object)
    }
}

impl<P: Counted> Default for Slot<P> {
    fn default() -> Self {
        Self::empty()
    }
}

impl Slot {
    /// The value, or Python's `None`.
    pub(crate) fn get_or_none(&self) -> Owned {
        self.get().unwrap_or_else(super::text::none)
    }
}
