//! How C makes, walks, finalizes and frees an instance: the slots that every class has.

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::Ordering::Relaxed;

use pyo3::ffi;

use super::{Class, ClassCell, Instance, allocate};
use crate::ffi::edge::edge;
use crate::ffi::error::{Builtin, Raised, raise};
use crate::ffi::gc::Visitor;
use crate::ffi::nesting;
use crate::ffi::object::Object;

/// `cls.__new__`: an empty instance, of the class or of a subclass written in Python.
pub(super) unsafe extern "C" fn entry_new<T: Class>(
    class: *mut ffi::PyTypeObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    edge(std::ptr::null_mut(), || {
        let cell = T::cell();
        if class == cell.class.load(Relaxed) {
            return allocate(T::empty()).map(|made| made.into_owned().into_ptr());
        }
        // SAFETY: a subclass of ours keeps our layout; the struct is written before any
        // Python code can run.
        unsafe {
            let ptr = ffi::PyType_GenericAlloc(class, 0);
            if ptr.is_null() {
                return Err(Raised);
            }
            ptr.byte_add(cell.offset.load(Relaxed)).cast::<T>().write(T::empty());
            Ok(ptr)
        }
    })
}

pub(super) unsafe extern "C" fn entry_new_refused(
    class: *mut ffi::PyTypeObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a type has a name for as long as it lives.
    let name = unsafe { CStr::from_ptr((*class).tp_name) }.to_string_lossy();
    let Raised = raise(Builtin::Type, &format!("cannot create '{name}' instances"));
    std::ptr::null_mut()
}

pub(super) unsafe extern "C" fn entry_traverse<T: Class>(
    slf: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let cell = T::cell();
    let mut visitor = Visitor::new(visit, arg);
    // SAFETY: an instance with an initialised struct; the collector runs nothing else.
    unsafe {
        let this = Instance::<T>::from_ptr(slf);
        T::traverse(this, &mut visitor);
        let base = base_traverse(cell);
        if !base_shows_type(cell) {
            visitor.object(Object::from_ptr(ffi::Py_TYPE(slf).cast()));
        }
        if visitor.answer() != 0 {
            return visitor.answer();
        }
        base.map_or(0, |traverse| traverse(slf, visit, arg))
    }
}

pub(super) unsafe extern "C" fn entry_clear<T: Class>(slf: *mut ffi::PyObject) -> c_int {
    // SAFETY: an instance with an initialised struct.
    unsafe {
        let this = Instance::<T>::from_ptr(slf);
        T::clear(this);
        if let Some(clear) = base_clear(T::cell()) {
            clear(slf);
        }
    }
    0
}

pub(super) unsafe extern "C" fn entry_finalize<T: Class>(slf: *mut ffi::PyObject) {
    // SAFETY: an instance; whatever exception is on its way is kept aside meanwhile.
    unsafe {
        let this = Instance::<T>::from_ptr(slf);
        if !T::wants_finalize(this) {
            return;
        }
        let saved = SavedError::take();
        edge((), || {
            T::finalize(this);
            Ok(())
        });
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_WriteUnraisable(slf);
        }
        saved.restore();
    }
}

pub(super) unsafe extern "C" fn entry_dealloc<T: Class>(slf: *mut ffi::PyObject) {
    // SAFETY: the reference count is zero: nobody else sees the object.
    unsafe { nesting::bounded(slf, deallocate::<T>) }
}

unsafe fn deallocate<T: Class>(slf: *mut ffi::PyObject) {
    let cell = T::cell();
    // SAFETY: the reference count is zero: nobody else sees the object. The order is that of
    // CPython's own classes: finalizer, collector, weak references, fields, memory, type.
    unsafe {
        let class = ffi::Py_TYPE(slf);
        let this = Instance::<T>::from_ptr(slf);
        if T::wants_finalize(this) && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
            return;
        }
        ffi::PyObject_GC_UnTrack(slf.cast());
        if has_weak_references(slf, class) {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        let body = slf.byte_add(cell.offset.load(Relaxed)).cast::<T>();
        std::ptr::drop_in_place(body);
        if let Some(clear) = base_clear(cell) {
            clear(slf);
        }
        // The collector's mark "finalized" would stay on recycled memory.
        let reusable = class == cell.class.load(Relaxed) && ffi::PyObject_GC_IsFinalized(slf) == 0;
        if !reusable || !cell.free.push(slf) {
            if let Some(free) = (*class).tp_free {
                free(slf.cast());
            }
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// Whether anybody may have a weak reference to the object.
///
/// # Safety
/// A live object of this class.
#[inline(always)]
unsafe fn has_weak_references(slf: *mut ffi::PyObject, class: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a class that allows them has the start of their list at this place of its objects.
    unsafe {
        let offset = (*class).tp_weaklistoffset;
        offset != 0
            && (cfg!(Py_GIL_DISABLED)
                || !slf.byte_offset(offset).cast::<*mut ffi::PyObject>().read().is_null())
    }
}

/// The exception that was on its way when a finalizer began.
struct SavedError(#[cfg(Py_3_12)] *mut ffi::PyObject, #[cfg(not(Py_3_12))] [*mut ffi::PyObject; 3]);

impl SavedError {
    unsafe fn take() -> Self {
        // SAFETY: attached; the references are ours until `restore`.
        unsafe {
            #[cfg(Py_3_12)]
            return Self(ffi::PyErr_GetRaisedException());
            #[cfg(not(Py_3_12))]
            {
                let mut parts = [std::ptr::null_mut(); 3];
                let [kind, value, traceback] = &mut parts;
                ffi::PyErr_Fetch(kind, value, traceback);
                Self(parts)
            }
        }
    }

    unsafe fn restore(self) {
        // SAFETY: gives the references back.
        unsafe {
            #[cfg(Py_3_12)]
            ffi::PyErr_SetRaisedException(self.0);
            #[cfg(not(Py_3_12))]
            ffi::PyErr_Restore(self.0[0], self.0[1], self.0[2]);
        }
    }
}

/// `tp_traverse` of a base written in C. One written in Python has `subtype_traverse`, which
/// starts from the type of the object and would come back to us.
unsafe fn base_traverse(cell: &ClassCell) -> Option<ffi::traverseproc> {
    let base = cell.base.load(Relaxed);
    // SAFETY: null, or a type that lives as long as ours.
    if base.is_null() { None } else { unsafe { (*base).tp_traverse } }
}

/// Whether the base's own traversal shows the type of the object: that of a heap type does,
/// that of a static type (asyncio's in CPython 3.11) does not. Once is right.
unsafe fn base_shows_type(cell: &ClassCell) -> bool {
    let base = cell.base.load(Relaxed);
    // SAFETY: null, or a type that lives as long as ours.
    !base.is_null() && unsafe { (*base).tp_flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 }
}

unsafe fn base_clear(cell: &ClassCell) -> Option<ffi::inquiry> {
    let base = cell.base.load(Relaxed);
    // SAFETY: as above.
    if base.is_null() { None } else { unsafe { (*base).tp_clear } }
}
