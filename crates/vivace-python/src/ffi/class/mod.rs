//! Native Python classes written as Rust structs.
//!
//! A class is a heap type made once at import by [`ClassBuilder`]. Its instances are the
//! base's struct, then the Rust struct of type `T: Class`; where the Rust part begins is read
//! from the base at import, because the size of `asyncio.Future` differs between versions.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what a class is, where its struct lies, how an instance is made |
//! | `builder` | what a class has: methods, attributes, slots |
//! | `entry_points` | how C reaches the functions given to the builder |
//! | `lifecycle` | how C makes, walks, finalizes and frees an instance |
//!
//! INVARIANT: `T` is initialised as soon as the object is visible to anybody
//! ([`allocate`], and `__new__` in `lifecycle`, are the only ways to make one), and stays so
//! until `lifecycle::deallocate`.

mod builder;
mod entry_points;
mod lifecycle;

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use pyo3::ffi;

use super::error::{Raised, Result};
use super::freelist::Freelist;
use super::gc::Visitor;
use super::object::{Object, Owned};
use super::slot::{Counted, Slot};

pub(crate) use builder::ClassBuilder;

/// What a Rust struct must tell to be the body of a Python class.
pub(crate) trait Class: Sized + 'static {
    /// The class's own cell: where its type and layout are kept once it is made.
    fn cell() -> &'static ClassCell;

    /// The struct of a new, not yet initialised instance.
    fn empty() -> Self;

    /// Shows the collector every reference held.
    fn traverse(&self, visitor: &mut Visitor);

    /// Lets go of every reference that can be part of a cycle.
    fn clear(&self);

    /// Whether `finalize` has something to do: asked before it is called on the way out.
    fn wants_finalize(_this: &Instance<Self>) -> bool {
        false
    }

    /// `__del__`: may run Python code and may resurrect the object.
    fn finalize(_this: &Instance<Self>) {}
}

/// Where a class keeps what is known of it after import.
pub(crate) struct ClassCell {
    class: AtomicPtr<ffi::PyTypeObject>,
    base: AtomicPtr<ffi::PyTypeObject>,
    offset: AtomicUsize,
    free: Freelist,
}

impl ClassCell {
    /// Where the Rust struct lies in an instance.
    pub(crate) fn offset(&self) -> usize {
        self.offset.load(Relaxed)
    }

    /// `keep` instances are kept for reuse instead of being freed.
    pub(crate) const fn new(keep: usize) -> Self {
        Self {
            class: AtomicPtr::new(std::ptr::null_mut()),
            base: AtomicPtr::new(std::ptr::null_mut()),
            offset: AtomicUsize::new(0),
            free: Freelist::new(keep),
        }
    }

    /// The class, once it is made.
    pub(crate) fn class_ptr(&self) -> *mut ffi::PyTypeObject {
        self.class.load(Relaxed)
    }
}

/// An instance of a native class, seen through a borrowed reference.
#[repr(transparent)]
pub(crate) struct Instance<T: Class>(Object, PhantomData<T>);

impl<T: Class> Instance<T> {
    /// # Safety
    /// `ptr` is a live instance of `T`'s class (or of a subclass).
    #[inline(always)]
    pub(in crate::ffi) unsafe fn from_ptr<'a>(ptr: *mut ffi::PyObject) -> &'a Self {
        // SAFETY: repr(transparent) over Object.
        unsafe { &*ptr.cast() }
    }

    #[inline(always)]
    pub(crate) fn object(&self) -> &Object {
        &self.0
    }

    #[inline(always)]
    pub(crate) fn counted(&self) -> Ref<T> {
        Ref(self.0.new_ref(), PhantomData)
    }

    /// Lets the garbage collector know of an instance that was made unseen.
    pub(crate) fn show_to_collector(&self) {
        // SAFETY: a live object whose struct is initialised.
        unsafe {
            if ffi::PyObject_GC_IsTracked(self.0.as_ptr()) == 0 {
                ffi::PyObject_GC_Track(self.0.as_ptr().cast());
            }
        }
    }
}

impl<T: Class> Deref for Instance<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the Rust struct lies at this offset in every instance (module invariant).
        unsafe { &*self.0.as_ptr().byte_add(T::cell().offset.load(Relaxed)).cast() }
    }
}

