//! What a class has, collected and then made into a type.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::{align_of, offset_of, size_of};
use std::sync::atomic::Ordering::Relaxed;

use pyo3::ffi;

use super::entry_points::{
    entry_call, entry_getter, entry_init, entry_keywords, entry_noargs, entry_onearg, entry_send,
    entry_setattr, entry_setter, entry_unary,
};
use super::lifecycle::{
    entry_clear, entry_dealloc, entry_finalize, entry_new, entry_new_refused, entry_traverse,
};
use super::{Class, Extras, Instance};
use crate::ffi::answer::Answer;
use crate::ffi::call::Args;
use crate::ffi::coroutine::Sent;
use crate::ffi::error::Result;
use crate::ffi::object::{Object, Owned};
use crate::ffi::text;

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

    fn attribute(
        mut self,
        name: &'static CStr,
        get: ffi::getter,
        set: Option<ffi::setter>,
    ) -> Self {
        self.getsets.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get),
            set,
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        });
        self
    }

    /// A method without arguments.
    pub(crate) fn noargs<F, A>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> A + Copy,
        A: Answer,
    {
        let entry = ffi::PyMethodDefPointer { PyCFunction: entry_noargs::<T, F, A> };
        self.method(name, ffi::METH_NOARGS, entry, doc)
    }

    /// A method with one argument, by position.
    pub(crate) fn onearg<F, A>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Object) -> A + Copy,
        A: Answer,
    {
        let entry = ffi::PyMethodDefPointer { PyCFunction: entry_onearg::<T, F, A> };
        self.method(name, ffi::METH_O, entry, doc)
    }

    /// A method with any arguments.
    pub(crate) fn keywords<F, A>(self, name: &'static CStr, doc: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Args<'_>) -> A + Copy,
        A: Answer,
    {
        let entry =
            ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry_keywords::<T, F, A> };
        self.method(name, ffi::METH_FASTCALL | ffi::METH_KEYWORDS, entry, doc)
    }

    /// An attribute that can be read.
    pub(crate) fn getter<F, A>(self, name: &'static CStr, _: F) -> Self
    where
        F: Fn(&Instance<T>) -> A + Copy,
        A: Answer,
    {
        self.attribute(name, entry_getter::<T, F, A>, None)
    }

    /// An attribute that can be read and written.
    pub(crate) fn property<F, A, G>(self, name: &'static CStr, _: F, _: G) -> Self
    where
        F: Fn(&Instance<T>) -> A + Copy,
        A: Answer,
        G: Fn(&Instance<T>, Option<&Object>) -> Result<()> + Copy,
    {
        self.attribute(name, entry_getter::<T, F, A>, Some(entry_setter::<T, G>))
    }

    pub(in crate::ffi) fn slot(mut self, slot: c_int, function: *mut c_void) -> Self {
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

    /// `__call__`.
    pub(crate) fn call<F>(self, _: F) -> Self
    where
        F: Fn(&Instance<T>, &Args<'_>) -> Result<Owned> + Copy,
    {
        self.slot(ffi::Py_tp_call, entry_call::<T, F> as *mut c_void)
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
        F: Fn(&Instance<T>) -> Result<Sent> + Copy,
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
        let set = Some(ffi::PyObject_GenericSetDict as ffi::setter);
        self.attribute(c"__dict__", ffi::PyObject_GenericGetDict, set)
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
            Some(base) => text::tuple(&[base])?,
            None => text::tuple(&[])?,
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
