//! Strings, numbers, tuples, lists and dictionaries, made and read.

use pyo3::ffi;

use super::error::{Raised, Result};
use super::object::{Object, Owned};

pub(crate) fn none() -> Owned {
    // SAFETY: a static object.
    unsafe { Object::from_ptr(ffi::Py_None()) }.new_ref()
}

pub(crate) fn none_ref() -> &'static Object {
    // SAFETY: a static object.
    unsafe { Object::from_ptr(ffi::Py_None()) }
}

pub(crate) fn boolean(value: bool) -> Owned {
    // SAFETY: static objects.
    unsafe { Object::from_ptr(if value { ffi::Py_True() } else { ffi::Py_False() }) }.new_ref()
}

pub(crate) fn string(text: &str) -> Result<Owned> {
    // SAFETY: UTF-8 of the length given.
    unsafe {
        Owned::from_new(ffi::PyUnicode_FromStringAndSize(
            text.as_ptr().cast(),
            text.len() as ffi::Py_ssize_t,
        ))
    }
}

/// An interned string, for names of attributes and keywords.
pub(crate) fn interned(text: &str) -> Result<Owned> {
    let mut ptr = string(text)?.into_ptr();
    // SAFETY: the reference goes in and comes out.
    unsafe {
        ffi::PyUnicode_InternInPlace(&mut ptr);
        Owned::from_new(ptr)
    }
}

pub(crate) fn integer(value: i64) -> Result<Owned> {
    // SAFETY: plain number.
    unsafe { Owned::from_new(ffi::PyLong_FromLongLong(value)) }
}

pub(crate) fn float(value: f64) -> Result<Owned> {
    // SAFETY: plain number.
    unsafe { Owned::from_new(ffi::PyFloat_FromDouble(value)) }
}

/// Reads a number as `float(object)` does.
pub(crate) fn to_f64(object: &Object) -> Result<f64> {
    // SAFETY: a live object.
    let value = unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) };
    // SAFETY: attached.
    if value == -1.0 && unsafe { !ffi::PyErr_Occurred().is_null() } {
        return Err(Raised);
    }
    Ok(value)
}

/// Reads an integer (`__index__`).
pub(crate) fn to_i64(object: &Object) -> Result<i64> {
    // SAFETY: a live object.
    let value = unsafe { ffi::PyLong_AsLongLong(object.as_ptr()) };
    // SAFETY: attached.
    if value == -1 && unsafe { !ffi::PyErr_Occurred().is_null() } {
        return Err(Raised);
    }
    Ok(value)
}

pub(crate) fn is_exact_int(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyLong_CheckExact(object.as_ptr()) == 1 }
}

pub(crate) fn is_str(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyUnicode_Check(object.as_ptr()) == 1 }
}

/// `repr(object)`; a failing `__repr__` is replaced by the name of the type.
pub(crate) fn repr_lossy(object: &Object) -> String {
    // SAFETY: a live object; the reference is new or null.
    match unsafe { Owned::from_new(ffi::PyObject_Repr(object.as_ptr())) } {
        Ok(text) => to_string_lossy(&text),
        Err(raised) => {
            raised.clear();
            "<unprintable object>".to_owned()
        }
    }
}

/// `repr(object)`.
pub(crate) fn repr(object: &Object) -> Result<String> {
    // SAFETY: a live object; the reference is new or null.
    let text = unsafe { Owned::from_new(ffi::PyObject_Repr(object.as_ptr())) }?;
    Ok(to_string_lossy(&text))
}

/// `str(object)`.
pub(crate) fn str_of(object: &Object) -> Result<Owned> {
    // SAFETY: a live object; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyObject_Str(object.as_ptr())) }
}

/// The text of a str, lone surrogates replaced.
pub(crate) fn to_string_lossy(text: &Object) -> String {
    let mut length = 0;
    // SAFETY: a live object; the buffer belongs to it and is copied at once.
    unsafe {
        let data = ffi::PyUnicode_AsUTF8AndSize(text.as_ptr(), &mut length);
        if data.is_null() {
            ffi::PyErr_Clear();
            return String::from("?");
        }
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        // CPython's UTF-8.
        String::from_utf8_unchecked(bytes.to_vec())
    }
}

pub(crate) fn tuple(items: &[&Object]) -> Result<Owned> {
    // SAFETY: each place is filled once, with a reference of its own.
    unsafe {
        let tuple = Owned::from_new(ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
        for (index, item) in items.iter().enumerate() {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as isize, item.new_ref().into_ptr());
        }
        Ok(tuple)
    }
}