/// A counted reference to an instance of a native class.
#[repr(transparent)]
pub(crate) struct Ref<T: Class>(Owned, PhantomData<T>);

impl<T: Class> Ref<T> {
    #[inline(always)]
    pub(crate) fn into_owned(self) -> Owned {
        self.0
    }
}

impl<T: Class> Clone for Ref<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T: Class> Deref for Ref<T> {
    type Target = Instance<T>;
    #[inline(always)]
    fn deref(&self) -> &Instance<T> {
        // SAFETY: an instance of `T`'s class by construction.
        unsafe { Instance::from_ptr(self.0.as_ptr()) }
    }
}

impl<T: Class> Counted for Ref<T> {
    fn as_object(&self) -> &Object {
        &self.0
    }
}

impl Object {
    /// The instance, if the object is just of this class, not of a subclass.
    #[inline(always)]
    pub(crate) fn exact<T: Class>(&self) -> Option<&Instance<T>> {
        if self.class_ptr() == T::cell().class.load(Relaxed) {
            // SAFETY: checked above.
            Some(unsafe { Instance::from_ptr(self.as_ptr()) })
        } else {
            None
        }
    }

    /// The instance, if the object is of this class or of a subclass.
    #[inline]
    pub(crate) fn downcast<T: Class>(&self) -> Option<&Instance<T>> {
        let class = T::cell().class.load(Relaxed);
        // SAFETY: two types.
        if unsafe { ffi::PyObject_TypeCheck(self.as_ptr(), class) } != 0 {
            // SAFETY: checked above.
            Some(unsafe { Instance::from_ptr(self.as_ptr()) })
        } else {
            None
        }
    }
}

/// A new instance of the class itself, made by the engine.
#[inline]
pub(crate) fn allocate<T: Class>(body: T) -> Result<Ref<T>> {
    allocate_with(|| body)
}

/// A new instance whose struct is made where it stays, by `body`, which must not run Python
/// code: large structs are not moved.
#[inline(always)]
pub(crate) fn allocate_with<T: Class>(body: impl FnOnce() -> T) -> Result<Ref<T>> {
    make(body, Collector::Knows)
}

/// The same for an instance that the garbage collector may not need to know of.
#[inline(always)]
pub(crate) fn allocate_for<T: Class>(
    collector: Collector,
    body: impl FnOnce() -> T,
) -> Result<Ref<T>> {
    make(body, collector)
}

/// Whether the collector may find a new instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collector {
    Knows,
    /// Somebody alive holds the instance: [`Instance::show_to_collector`] must be called before
    /// that ends.
    KnowsNot,
}

#[inline(always)]
fn make<T: Class>(body: impl FnOnce() -> T, collector: Collector) -> Result<Ref<T>> {
    let cell = T::cell();
    let class = cell.class.load(Relaxed);
    // SAFETY: a recycled object has been taken apart by `deallocate` and is initialised here
    // before the collector or anybody else sees it; a fresh one comes zeroed and tracked, and
    // no Python code runs before the struct is written.
    unsafe {
        let recycled = cell.free.pop();
        let is_fresh = recycled.is_null();
        let ptr = if is_fresh {
            let ptr = ffi::PyType_GenericAlloc(class, 0);
            if ptr.is_null() {
                return Err(Raised);
            }
            ptr
        } else {
            ffi::PyObject_Init(recycled, class);
            recycled
        };
        ptr.byte_add(cell.offset.load(Relaxed)).cast::<T>().write(body());
        match (is_fresh, collector) {
            (true, Collector::KnowsNot) => ffi::PyObject_GC_UnTrack(ptr.cast()),
            (false, Collector::Knows) => ffi::PyObject_GC_Track(ptr.cast()),
            _ => {}
        }
        Ok(Ref(Owned::from_new_unchecked(ptr), PhantomData))
    }
}

/// The `__dict__` and the weak references of an instance whose base has neither.
#[repr(C)]
pub(crate) struct Extras {
    dict: Slot,
    weakrefs: Cell<*mut ffi::PyObject>,
}

// By hand: a pointer has a default only since Rust 1.88.
impl Default for Extras {
    fn default() -> Self {
        Self { dict: Slot::empty(), weakrefs: Cell::new(std::ptr::null_mut()) }
    }
}

impl Extras {
    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.dict);
    }

    pub(crate) fn clear(&self) {
        self.dict.clear();
    }
}
