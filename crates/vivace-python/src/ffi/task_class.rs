//! Whether somebody has put another class in the place of `asyncio.Task`.
//!
//! asyncio's loops make their tasks of what `asyncio.tasks.Task` is at that moment. Looking there
//! for each task costs a few hundredths of making it. From CPython 3.12 on the interpreter is asked
//! to say when the name is given another value; on 3.11 each dictionary has a number that is another
//! after each change, and that is compared.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::error::Result;
use super::object::Object;
use super::text;

static REPLACED: AtomicBool = AtomicBool::new(false);

/// See the module. Attached.
#[inline(always)]
pub(crate) fn is_replaced() -> bool {
    #[cfg(not(Py_3_12))]
    version::compare();
    REPLACED.load(Relaxed)
}

/// Begins to watch; called once at import. `own` is asyncio's own class.
pub(super) fn watch(tasks: &Object, own: &Object) -> Result<()> {
    let variables = tasks.getattr(&*text::interned("__dict__")?)?;
    let name = text::interned("Task")?;
    let value = text::dict_get(&variables, &name)?;
    REPLACED.store(value.is_some_and(|value| !value.is(own)), Relaxed);
    #[cfg(Py_3_12)]
    watcher::begin(&variables, name, own);
    #[cfg(not(Py_3_12))]
    version::begin(&variables, name, own);
    Ok(())
}

#[cfg(not(Py_3_12))]
mod version {
    use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

    use pyo3::ffi;

    use super::REPLACED;
    use crate::ffi::object::{Object, Owned};

    static VARIABLES: AtomicPtr<ffi::PyDictObject> = AtomicPtr::new(std::ptr::null_mut());
    static NAME: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
    static OWN: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
    /// The number of the dictionary when it was looked at.
    static SEEN: AtomicU64 = AtomicU64::new(0);

    pub(super) fn begin(variables: &Object, name: Owned, own: &Object) {
        if variables.class_ptr() != &raw mut ffi::PyDict_Type {
            return;
        }
        // All are kept for ever. The first look comes with the first task.
        NAME.store(name.into_ptr(), Relaxed);
        OWN.store(own.new_ref().into_ptr(), Relaxed);
        VARIABLES.store(variables.new_ref().into_ptr().cast(), Relaxed);
    }

    #[inline(always)]
    pub(super) fn compare() {
        let variables = VARIABLES.load(Relaxed);
        if variables.is_null() {
            return;
        }
        // SAFETY: a dictionary that is kept for ever; its type was compared.
        let version = unsafe { (&raw const (*variables).ma_version_tag).read() };
        if version != SEEN.load(Relaxed) {
            look(variables, version);
        }
    }

    #[cold]
    fn look(variables: *mut ffi::PyDictObject, version: u64) {
        // SAFETY: attached; both are kept for ever. The answer is borrowed and only compared; no
        // exception is left, and no Python code runs: all keys of a module are strings.
        let value = unsafe { ffi::PyDict_GetItem(variables.cast(), NAME.load(Relaxed)) };
        SEEN.store(version, Relaxed);
        // SAFETY: the address of a static object. `None` is what modules are cleared with at exit.
        let none = unsafe { ffi::Py_None() };
        let other = !value.is_null() && value != none && value != OWN.load(Relaxed);
        REPLACED.store(other, Relaxed);
    }
}

#[cfg(Py_3_12)]
mod watcher {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

    use pyo3::ffi;

    use super::REPLACED;
    use crate::ffi::error::Raised;
    use crate::ffi::object::{Object, Owned};

    type Callback = unsafe extern "C" fn(
        c_int,
        *mut ffi::PyObject,
        *mut ffi::PyObject,
        *mut ffi::PyObject,
    ) -> c_int;

    unsafe extern "C" {
        // PyO3 leaves this one out.
        fn PyDict_AddWatcher(callback: Callback) -> c_int;
    }

    /// `PyDict_EVENT_DELETED`; the two before it are those of a key that gets a value.
    const DELETED: c_int = 2;

    static NAME: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());
    static OWN: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());

    pub(super) fn begin(variables: &Object, name: Owned, own: &Object) {
        // Both are kept for ever.
        NAME.store(name.into_ptr(), Relaxed);
        OWN.store(own.new_ref().into_ptr(), Relaxed);
        // SAFETY: attached; the callback lives as long as the process. The dictionary is one, as
        // the interpreter checks.
        let watched = unsafe {
            let number = PyDict_AddWatcher(changed);
            number >= 0 && ffi::PyDict_Watch(number, variables.as_ptr()) == 0
        };
        if !watched {
            // All watchers are taken: it stays as it is.
            Raised.clear();
        }
    }

    unsafe extern "C" fn changed(
        event: c_int,
        _variables: *mut ffi::PyObject,
        name: *mut ffi::PyObject,
        value: *mut ffi::PyObject,
    ) -> c_int {
        // Names of attributes are interned. `None` is what modules are cleared with at exit.
        // SAFETY: the address of a static object.
        let none = unsafe { ffi::Py_None() };
        if event < DELETED && name == NAME.load(Relaxed) {
            REPLACED.store(value != OWN.load(Relaxed) && value != none, Relaxed);
        }
        0
    }
}
