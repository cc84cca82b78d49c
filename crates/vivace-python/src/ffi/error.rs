//! The error indicator: a function that raised returns `Err(Raised)`.

use std::ffi::CStr;

use pyo3::ffi;

use super::object::{Object, Owned};

/// A Python exception is set in this thread and must be propagated, fetched or cleared.
#[derive(Debug)]
#[must_use]
pub(crate) struct Raised;

pub(crate) type Result<T> = std::result::Result<T, Raised>;

/// The built-in exception types that the engine raises itself.
#[derive(Clone, Copy)]
pub(crate) enum Builtin {
    Attribute,
    Buffer,
    Runtime,
    System,
    Type,
    Value,
    Os,
    StopIteration,
    Exception,
    NotImplemented,
    Recursion,
    ConnectionAborted,
    ConnectionReset,
    Timeout,
    RuntimeWarning,
}

impl Builtin {
    pub(crate) fn object(self) -> &'static Object {
        // SAFETY: static objects of the interpreter, never freed while it lives.
        unsafe {
            Object::from_ptr(match self {
                Self::Attribute => ffi::PyExc_AttributeError,
                Self::Buffer => ffi::PyExc_BufferError,
                Self::Runtime => ffi::PyExc_RuntimeError,
                Self::System => ffi::PyExc_SystemError,
                Self::Type => ffi::PyExc_TypeError,
                Self::Value => ffi::PyExc_ValueError,
                Self::Os => ffi::PyExc_OSError,
                Self::StopIteration => ffi::PyExc_StopIteration,
                Self::Exception => ffi::PyExc_Exception,
                Self::NotImplemented => ffi::PyExc_NotImplementedError,
                Self::Recursion => ffi::PyExc_RecursionError,
                Self::ConnectionAborted => ffi::PyExc_ConnectionAbortedError,
                Self::ConnectionReset => ffi::PyExc_ConnectionResetError,
                Self::Timeout => ffi::PyExc_TimeoutError,
                Self::RuntimeWarning => ffi::PyExc_RuntimeWarning,
            })
        }
    }
}

impl Raised {
    /// Takes the exception out of the indicator, normalised and with its traceback.
    pub(crate) fn fetch(self) -> Owned {
        // SAFETY: an exception is set (the meaning of `Raised`); the reference is new.
        #[cfg(Py_3_12)]
        unsafe {
            let exception = ffi::PyErr_GetRaisedException();
            if exception.is_null() {
                return Self::lost().fetch();
            }
            Owned::from_new_unchecked(exception)
        }
        // SAFETY: as above; the three references are ours after the fetch.
        #[cfg(not(Py_3_12))]
        unsafe {
            let (mut kind, mut value, mut traceback) =
                (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
            ffi::PyErr_Fetch(&mut kind, &mut value, &mut traceback);
            if kind.is_null() {
                return Self::lost().fetch();
            }
            ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut traceback);
            if !traceback.is_null() {
                ffi::PyException_SetTraceback(value, traceback);
                ffi::Py_DECREF(traceback);
            }
            ffi::Py_DECREF(kind);
            Owned::from_new_unchecked(value)
        }
    }

    /// The exception, for a report: the loop goes on. `SystemExit` and `KeyboardInterrupt` leave
    /// the loop instead, and stay raised.
    #[cold]
    pub(crate) fn fetch_for_report(self) -> Result<Owned> {
        let exception = self.fetch();
        if leaves_the_loop(&exception) { Err(raise_instance(exception)) } else { Ok(exception) }
    }

    fn lost() -> Self {
        raise(Builtin::System, "vivace: an error was reported without an exception")
    }

    /// Forgets the exception.
    pub(crate) fn clear(self) {
        // SAFETY: attached.
        unsafe { ffi::PyErr_Clear() }
    }

    /// Reports the exception as "ignored in" `place`, where nobody can receive it.
    pub(crate) fn write_unraisable(self, place: Option<&Object>) {
        let place = place.map_or(std::ptr::null_mut(), Object::as_ptr);
        // SAFETY: an exception is set; null is allowed as the place.
        unsafe { ffi::PyErr_WriteUnraisable(place) }
    }

    /// Whether the exception that is set is an instance of `class`.
    pub(crate) fn matches(&self, class: &Object) -> bool {
        // SAFETY: an exception is set.
        unsafe { ffi::PyErr_ExceptionMatches(class.as_ptr()) == 1 }
    }
}

/// Raises `kind(message)`.
#[cold]
pub(crate) fn raise(kind: Builtin, message: &str) -> Raised {
    match super::text::string(message) {
        Ok(text) => {
            // SAFETY: two live objects.
            unsafe { ffi::PyErr_SetObject(kind.object().as_ptr(), text.as_ptr()) };
            Raised
        }
        Err(raised) => raised,
    }
}

/// Raises `class(message)` for a class that is not built in.
#[cold]
pub(crate) fn raise_class(class: &Object, message: &str) -> Raised {
    match super::text::string(message) {
        Ok(text) => {
            // SAFETY: two live objects.
            unsafe { ffi::PyErr_SetObject(class.as_ptr(), text.as_ptr()) };
            Raised
        }
        Err(raised) => raised,
    }
}

