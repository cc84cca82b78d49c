//! Memory of ours, shown to a function of a C extension for the length of one call.
//!
//! `ssl.MemoryBIO.write` and its kin take anything with a buffer. A `Window` is such an object
//! over memory that is no Python object: nothing is copied, nothing is allocated (windows are
//! reused).
//!
//! INVARIANT: memory is behind a window only inside [`lend`] and [`lend_mut`]. Whoever called
//! must have given its view back by then; code that kept one would read freed memory, so that
//! ends the process. Windows are therefore only for functions written in C that are known to
//! take a buffer for the length of the call, never for Python code.

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;

use pyo3::ffi;

use super::class::{Class, ClassBuilder, ClassCell, Instance, Ref, allocate};
use super::error::Result;
use super::gc::Visitor;
use super::object::{Object, Owned};

/// An object with a buffer that is elsewhere.
pub(crate) struct Window {
    start: Cell<*mut u8>,
    length: Cell<usize>,
    writable: Cell<bool>,
    views: Cell<usize>,
}

impl Class for Window {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(4);
        &CELL
    }
    fn empty() -> Self {
        Self {
            start: Cell::new(std::ptr::null_mut()),
            length: Cell::new(0),
            writable: Cell::new(false),
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
    // SAFETY: a slot of the type, called with its instance; the memory is valid while it is
    // behind the window (module doc).
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
            c_int::from(!window.writable.get()),
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

/// Closes the window, also when the body panics.
struct Open(Ref<Window>);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.views.get() != 0 {
            eprintln!("vivace: a buffer lent for one call was kept");
            std::process::abort();
        }
        self.0.start.set(std::ptr::null_mut());
    }
}

fn open<R>(
    start: *mut u8,
    length: usize,
    writable: bool,
    body: impl FnOnce(&Object) -> R,
) -> Result<R> {
    let window = Open(allocate(Window {
        start: Cell::new(start),
        length: Cell::new(length),
        writable: Cell::new(writable),
        views: Cell::new(0),
    })?);
    Ok(body(window.0.object()))
}

/// Shows `memory`, to be read, to what `body` calls.
#[inline]
pub(crate) fn lend<R>(memory: &[u8], body: impl FnOnce(&Object) -> R) -> Result<R> {
    open(memory.as_ptr().cast_mut(), memory.len(), false, body)
}

/// Shows `memory`, to be written, to what `body` calls.
#[inline]
pub(crate) fn lend_mut<R>(
    memory: &mut [MaybeUninit<u8>],
    body: impl FnOnce(&Object) -> R,
) -> Result<R> {
    open(memory.as_mut_ptr().cast(), memory.len(), true, body)
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    ClassBuilder::<Window>::new(c"vivace._native.Window", c"Memory lent for one call.")
        .slot(ffi::Py_bf_getbuffer, get_buffer as *mut std::ffi::c_void)
        .slot(ffi::Py_bf_releasebuffer, release_buffer as *mut std::ffi::c_void)
        .build(None)
}