pub(crate) fn list(items: impl IntoIterator<Item = Owned>) -> Result<Owned> {
    // SAFETY: a new list; append takes a reference of its own.
    unsafe {
        let list = Owned::from_new(ffi::PyList_New(0))?;
        for item in items {
            if ffi::PyList_Append(list.as_ptr(), item.as_ptr()) < 0 {
                return Err(Raised);
            }
        }
        Ok(list)
    }
}

pub(crate) fn dict() -> Result<Owned> {
    // SAFETY: a new reference or null.
    unsafe { Owned::from_new(ffi::PyDict_New()) }
}

/// `dict[key] = value`.
pub(crate) fn dict_set(dict: &Object, key: &Object, value: &Object) -> Result<()> {
    // SAFETY: live objects; a non-dict is answered with SystemError.
    match unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Raised),
    }
}

/// `dict.pop(key, None)`, without the value.
pub(crate) fn dict_discard(dict: &Object, key: &Object) {
    // SAFETY: live objects.
    if unsafe { ffi::PyDict_DelItem(dict.as_ptr(), key.as_ptr()) } < 0 {
        Raised.clear();
    }
}

/// `dict.get(key)`; `None` when missing.
pub(crate) fn dict_get(dict: &Object, key: &Object) -> Result<Option<Owned>> {
    // SAFETY: live objects; the answer is borrowed.
    unsafe {
        let value = ffi::PyDict_GetItemWithError(dict.as_ptr(), key.as_ptr());
        if value.is_null() {
            if ffi::PyErr_Occurred().is_null() { Ok(None) } else { Err(Raised) }
        } else {
            Ok(Some(Object::from_ptr(value).new_ref()))
        }
    }
}

/// The number of items of a dictionary.
pub(crate) fn dict_len(dict: &Object) -> usize {
    // SAFETY: a live object; a non-dict is answered with -1 and an exception.
    match unsafe { ffi::PyDict_Size(dict.as_ptr()) } {
        size if size < 0 => {
            Raised.clear();
            0
        }
        size => size as usize,
    }
}

/// The number of items of a tuple.
pub(crate) fn tuple_len(tuple: &Object) -> usize {
    // SAFETY: the callers pass tuples (checked by debug builds of CPython).
    unsafe { ffi::PyTuple_GET_SIZE(tuple.as_ptr()) as usize }
}

pub(crate) fn is_tuple(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyTuple_Check(object.as_ptr()) == 1 }
}

/// The item of a tuple, borrowed from it.
pub(crate) fn tuple_get(tuple: &Object, index: usize) -> &Object {
    assert!(is_tuple(tuple) && index < tuple_len(tuple), "invariant: inside the tuple");
    // SAFETY: within bounds (asserted); borrowed from the tuple, which outlives the answer.
    unsafe { Object::from_ptr(ffi::PyTuple_GET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t)) }
}

/// Imports a module by its dotted name.
pub(crate) fn import(name: &str) -> Result<Owned> {
    let name = string(name)?;
    // SAFETY: a live string; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyImport_Import(name.as_ptr())) }
}

pub(crate) fn unsigned(value: u64) -> Result<Owned> {
    // SAFETY: plain number.
    unsafe { Owned::from_new(ffi::PyLong_FromUnsignedLongLong(value)) }
}

/// Reads an integer that is not negative.
pub(crate) fn to_u64(object: &Object) -> Result<u64> {
    // SAFETY: a live object.
    let value = unsafe { ffi::PyLong_AsUnsignedLongLong(object.as_ptr()) };
    // SAFETY: attached.
    if value == u64::MAX && unsafe { !ffi::PyErr_Occurred().is_null() } {
        return Err(Raised);
    }
    Ok(value)
}

/// A str of a file name, decoded as `os.fsdecode` does.
pub(crate) fn file_name(bytes: &[u8]) -> Result<Owned> {
    // SAFETY: readable for the length given.
    unsafe {
        Owned::from_new(ffi::PyUnicode_DecodeFSDefaultAndSize(
            bytes.as_ptr().cast(),
            bytes.len() as ffi::Py_ssize_t,
        ))
    }
}

/// `ConnectionError`.
pub(crate) fn connection_error() -> &'static Object {
    // SAFETY: a static object of the interpreter.
    unsafe { Object::from_ptr(ffi::PyExc_ConnectionError) }
}

/// `list(iterable)`, as references of one's own.
pub(crate) fn iterate(iterable: &Object) -> Result<Vec<Owned>> {
    // SAFETY: a live object; a new reference or null.
    let iterator = unsafe { Owned::from_new(ffi::PyObject_GetIter(iterable.as_ptr())) }?;
    let mut items = Vec::new();
    loop {
        // SAFETY: an iterator; a new reference, or null at the end or with an exception.
        unsafe {
            let item = ffi::PyIter_Next(iterator.as_ptr());
            if item.is_null() {
                if ffi::PyErr_Occurred().is_null() {
                    return Ok(items);
                }
                return Err(Raised);
            }
            items.push(Owned::from_new_unchecked(item));
        }
    }
}