/// Raises an exception instance as it is (`raise exception`), without touching its context.
#[cold]
pub(crate) fn raise_instance(exception: Owned) -> Raised {
    // SAFETY: the reference is given away; an instance of BaseException.
    #[cfg(Py_3_12)]
    unsafe {
        ffi::PyErr_SetRaisedException(exception.into_ptr());
    }
    // SAFETY: as above; PyErr_Restore steals the three references.
    #[cfg(not(Py_3_12))]
    unsafe {
        let traceback = ffi::PyException_GetTraceback(exception.as_ptr());
        let class = exception.class().into_ptr();
        ffi::PyErr_Restore(class, exception.into_ptr(), traceback);
    }
    Raised
}

/// Raises an exception instance with the exception being handled as its context,
/// as the `raise` statement does.
#[cold]
pub(crate) fn raise_chained(exception: &Object) -> Raised {
    // SAFETY: live objects; an instance of BaseException.
    unsafe { ffi::PyErr_SetObject(exception.class_ptr().cast(), exception.as_ptr()) };
    Raised
}

/// Raises the `OSError` (subclass by errno) of an operating system error.
#[cold]
pub(crate) fn raise_os(errno: i32) -> Raised {
    os_error(errno).map_or_else(|raised| raised, raise_instance)
}

/// The `OSError` instance of an operating system error, as Python makes it.
pub(crate) fn os_error(errno: i32) -> Result<Owned> {
    let number = super::text::integer(i64::from(errno))?;
    let text = super::text::string(&errno_text(errno))?;
    Builtin::Os.object().call(&[&number, &text])
}

fn errno_text(errno: i32) -> String {
    let mut buffer = [0_u8; 256];
    unsafe extern "C" {
        #[link_name = "__xpg_strerror_r"]
        fn strerror_r(errno: std::ffi::c_int, buffer: *mut std::ffi::c_char, length: usize) -> i32;
    }
    // SAFETY: the buffer is writable for the length given; the XSI variant ends it with NUL.
    unsafe { strerror_r(errno, buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(&buffer)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether `exception` is a `SystemExit` or a `KeyboardInterrupt`, which leave the loop.
pub(crate) fn leaves_the_loop(exception: &Object) -> bool {
    // SAFETY: live objects; the types are static.
    unsafe {
        ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), ffi::PyExc_SystemExit) == 1
            || ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), ffi::PyExc_KeyboardInterrupt)
                == 1
    }
}

/// Whether `exception` is a `KeyboardInterrupt`.
pub(crate) fn interrupts(exception: &Object) -> bool {
    // SAFETY: a live object; the type is static.
    unsafe {
        ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), ffi::PyExc_KeyboardInterrupt) == 1
    }
}

/// Whether an exception is an instance of `class`, by its type alone.
pub(crate) fn is_exception_of(exception: &Object, class: &Object) -> bool {
    // SAFETY: two live objects.
    unsafe { ffi::PyErr_GivenExceptionMatches(exception.as_ptr(), class.as_ptr()) == 1 }
}

/// `isinstance(object, BaseException)`.
pub(crate) fn is_exception_instance(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyExceptionInstance_Check(object.as_ptr()) == 1 }
}

/// `isinstance(object, type) and issubclass(object, BaseException)`.
pub(crate) fn is_exception_class(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyExceptionClass_Check(object.as_ptr()) == 1 }
}

/// `exception.__traceback__`.
pub(crate) fn traceback(exception: &Object) -> Option<Owned> {
    // SAFETY: an exception instance; the reference is new or null.
    unsafe { Owned::from_new(ffi::PyException_GetTraceback(exception.as_ptr())) }.ok()
}

/// `exception.__traceback__ = traceback`.
pub(crate) fn set_traceback(exception: &Object, traceback: Option<&Object>) {
    // SAFETY: None and a traceback are both accepted.
    unsafe {
        let traceback = traceback.map_or_else(|| ffi::Py_None(), Object::as_ptr);
        ffi::PyException_SetTraceback(exception.as_ptr(), traceback);
    }
}

/// `exception.__context__ = context`.
pub(crate) fn set_context(exception: &Object, context: Owned) {
    // SAFETY: the reference is stolen.
    unsafe { ffi::PyException_SetContext(exception.as_ptr(), context.into_ptr()) }
}

/// `exception.__cause__ = cause`.
pub(crate) fn set_cause(exception: &Object, cause: Owned) {
    // SAFETY: the reference is stolen.
    unsafe { ffi::PyException_SetCause(exception.as_ptr(), cause.into_ptr()) }
}

/// `isinstance(object, types.TracebackType)`.
pub(crate) fn is_traceback(object: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyTraceBack_Check(object.as_ptr()) == 1 }
}

/// `warnings.warn(message, ResourceWarning, source=source)`.
pub(crate) fn warn_resource(message: &str, source: &Object) -> Result<()> {
    let message = std::ffi::CString::new(message).unwrap_or_default();
    // SAFETY: the format takes one string; the category is a static object.
    let answer =
        unsafe { ffi::PyErr_ResourceWarning(source.as_ptr(), 1, c"%s".as_ptr(), message.as_ptr()) };
    if answer < 0 { Err(Raised) } else { Ok(()) }
}

/// `warnings.warn(message, DeprecationWarning)`.
pub(crate) fn warn_deprecated(message: &str) -> Result<()> {
    let message = std::ffi::CString::new(message).unwrap_or_default();
    // SAFETY: the category is a static object, the message ends with NUL.
    match unsafe { ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, message.as_ptr(), 1) } {
        0 => Ok(()),
        _ => Err(Raised),
    }
}
