//! Memory of dead instances, kept for the next ones of the same class.
//!
//! It saves the allocator and, since recycled objects do not count as allocations, rounds of
//! the garbage collector. Guarded by the GIL; builds without one keep nothing.

use std::cell::UnsafeCell;

use pyo3::ffi;

pub(super) struct Freelist {
    #[cfg_attr(Py_GIL_DISABLED, allow(dead_code))]
    keep: usize,
    kept: UnsafeCell<Vec<*mut ffi::PyObject>>,
}

// SAFETY: every access happens under the GIL (module doc).
unsafe impl Sync for Freelist {}

impl Freelist {
    pub(super) const fn new(keep: usize) -> Self {
        Self { keep, kept: UnsafeCell::new(Vec::new()) }
    }

    /// Memory to use again, or null.
    ///
    /// # Safety
    /// The caller holds the GIL.
    #[inline(always)]
    pub(super) unsafe fn pop(&self) -> *mut ffi::PyObject {
        // SAFETY: under the GIL, and nothing here calls out.
        unsafe { (*self.kept.get()).pop().unwrap_or(std::ptr::null_mut()) }
    }

    /// Keeps the memory of a dead instance, unless enough is kept.
    ///
    /// # Safety
    /// The caller holds the GIL; nothing refers to the instance and its fields are gone.
    #[inline(always)]
    pub(super) unsafe fn push(&self, object: *mut ffi::PyObject) -> bool {
        if cfg!(Py_GIL_DISABLED) {
            return false;
        }
        // SAFETY: under the GIL, and nothing here calls out.
        unsafe {
            let kept = &mut *self.kept.get();
            if kept.len() >= self.keep {
                return false;
            }
            kept.push(object);
            true
        }
    }
}
