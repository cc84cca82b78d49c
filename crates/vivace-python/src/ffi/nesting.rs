//! Bounds how deeply one deallocation can lead to the next.
//!
//! A chain of futures that hold each other as results, dropped at its head, would recurse once
//! for each of them and run out of stack. Beyond some depth an object is put aside instead and
//! is deallocated when the outermost one is through. Guarded by the GIL.

use std::cell::{Cell, UnsafeCell};

use pyo3::ffi;

/// Deallocations inside each other; each takes some hundred bytes of stack.
const DEPTH: u32 = 50;

type Deallocate = unsafe fn(*mut ffi::PyObject);

struct Nesting {
    depth: Cell<u32>,
    later: UnsafeCell<Vec<(*mut ffi::PyObject, Deallocate)>>,
}

// SAFETY: every access happens under the GIL (module doc).
unsafe impl Sync for Nesting {}

static NESTING: Nesting = Nesting { depth: Cell::new(0), later: UnsafeCell::new(Vec::new()) };

/// Deallocates now, or later if this is too deep.
///
/// # Safety
/// `object` has no references left and `deallocate` is for its class; the GIL is held.
#[inline]
pub(super) unsafe fn bounded(object: *mut ffi::PyObject, deallocate: Deallocate) {
    let depth = NESTING.depth.get();
    // SAFETY: the caller's promise; the list is not borrowed while `deallocate` runs.
    unsafe {
        if depth >= DEPTH {
            // The collector must not meet an object without references.
            ffi::PyObject_GC_UnTrack(object.cast());
            (*NESTING.later.get()).push((object, deallocate));
            return;
        }
        NESTING.depth.set(depth + 1);
        deallocate(object);
        if depth == 0 {
            while let Some((object, deallocate)) = (*NESTING.later.get()).pop() {
                deallocate(object);
            }
        }
        NESTING.depth.set(depth);
    }
}
