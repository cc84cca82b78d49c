//! All pending tasks of the process, as a list that runs through the tasks themselves.
//!
//! Weak: being in the list does not keep a task alive, and a task leaves it when it is done or
//! deallocated. It replaces the WeakSet of `asyncio.tasks`, which costs more than creating the
//! task. Guarded by the GIL.
//!
//! From CPython 3.14 on asyncio has such a list itself, for its own tasks and for subclasses of
//! them, and no set that could be taught to look here: there a task is entered in asyncio's list
//! instead, and must leave it before its memory goes.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::ffi;

use super::class::{Class, Instance};
use super::error::Result;
use super::object::{Object, Owned};
use super::state::imports;

/// The place of one task in the list.
pub(crate) struct Link {
    object: Cell<*mut ffi::PyObject>,
    previous: Cell<*const Self>,
    next: Cell<*const Self>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            object: Cell::new(null_mut()),
            previous: Cell::new(null_mut()),
            next: Cell::new(null_mut()),
        }
    }
}

/// The first of the list. INVARIANT: every link reached from here is inside a live object.
static FIRST: AtomicPtr<Link> = AtomicPtr::new(null_mut());

/// A class whose instances can be listed.
pub(crate) trait Listed: Class {
    fn link(&self) -> &Link;
}

/// Puts an instance into the list; one that is in it stays.
#[inline]
pub(crate) fn enter<T: Listed>(instance: &Instance<T>) -> Result<()> {
    let link = instance.link();
    if !link.object.get().is_null() {
        return Ok(());
    }
    if cfg!(Py_3_14) {
        imports().register_task.call(&[instance.object()])?;
        link.object.set(instance.object().as_ptr());
        return Ok(());
    }
    let first = FIRST.load(Relaxed);
    link.object.set(instance.object().as_ptr());
    link.next.set(first);
    link.previous.set(null_mut());
    if !first.is_null() {
        // SAFETY: live by the invariant of the list.
        unsafe { (*first).previous.set(link) };
    }
    FIRST.store(std::ptr::from_ref(link).cast_mut(), Relaxed);
    Ok(())
}

/// Takes an instance out of the list, if it is in it.
#[inline]
pub(crate) fn leave<T: Listed>(instance: &Instance<T>) -> Result<()> {
    let link = instance.link();
    if cfg!(Py_3_14) && !link.object.replace(null_mut()).is_null() {
        return imports().unregister_task.call(&[instance.object()]).map(drop);
    }
    link.leave();
    Ok(())
}

impl Link {
    /// Whether the instance is in the list.
    pub(crate) fn is_entered(&self) -> bool {
        !self.object.get().is_null()
    }

    fn leave(&self) {
        debug_assert!(!cfg!(Py_3_14) || !self.is_entered(), "the finalizer has taken it out");
        if self.object.replace(null_mut()).is_null() {
            return;
        }
        let (previous, next) = (self.previous.get(), self.next.get());
        // SAFETY: neighbours are live by the invariant of the list.
        unsafe {
            if previous.is_null() {
                FIRST.store(next.cast_mut(), Relaxed);
            } else {
                (*previous).next.set(next);
            }
            if !next.is_null() {
                (*next).previous.set(previous);
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Every instance in the list.
pub(crate) fn all() -> Vec<Owned> {
    let mut found = Vec::new();
    let mut link = FIRST.load(Relaxed).cast_const();
    while !link.is_null() {
        // SAFETY: live by the invariant; no Python code runs during the walk. An object that
        // is being deallocated has no references left and is passed over.
        unsafe {
            let object = (*link).object.get();
            if ffi::Py_REFCNT(object) > 0 {
                found.push(Object::from_ptr(object).new_ref());
            }
            link = (*link).next.get();
        }
    }
    found
}
