//! Memory of ours, shown to a function of a C extension for the length of one call.
//!
//! `ssl.MemoryBIO.write` and its kin take anything with a buffer. A `Window` is such an object
//! over a part of a [`Memory`]: nothing is copied, nothing is allocated (windows are reused).
//!
//! INVARIANT: a view of a window points into memory that the window owns. It gives the memory
//! back when the call is over and no view is left. If the function kept one, the memory stays
//! with the window, as long as the view, and the call ends with a `BufferError`.

use std::cell::Cell;
use std::ffi::c_int;
use std::ops::Range;

use pyo3::ffi;

use super::class::{Class, ClassBuilder, ClassCell, Instance, Ref, allocate};
use super::error::{Builtin, Result, raise};
use super::gc::Visitor;
use super::memory::Memory;
use super::object::{Object, Owned};

/// An object with a buffer that is elsewhere.
pub(crate) struct Window {
    memory: Cell<Memory>,
    /// Null while it is closed.
    start: Cell<*mut u8>,
    length: Cell<usize>,
    access: Cell<Access>,
    views: Cell<usize>,
}

/// What the function may do with the memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Class for Window {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(4);
        &CELL
    }
    fn empty() -> Self {
        Self {
            memory: Cell::default(),
            start: Cell::new(std::ptr::null_mut()),
            length: Cell::new(0),
            access: Cell::new(Access::Read),
            views: Cell::new(0),
        }
    }
    fn traverse(&self, _visitor: &mut Visitor) {}
    fn clear(&self) {}
}

unsafe extern "C" fn get_buffer(
    slf: *mut ffi::PyObject,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> c_int {
    // SAFETY: a slot of the type, called with its instance. The view holds a reference to the
    // window, which keeps the memory while there are views.
    unsafe {
        let window = Instance::<Window>::from_ptr(slf);
        if window.start.get().is_null() {
            ffi::PyErr_SetString(ffi::PyExc_BufferError, c"the window is closed".as_ptr());
            return -1;
        }
        let filled = ffi::PyBuffer_FillInfo(
            view,
            slf,
            window.start.get().cast(),
            window.length.get() as ffi::Py_ssize_t,
            c_int::from(window.access.get() == Access::Read),
            flags,
        );
        if filled == 0 {
            window.views.set(window.views.get() + 1);
        }
        filled
    }
}

unsafe extern "C" fn release_buffer(slf: *mut ffi::PyObject, _view: *mut ffi::Py_buffer) {
    // SAFETY: a slot of the type, called with its instance.
    let window = unsafe { Instance::<Window>::from_ptr(slf) };
    window.views.set(window.views.get() - 1);
}

/// An open window; closes it, also when the body panics.
struct Open<'a> {
    window: Ref<Window>,
    /// Whose memory it is.
    lender: &'a mut Memory,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.window.start.set(std::ptr::null_mut());
        if self.window.views.get() == 0 {
            *self.lender = self.window.memory.take();
        }
    }
}

/// Shows a part of `memory` to what `body` calls.
///
/// If a view is kept, this is an error, and `memory` is empty afterwards.
pub(crate) fn lend<R>(
    memory: &mut Memory,
    part: Range<usize>,
    access: Access,
    body: impl FnOnce(&Object) -> Result<R>,
) -> Result<R> {
    let window = allocate(Window::empty())?;
    let shown = &mut memory.as_mut()[part];
    window.start.set(shown.as_mut_ptr().cast());
    window.length.set(shown.len());
    window.access.set(access);
    window.memory.set(std::mem::take(memory));
    let open = Open { window, lender: memory };
    let outcome = body(open.window.object())?;
    if open.window.views.get() != 0 {
        return Err(raise(Builtin::Buffer, "a view of memory lent for one call was kept"));
    }
    Ok(outcome)
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    ClassBuilder::<Window>::new(c"vivace._native.Window", c"Memory lent for one call.")
        .slot(ffi::Py_bf_getbuffer, get_buffer as *mut std::ffi::c_void)
        .slot(ffi::Py_bf_releasebuffer, release_buffer as *mut std::ffi::c_void)
        .build(None)
}
