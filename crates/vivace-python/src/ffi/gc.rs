//! What a native class tells the garbage collector.

use std::ffi::{c_int, c_void};

use pyo3::ffi;

use super::object::Object;
use super::slot::{Counted, Slot};

/// Passed to `Class::traverse`: shows the collector every reference that is held.
pub(crate) struct Visitor {
    visit: ffi::visitproc,
    arg: *mut c_void,
    answer: c_int,
}

impl Visitor {
    pub(super) const fn new(visit: ffi::visitproc, arg: *mut c_void) -> Self {
        Self { visit, arg, answer: 0 }
    }

    pub(super) const fn answer(&self) -> c_int {
        self.answer
    }

    /// Shows one reference that the class owns.
    #[inline]
    pub(crate) fn object(&mut self, object: &Object) {
        if self.answer == 0 {
            // SAFETY: the collector's own function, with its own argument.
            self.answer = unsafe { (self.visit)(object.as_ptr(), self.arg) };
        }
    }

    #[inline]
    pub(crate) fn slot<P: Counted>(&mut self, slot: &Slot<P>) {
        if let Some(object) = slot.for_visit() {
            self.object(object);
        }
    }
}
