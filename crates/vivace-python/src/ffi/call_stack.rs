//! The Python stack of this thread as the C-API shows it.

use pyo3::ffi;

use super::error::Result;
use super::object::Owned;
use super::text;

/// One frame of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) file: String,
    pub(crate) function: String,
    pub(crate) line: i64,
}

/// The innermost frame first.
pub(crate) fn of_this_thread() -> Result<Vec<Shown>> {
    let mut stack = Vec::new();
    // SAFETY: attached; the answer is borrowed or null, and `PyFrame_GetBack` and
    // `PyFrame_GetCode` give references of our own.
    unsafe {
        let mut frame = ffi::PyEval_GetFrame();
        ffi::Py_XINCREF(frame.cast());
        while !frame.is_null() {
            let held = Owned::from_new_unchecked(frame.cast());
            let code = Owned::from_new_unchecked(ffi::PyFrame_GetCode(frame).cast());
            let name = |attribute: &str| -> Result<String> {
                Ok(text::to_string_lossy(&*code.getattr(&*text::interned(attribute)?)?))
            };
            stack.push(Shown {
                file: name("co_filename")?,
                function: name("co_qualname")?,
                line: i64::from(ffi::PyFrame_GetLineNumber(frame)),
            });
            frame = ffi::PyFrame_GetBack(frame);
            drop(held);
        }
    }
    Ok(stack)
}

/// Files of the standard library and of this package: what lies beside them is no program's.
pub(crate) fn library_files() -> Vec<String> {
    let file = |module: &str| -> Result<String> {
        let module = text::import(module)?;
        let file = module.getattr(&*text::interned("__file__")?)?;
        if text::is_str(&file) { Ok(text::to_string_lossy(&file)) } else { Ok(String::new()) }
    };
    let mut files = Vec::new();
    for module in ["os", "vivace"] {
        match file(module) {
            Ok(file) if !file.is_empty() => files.push(file),
            Ok(_) => {}
            Err(raised) => raised.clear(),
        }
    }
    files
}
