//! Native Python classes written as Rust structs.
//!
//! A class is a heap type made once at import by [`ClassBuilder`]. Its instances are the
//! base's struct, then the Rust struct of type `T: Class`; where the Rust part begins is read
//! from the base at import, because the size of `asyncio.Future` differs between versions.
//!
//! Methods are plain safe functions. Each is passed as a value of its own zero-sized function
//! type, from which the C entry point is generated: no table, no boxed closure, and a panic
//! becomes a Python exception at that edge.
//!
//! INVARIANT: `T` is initialised as soon as the object is visible to anybody
//! ([`allocate`] is the only way to make one), and stays so until `deallocate`.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::{align_of, offset_of, size_of};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use pyo3::ffi;

use super::call::Args;
use super::error::{Builtin, Raised, Result, raise};
use super::freelist::Freelist;
use super::gc::Visitor;
use super::object::{Object, Owned};
use super::slot::{Counted, Slot};

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
    /// `keep` instances are kept for reuse instead of being freed.
    pub(crate) const fn new(keep: usize) -> Self {
        Self {
            class: AtomicPtr::new(std::ptr::null_mut()),
            base: AtomicPtr::new(std::ptr::null_mut()),
            offset: AtomicUsize::new(0),
            free: Freelist::new(keep),
        }
    }
}

/// An instance of a native class, seen through a borrowed reference.
#[repr(transparent)]
pub(crate) struct Instance<T: Class>(Object, PhantomData<T>);

impl<T: Class> Instance<T> {
    /// # Safety
    /// `ptr` is a live instance of `T`'s class (or of a subclass).
    #[inline(always)]
    pub(super) unsafe fn from_ptr<'a>(ptr: *mut ffi::PyObject) -> &'a Self {
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
    let cell = T::cell();
    let class = cell.class.load(Relaxed);
    // SAFETY: a recycled object has been taken apart by `deallocate` and is initialised here
    // before the collector or anybody else sees it; a fresh one comes zeroed and tracked, and
    // no Python code runs before the struct is written.
    unsafe {
        let recycled = cell.free.pop();
        let ptr = if recycled.is_null() {
            let ptr = ffi::PyType_GenericAlloc(class, 0);
            if ptr.is_null() {
                return Err(Raised);
            }
            ptr.byte_add(cell.offset.load(Relaxed)).cast::<T>().write(body());
            ptr
        } else {
            ffi::PyObject_Init(recycled, class);
            recycled.byte_add(cell.offset.load(Relaxed)).cast::<T>().write(body());
            ffi::PyObject_GC_Track(recycled.cast());
            recycled
        };
        Ok(Ref(Owned::from_new_unchecked(ptr), PhantomData))
    }
}

/// Runs the body of an entry point from C; a panic becomes `SystemError`.
#[inline(always)]
fn edge<R>(on_error: R, body: impl FnOnce() -> Result<R>) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(Raised)) => on_error,
        Err(payload) => {
            raise_panic(&*payload);
            on_error
        }
    }
}

#[cold]
fn raise_panic(payload: &(dyn std::any::Any + Send)) {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let Raised = raise(Builtin::System, &format!("vivace: internal error: {text}"));
}

#[inline(always)]
fn edge_object(body: impl FnOnce() -> Result<Owned>) -> *mut ffi::PyObject {
    edge(std::ptr::null_mut(), || body().map(Owned::into_ptr))
}

/// Makes a value of a function type that has no size.
#[inline(always)]
fn conjure<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "methods are plain functions, without captures") };
    // SAFETY: a type without size has one value, and one was shown to the builder.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}

