//! All pending tasks of the process, as a list that runs through the tasks themselves.
//!
//! A task leaves it when it is done or deallocated. It replaces the WeakSet of `asyncio.tasks`,
//! which costs more than creating the task. Guarded by the GIL.
//!
//! From CPython 3.14 on asyncio has such a list itself, for its own tasks and for subclasses of
//! them, and no set that could be taught to look here: there a task is entered in asyncio's list
//! as well, and must leave it before its memory goes.
//!
//! A task of one of our loops is *held* while it is in the list: one of the references to it is
//! its own. The collector is shown that reference only while the loop does not run. So a task
//! that nobody else refers to lives while its loop runs, and is garbage, as in asyncio, as soon
//! as nobody runs the loop any more.

use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use pyo3::ffi;

use super::class::{Class, Instance};
use super::error::Result;
use super::gc::Visitor;
use super::object::{Object, Owned};
use super::state::imports;

/// The place of one task in the list.
pub(crate) struct Link {
    object: Cell<*mut ffi::PyObject>,
    previous: Cell<*const Self>,
    next: Cell<*const Self>,
    held: Cell<bool>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            object: Cell::new(null_mut()),
            previous: Cell::new(null_mut()),
            next: Cell::new(null_mut()),
            held: Cell::new(false),
        }
    }
}

/// The first of the list. INVARIANT: every link reached from here is inside a live object.
static FIRST: AtomicPtr<Link> = AtomicPtr::new(null_mut());

/// How many are in the list.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// See [`COUNT`].
pub(crate) fn count() -> usize {
    COUNT.load(Relaxed)
}

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
    }
    // Guarded by the GIL, as the list is.
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
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
    if link.object.get().is_null() {
        return Ok(());
    }
    link.leave();
    release(instance);
    if cfg!(Py_3_14) {
        return imports().unregister_task.call(&[instance.object()]).map(drop);
    }
    Ok(())
}

/// Has an instance of the list hold itself.
#[inline]
pub(crate) fn hold<T: Listed>(instance: &Instance<T>) {
    let link = instance.link();
    if !link.object.get().is_null() && !link.held.replace(true) {
        std::mem::forget(instance.counted());
    }
}

/// Whether an instance holds itself.
pub(crate) fn is_held<T: Listed>(instance: &Instance<T>) -> bool {
    instance.link().held.get()
}

/// Takes back what `hold` did. The caller has another reference.
#[inline]
pub(crate) fn release<T: Listed>(instance: &Instance<T>) {
    if instance.link().held.replace(false) {
        // SAFETY: the reference that `hold` has kept; it is given away once, as the mark says.
        drop(unsafe { Owned::from_new_unchecked(instance.object().as_ptr()) });
    }
}

impl Link {
    /// Whether the instance is in the list.
    pub(crate) fn is_entered(&self) -> bool {
        !self.object.get().is_null()
    }

    /// Shows the collector the reference that the instance has to itself.
    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        if self.held.get() {
            // SAFETY: the link is in the list, so its object is alive.
            visitor.object(unsafe { Object::from_ptr(self.object.get()) });
        }
    }

    fn leave(&self) {
        if self.object.replace(null_mut()).is_null() {
            return;
        }
        COUNT.store(COUNT.load(Relaxed) - 1, Relaxed);
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
        debug_assert!(!cfg!(Py_3_14) || !self.is_entered(), "the finalizer has taken it out");
        self.leave();
    }
}

/// Shows every instance in the list, without counting a reference, until `each` says no; `each`
/// must run no Python code.
pub(crate) fn for_each(mut each: impl FnMut(&Object) -> bool) {
    let mut link = FIRST.load(Relaxed).cast_const();
    while !link.is_null() {
        // SAFETY: live by the invariant; no Python code runs during the walk. An object that
        // is being deallocated has no references left and is passed over.
        unsafe {
            let object = (*link).object.get();
            if ffi::Py_REFCNT(object) > 0 && !each(Object::from_ptr(object)) {
                return;
            }
            link = (*link).next.get();
        }
    }
}

/// Every instance in the list.
pub(crate) fn all() -> Vec<Owned> {
    let mut found = Vec::new();
    for_each(|object| {
        found.push(object.new_ref());
        true
    });
    found
}
