//! References to Python objects: `&Object` is borrowed, `Owned` is counted.
//!
//! INVARIANT: a thread that holds either is attached to the interpreter (it
//! holds the GIL). Both types are `!Send`, so safe code cannot carry one into
//! [`super::thread::detached`]; what crosses threads does so inside
//! [`super::thread::Crossing`].

use std::cell::UnsafeCell;
use std::ops::Deref;
use std::ptr::NonNull;

use pyo3::ffi;

use super::error::{Raised, Result};

/// Any Python object, seen through a borrowed reference.
#[repr(transparent)]
pub(crate) struct Object(UnsafeCell<ffi::PyObject>);

impl Object {
    /// Borrows what `ptr` points to.
    ///
    /// # Safety
    /// `ptr` is not null and stays alive for `'a`; this thread is attached.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr<'a>(ptr: *mut ffi::PyObject) -> &'a Self {
        debug_assert!(!ptr.is_null());
        // SAFETY: same layout (repr(transparent)); liveness is the caller's promise.
        unsafe { &*ptr.cast() }
    }

    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.get()
    }

    /// Where it lies: for telling objects apart, and for reading memory that may be gone.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        self.as_ptr() as usize
    }

    #[inline(always)]
    pub(crate) fn new_ref(&self) -> Owned {
        // SAFETY: a live object behind a reference; attached by the module's invariant.
        unsafe {
            ffi::Py_INCREF(self.as_ptr());
            Owned(NonNull::new_unchecked(self.as_ptr()))
        }
    }

    /// How many references there are to it.
    #[inline(always)]
    pub(crate) fn references(&self) -> isize {
        // SAFETY: a live object.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) as isize }
    }

    /// `a is b`.
    #[inline(always)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    #[inline(always)]
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: `Py_None` is a static address.
        std::ptr::eq(self.as_ptr(), unsafe { ffi::Py_None() })
    }

    /// `type(self)`.
    #[inline(always)]
    pub(crate) fn class_ptr(&self) -> *mut ffi::PyTypeObject {
        // SAFETY: a live object has a type.
        unsafe { ffi::Py_TYPE(self.as_ptr()) }
    }

    pub(crate) fn class(&self) -> Owned {
        // SAFETY: a type is an object, alive as long as its instance.
        unsafe { Self::from_ptr(self.class_ptr().cast()) }.new_ref()
    }

    /// `isinstance(self, class)`, errors included.
    pub(crate) fn is_instance(&self, class: &Self) -> Result<bool> {
        // SAFETY: two live objects.
        match unsafe { ffi::PyObject_IsInstance(self.as_ptr(), class.as_ptr()) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    }

    pub(crate) fn is_true(&self) -> Result<bool> {
        // SAFETY: a live object.
        match unsafe { ffi::PyObject_IsTrue(self.as_ptr()) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    }

    #[inline]
    pub(crate) fn getattr(&self, name: &Self) -> Result<Owned> {
        // SAFETY: two live objects.
        unsafe { Owned::from_new(ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// The attribute, or `None` (Rust's) when there is none.
    pub(crate) fn getattr_opt(&self, name: &Self) -> Result<Option<Owned>> {
        match self.getattr(name) {
            Ok(value) => Ok(Some(value)),
            Err(raised) => {
                // SAFETY: the exception types are static objects.
                if unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) } == 1 {
                    raised.clear();
                    Ok(None)
                } else {
                    Err(raised)
                }
            }
        }
    }

    pub(crate) fn setattr(&self, name: &Self, value: &Self) -> Result<()> {
        // SAFETY: three live objects.
        match unsafe { ffi::PyObject_SetAttr(self.as_ptr(), name.as_ptr(), value.as_ptr()) } {
            0 => Ok(()),
            _ => Err(Raised),
        }
    }

    pub(crate) fn is_callable(&self) -> bool {
        // SAFETY: a live object.
        unsafe { ffi::PyCallable_Check(self.as_ptr()) == 1 }
    }

    /// `a == b` by Python's rules.
    pub(crate) fn equals(&self, other: &Self) -> Result<bool> {
        // SAFETY: two live objects.
        match unsafe { ffi::PyObject_RichCompareBool(self.as_ptr(), other.as_ptr(), ffi::Py_EQ) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    }
}

/// A counted reference: the one way to keep an object.
#[repr(transparent)]
pub(crate) struct Owned(NonNull<ffi::PyObject>);

impl Owned {
    /// Takes over a new reference; null means that an exception is set.
    ///
    /// # Safety
    /// `ptr` is null with an exception set, or a reference that the caller gives away.
    #[inline(always)]
    pub(crate) unsafe fn from_new(ptr: *mut ffi::PyObject) -> Result<Self> {
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Self(ptr)),
            None => Err(Raised),
        }
    }

    /// Takes over a new reference that is known not to be null.
    ///
    /// # Safety
    /// `ptr` is a live object whose reference the caller gives away.
    #[inline(always)]
    pub(crate) unsafe fn from_new_unchecked(ptr: *mut ffi::PyObject) -> Self {
        debug_assert!(!ptr.is_null());
        // SAFETY: not null by the caller's promise.
        Self(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// Gives the reference away, to C code that steals it.
    #[inline(always)]
    pub(crate) fn into_ptr(self) -> *mut ffi::PyObject {
        let ptr = self.0.as_ptr();
        std::mem::forget(self);
        ptr
    }
}

impl Clone for Owned {
    #[inline(always)]
    fn clone(&self) -> Self {
        self.new_ref()
    }
}

impl Drop for Owned {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the reference is ours; attached by the module's invariant.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) }
    }
}

impl Deref for Owned {
    type Target = Object;
    #[inline(always)]
    fn deref(&self) -> &Object {
        // SAFETY: alive as long as our reference.
        unsafe { Object::from_ptr(self.0.as_ptr()) }
    }
}

impl From<&Object> for Owned {
    #[inline(always)]
    fn from(object: &Object) -> Self {
        object.new_ref()
    }
}