unsafe extern "C" fn entry_noargs<T: Class, F>(
    slf: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> Result<Owned> + Copy,
{
    // SAFETY: the method descriptor checked the type of `self`.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }))
}

unsafe extern "C" fn entry_onearg<T: Class, F>(
    slf: *mut ffi::PyObject,
    arg: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>, &Object) -> Result<Owned> + Copy,
{
    // SAFETY: the method descriptor checked the type of `self`; the argument is alive.
    edge_object(|| unsafe { conjure::<F>()(Instance::from_ptr(slf), Object::from_ptr(arg)) })
}

unsafe extern "C" fn entry_keywords<T: Class, F>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>, &Args<'_>) -> Result<Owned> + Copy,
{
    // SAFETY: as above; the arguments are as vectorcall promises.
    edge_object(|| unsafe {
        conjure::<F>()(Instance::from_ptr(slf), &Args::from_raw(args, nargs, names))
    })
}

unsafe extern "C" fn entry_getter<T: Class, F>(
    slf: *mut ffi::PyObject,
    _: *mut c_void,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> Result<Owned> + Copy,
{
    // SAFETY: the descriptor checked the type of `self`.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }))
}

unsafe extern "C" fn entry_setter<T: Class, F>(
    slf: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    _: *mut c_void,
) -> c_int
where
    F: Fn(&Instance<T>, Option<&Object>) -> Result<()> + Copy,
{
    // SAFETY: as above; a null value means deletion.
    edge(-1, || unsafe {
        let value = if value.is_null() { None } else { Some(Object::from_ptr(value)) };
        conjure::<F>()(Instance::from_ptr(slf), value).map(|()| 0)
    })
}

unsafe extern "C" fn entry_unary<T: Class, F>(slf: *mut ffi::PyObject) -> *mut ffi::PyObject
where
    F: Fn(&Instance<T>) -> Result<Owned> + Copy,
{
    // SAFETY: a slot of the type, called with its instance.
    edge_object(|| conjure::<F>()(unsafe { Instance::from_ptr(slf) }))
}

unsafe extern "C" fn entry_init<T: Class, F>(
    slf: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> c_int
where
    F: Fn(&Instance<T>, &Args<'_>) -> Result<()> + Copy,
{
    // SAFETY: `tp_init` gets an instance, a tuple, and a dictionary or null.
    edge(-1, || unsafe {
        let keywords = if keywords.is_null() { None } else { Some(Object::from_ptr(keywords)) };
        Args::with_tuple(Object::from_ptr(args), keywords, |args| {
            conjure::<F>()(Instance::from_ptr(slf), args)
        })?;
        Ok(0)
    })
}

unsafe extern "C" fn entry_send<T: Class, F>(
    slf: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult
where
    F: Fn(&Instance<T>) -> Result<super::coroutine::Sent> + Copy,
{
    use super::coroutine::Sent;
    // SAFETY: `am_send` gets an instance and a place for the result.
    unsafe { *result = std::ptr::null_mut() };
    edge(ffi::PySendResult::PYGEN_ERROR, || {
        // SAFETY: as above.
        unsafe {
            match conjure::<F>()(Instance::from_ptr(slf))? {
                Sent::Yielded(value) => {
                    *result = value.into_ptr();
                    Ok(ffi::PySendResult::PYGEN_NEXT)
                }
                Sent::Returned(value) => {
                    *result = value.into_ptr();
                    Ok(ffi::PySendResult::PYGEN_RETURN)
                }
            }
        }
    })
}

unsafe extern "C" fn entry_setattr<T: Class, F>(
    slf: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int
where
    F: Fn(&Instance<T>, &Object) + Copy,
{
    // SAFETY: `tp_setattro` gets an instance, a name, and a value or null.
    edge(-1, || unsafe {
        conjure::<F>()(Instance::from_ptr(slf), Object::from_ptr(name));
        match ffi::PyObject_GenericSetAttr(slf, name, value) {
            0 => Ok(0),
            _ => Err(Raised),
        }
    })
}

/// `cls.__new__`: an empty instance, of the class or of a subclass written in Python.
unsafe extern "C" fn entry_new<T: Class>(
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

unsafe extern "C" fn entry_new_refused(
    class: *mut ffi::PyTypeObject,
    _args: *mut ffi::PyObject,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: a type has a name for as long as it lives.
    let name = unsafe { CStr::from_ptr((*class).tp_name) }.to_string_lossy();
    let Raised = raise(Builtin::Type, &format!("cannot create '{name}' instances"));
    std::ptr::null_mut()
}

unsafe extern "C" fn entry_traverse<T: Class>(
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

unsafe extern "C" fn entry_clear<T: Class>(slf: *mut ffi::PyObject) -> c_int {
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

unsafe extern "C" fn entry_finalize<T: Class>(slf: *mut ffi::PyObject) {
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

unsafe extern "C" fn entry_dealloc<T: Class>(slf: *mut ffi::PyObject) {
    // SAFETY: the reference count is zero: nobody else sees the object.
    unsafe { super::nesting::bounded(slf, deallocate::<T>) }
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
        if (*class).tp_weaklistoffset != 0 {
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

/// Collects what a class has, then makes it.
pub(crate) struct ClassBuilder<T: Class> {
    name: &'static CStr,
    doc: &'static CStr,
    methods: Vec<ffi::PyMethodDef>,
    getsets: Vec<ffi::PyGetSetDef>,
    members: Vec<ffi::PyMemberDef>,
    slots: Vec<ffi::PyType_Slot>,
    constructible: bool,
    marker: PhantomData<T>,
}

impl<T: Class> ClassBuilder<T> {
    /// `name` with its module: `vivace.Future`.
    pub(crate) fn new(name: &'static CStr, doc: &'static CStr) -> Self {
        Self {
            name,
            doc,
            methods: Vec::new(),
            getsets: Vec::new(),
            members: Vec::new(),
            slots: Vec::new(),
            constructible: false,
            marker: PhantomData,
        }
    }

    fn method(
        mut self,
        name: &'static CStr,
        flags: c_int,
        entry: ffi::PyMethodDefPointer,
        doc: &'static CStr,
    ) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: entry,
            ml_flags: flags,
            ml_doc: doc.as_ptr(),
        });
        self
    }

    /// A method without arguments.
    pub(crate) fn noargs<F>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        let entry = ffi::PyMethodDefPointer { PyCFunction: entry_noargs::<T, F> };
        self.method(name, ffi::METH_NOARGS, entry, doc)
    }

    /// A method with one argument, by position.
    pub(crate) fn onearg<F>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Object) -> Result<Owned> + Copy,
    {
        let entry = ffi::PyMethodDefPointer { PyCFunction: entry_onearg::<T, F> };
        self.method(name, ffi::METH_O, entry, doc)
    }

    /// A method with any arguments.
    pub(crate) fn keywords<F>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Args<'_>) -> Result<Owned> + Copy,
    {
        let entry = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry_keywords::<T, F> };
        self.method(name, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, entry, doc)
    }

    /// An attribute that can be read.
    pub(crate) fn getter<F>(mut self, name: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        self.getsets.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(entry_getter::<T, F>),
            set: None,
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        });
        self
    }

    /// An attribute that can be read and written.
    pub(crate) fn property<F, G>(mut self, name: &'static CStr, _: F, _: G) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
        G: Fn(&Instance<T>, Option<&Object>) -> Result<()> + Copy,
    {
        self.getsets.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(entry_getter::<T, F>),
            set: Some(entry_setter::<T, G>),
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        });
        self
    }

    pub(super) fn slot(mut self, slot: c_int, function: *mut c_void) -> Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc: function });
        self
    }

    /// Lets Python make instances, initialised by `__init__`.
    pub(crate) fn init<F>(mut self, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Args<'_>) -> Result<()> + Copy,
    {
        self.constructible = true;
        self.slot(ffi::Py_tp_init, entry_init::<T, F> as *mut c_void)
            .slot(ffi::Py_tp_new, entry_new::<T> as *mut c_void)
    }

    /// `__repr__`.
    pub(crate) fn repr<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        self.slot(ffi::Py_tp_repr, entry_unary::<T, F> as *mut c_void)
    }

    /// `__iter__` and `__await__`.
    pub(crate) fn iter_and_await<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        self.slot(ffi::Py_tp_iter, entry_unary::<T, F> as *mut c_void)
            .slot(ffi::Py_am_await, entry_unary::<T, F> as *mut c_void)
    }

    /// `__iter__`.
    pub(crate) fn iter<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        self.slot(ffi::Py_tp_iter, entry_unary::<T, F> as *mut c_void)
    }

    /// `__next__`; the end is `Err` with `StopIteration` set, or with nothing set.
    pub(crate) fn next<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<Owned> + Copy,
    {
        self.slot(ffi::Py_tp_iternext, entry_unary::<T, F> as *mut c_void)
    }

    /// `am_send`: what drives an awaitable without `StopIteration`.
    pub(crate) fn send<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> Result<super::coroutine::Sent> + Copy,
    {
        self.slot(ffi::Py_am_send, entry_send::<T, F> as *mut c_void)
    }

    /// Is told the name of each attribute that is set or deleted on an instance, before it is.
    pub(crate) fn notice_setattr<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Object) + Copy,
    {
        self.slot(ffi::Py_tp_setattro, entry_setattr::<T, F> as *mut c_void)
    }

    /// Has `__del__`.
    pub(crate) fn finalizer(self) -> Self {
        self.slot(ffi::Py_tp_finalize, entry_finalize::<T> as *mut c_void)
    }

    /// Gives instances a `__dict__` and weak references, for a base that has none; `offset`
    /// is where `T` keeps its [`Extras`].
    pub(crate) fn with_dict(mut self, offset: usize) -> Self {
        for (name, field) in [
            (c"__dictoffset__", offset_of!(Extras, dict)),
            (c"__weaklistoffset__", offset_of!(Extras, weakrefs)),
        ] {
            self.members.push(ffi::PyMemberDef {
                name: name.as_ptr(),
                type_code: ffi::Py_T_PYSSIZET,
                // The offset of the struct is added when the class is made.
                offset: (offset + field) as ffi::Py_ssize_t,
                flags: ffi::Py_READONLY,
                doc: std::ptr::null(),
            });
        }
        self.getsets.push(ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        });
        self
    }

    /// Makes the class, as a subclass of `base` if one is given.
    pub(crate) fn build(mut self, base: Option<&Object>) -> Result<Owned> {
        let cell = T::cell();
        // SAFETY: the address of a static type.
        let base_ptr: *mut ffi::PyTypeObject =
            base.map_or_else(|| &raw mut ffi::PyBaseObject_Type, |base| base.as_ptr().cast());
        // SAFETY: a ready type.
        let base_size = unsafe { (*base_ptr).tp_basicsize } as usize;
        let offset = base_size.next_multiple_of(align_of::<T>());
        for member in &mut self.members {
            member.offset += offset as ffi::Py_ssize_t;
        }
        // SAFETY: zeroed entries end the arrays, which live as long as the type: for ever.
        let (methods, getsets, members) = unsafe {
            self.methods.push(std::mem::zeroed());
            self.getsets.push(std::mem::zeroed());
            self.members.push(std::mem::zeroed());
            (self.methods.leak(), self.getsets.leak(), self.members.leak())
        };
        let mut slots = self.slots;
        let mut add = |slot, pfunc| slots.push(ffi::PyType_Slot { slot, pfunc });
        if !self.constructible {
            add(ffi::Py_tp_new, entry_new_refused as *mut c_void);
        }
        add(ffi::Py_tp_doc, self.doc.as_ptr() as *mut c_void);
        add(ffi::Py_tp_methods, methods.as_mut_ptr().cast());
        add(ffi::Py_tp_getset, getsets.as_mut_ptr().cast());
        add(ffi::Py_tp_members, members.as_mut_ptr().cast());
        add(ffi::Py_tp_dealloc, entry_dealloc::<T> as *mut c_void);
        add(ffi::Py_tp_traverse, entry_traverse::<T> as *mut c_void);
        add(ffi::Py_tp_clear, entry_clear::<T> as *mut c_void);
        add(0, std::ptr::null_mut());
        // A base written in Python can be changed, and then a subclass must be so too.
        // SAFETY: a ready type.
        let fixed_base = unsafe { (*base_ptr).tp_flags & ffi::Py_TPFLAGS_IMMUTABLETYPE != 0 };
        let written_in_c = base.is_some() && fixed_base;
        let mut flags =
            ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC;
        if base.is_none() || fixed_base {
            flags |= ffi::Py_TPFLAGS_IMMUTABLETYPE;
        }
        let mut spec = ffi::PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: (offset + size_of::<T>()) as c_int,
            itemsize: 0,
            flags: flags as u32,
            slots: slots.as_mut_ptr(),
        };
        let bases = match base {
            Some(base) => super::text::tuple(&[base])?,
            None => super::text::tuple(&[])?,
        };
        cell.offset.store(offset, Relaxed);
        // SAFETY: a complete specification; CPython copies what it does not own.
        let class = unsafe {
            let bases = if base.is_some() { bases.as_ptr() } else { std::ptr::null_mut() };
            Owned::from_new(ffi::PyType_FromSpecWithBases(&mut spec, bases))?
        };
        if written_in_c {
            cell.base.store(base_ptr, Relaxed);
        }
        // The reference kept here is never given up: `class_of` borrows from it.
        cell.class.store(class.clone().into_ptr().cast(), Relaxed);
        Ok(class)
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
