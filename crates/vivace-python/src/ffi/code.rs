//! What a coroutine runs and waits for, and where functions stand; nothing of it runs Python code.

use pyo3::ffi;

use super::names;
use super::object::{Object, Owned};
use super::text;

/// A function's name and place.
pub(crate) struct Place {
    pub(crate) qualname: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

/// An attribute of an object whose class answers without Python code.
fn attribute(object: &Object, name: &Object) -> Option<Owned> {
    match object.getattr(name) {
        Ok(value) => Some(value).filter(|value| !value.is_none()),
        Err(raised) => {
            raised.clear();
            None
        }
    }
}

fn is_exact(object: &Object, class: *mut ffi::PyTypeObject) -> bool {
    object.class_ptr() == class
}

fn is_coroutine(object: &Object) -> bool {
    is_exact(object, &raw mut ffi::PyCoro_Type)
}

fn is_generator(object: &Object) -> bool {
    is_exact(object, &raw mut ffi::PyGen_Type)
}

/// A method of a Python class, bound: its class is the interpreter's own and has no public name.
fn is_method(object: &Object) -> bool {
    // SAFETY: the class of a live object is alive, and its name is a C string that it owns.
    unsafe {
        let class = object.class_ptr();
        let is_static = ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HEAPTYPE) == 0;
        is_static && std::ffi::CStr::from_ptr((*class).tp_name) == c"method"
    }
}

/// What a coroutine or generator is suspended in: another one, or what it awaits in the end.
pub(crate) fn awaited(object: &Object) -> Option<Owned> {
    if is_coroutine(object) {
        attribute(object, &names().cr_await)
    } else if is_generator(object) {
        attribute(object, &names().gi_yieldfrom)
    } else {
        None
    }
}

/// The code of a coroutine, a generator, a function or a method.
pub(crate) fn code(object: &Object) -> Option<Owned> {
    if is_coroutine(object) {
        attribute(object, &names().cr_code)
    } else if is_generator(object) {
        attribute(object, &names().gi_code)
    } else if is_exact(object, &raw mut ffi::PyFunction_Type) {
        attribute(object, &names().code)
    } else if is_method(object) {
        code(&*attribute(object, &names().func)?)
    } else {
        None
    }
}

/// The name of a function of C.
pub(crate) fn builtin_name(object: &Object) -> Option<String> {
    is_exact(object, &raw mut ffi::PyCFunction_Type)
        .then(|| attribute(object, &names().qualname))
        .flatten()
        .map(|name| text::to_string_lossy(&name))
}

/// The name of an object's class.
pub(crate) fn class_name(object: &Object) -> String {
    // SAFETY: the class of a live object is alive, and its name is a C string that it owns.
    let name = unsafe { std::ffi::CStr::from_ptr((*object.class_ptr()).tp_name) };
    let name = name.to_string_lossy();
    name.rsplit('.').next().unwrap_or_default().to_owned()
}

/// What is known of a code object.
pub(crate) fn place(code: &Object) -> Place {
    let string = |name: &Object| attribute(code, name).map(|value| text::to_string_lossy(&value));
    let line = attribute(code, &names().co_firstlineno).and_then(|line| text::to_i64(&line).ok());
    Place {
        qualname: string(&names().co_qualname).unwrap_or_default(),
        file: string(&names().co_filename).unwrap_or_default(),
        line: line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
    }
}

/// What a `functools.partial` calls.
pub(crate) fn function_of_partial(object: &Object) -> Option<Owned> {
    // SAFETY: the class of a live object is alive, and its name is a C string that it owns.
    let name = unsafe { std::ffi::CStr::from_ptr((*object.class_ptr()).tp_name) };
    // Classes written in Python have no module in this name.
    if name != c"functools.partial" {
        return None;
    }
    attribute(object, &names().partial_func)
}