pub(crate) fn frozenset(items: impl IntoIterator<Item = Owned>) -> Result<Owned> {
    let items = list(items)?;
    // SAFETY: a live list; a new reference or null.
    unsafe { Owned::from_new(ffi::PyFrozenSet_New(items.as_ptr())) }
}

/// A copy of a dictionary.
#[inline]
pub(crate) fn dict_copy(dict: &Object) -> Result<Owned> {
    // SAFETY: a live object; anything but a dict is answered with SystemError.
    unsafe { Owned::from_new(ffi::PyDict_Copy(dict.as_ptr())) }
}

/// `(first, second)`.
#[inline]
pub(crate) fn pair(first: Owned, second: Owned) -> Result<Owned> {
    // SAFETY: both places are filled once, with references that are given away.
    unsafe {
        let tuple = Owned::from_new(ffi::PyTuple_New(2))?;
        ffi::PyTuple_SET_ITEM(tuple.as_ptr(), 0, first.into_ptr());
        ffi::PyTuple_SET_ITEM(tuple.as_ptr(), 1, second.into_ptr());
        Ok(tuple)
    }
}

/// A list of `length` items, made one after another by `item`, which runs no Python code.
#[inline]
pub(crate) fn list_of(
    length: usize,
    mut item: impl FnMut(usize) -> Result<Owned>,
) -> Result<Owned> {
    // SAFETY: a new list of empty places, which is ours alone until it is handed out; each
    // place is filled once. Places left empty by an error are passed over by its destructor.
    unsafe {
        let list = Owned::from_new(ffi::PyList_New(length as ffi::Py_ssize_t))?;
        for index in 0..length {
            let item = item(index)?;
            ffi::PyList_SET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t, item.into_ptr());
        }
        Ok(list)
    }
}

/// The two items of a sequence of two, as headers are given: a tuple or a list, mostly.
pub(crate) fn two_items(object: &Object) -> Result<Option<(Owned, Owned)>> {
    if is_tuple(object) {
        if tuple_len(object) != 2 {
            return Ok(None);
        }
        return Ok(Some((tuple_get(object, 0).new_ref(), tuple_get(object, 1).new_ref())));
    }
    let items = iterate(object)?;
    let [first, second] = &items[..] else { return Ok(None) };
    Ok(Some((first.clone(), second.clone())))
}

/// Calls `each` with every item of an iterable; tuples and lists without an iterator. `each`
/// may run Python code.
pub(crate) fn for_each(
    iterable: &Object,
    mut each: impl FnMut(&Object) -> Result<()>,
) -> Result<()> {
    if is_tuple(iterable) {
        for index in 0..tuple_len(iterable) {
            each(tuple_get(iterable, index))?;
        }
        return Ok(());
    }
    // SAFETY: a list, by the check; the length is read anew for each item, and the item is
    // owned while it is used, since the list may change meanwhile.
    unsafe {
        if ffi::PyList_CheckExact(iterable.as_ptr()) == 1 {
            let mut index = 0;
            while index < ffi::PyList_GET_SIZE(iterable.as_ptr()) {
                let item = ffi::PyList_GET_ITEM(iterable.as_ptr(), index);
                each(&Object::from_ptr(item).new_ref())?;
                index += 1;
            }
            return Ok(());
        }
    }
    iterate(iterable)?.iter().try_for_each(|item| each(item))
}

/// Whether the object is a dictionary.
pub(crate) fn is_dict(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyDict_Check(object.as_ptr()) == 1 }
}

/// The text of a str, lent to `body`; one with lone surrogates is an error.
pub(crate) fn with_str<R>(text: &Object, body: impl FnOnce(&str) -> R) -> Result<R> {
    let mut length = 0;
    // SAFETY: a live object; the buffer belongs to it and lives as long; CPython's UTF-8.
    unsafe {
        let data = ffi::PyUnicode_AsUTF8AndSize(text.as_ptr(), &mut length);
        if data.is_null() {
            return Err(Raised);
        }
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        Ok(body(std::str::from_utf8_unchecked(bytes)))
    }
}

/// The bytes of a file name, as `os.fsencode` has them.
pub(crate) fn to_file_name(name: &Object) -> Result<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt;
    // SAFETY: a live object; a new reference or null.
    let encoded = unsafe { Owned::from_new(ffi::PyUnicode_EncodeFSDefault(name.as_ptr())) }?;
    let encoded = super::bytes::Bytes::from_bytes(encoded)?;
    Ok(std::ffi::OsString::from_vec(encoded.as_slice().to_vec()))
}
