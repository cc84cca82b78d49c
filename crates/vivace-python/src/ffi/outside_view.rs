//! What debuggers read of a task from outside the process, from CPython 3.14 on.
//!
//! `python -m asyncio ps`, `pstree` and others read the memory of `asyncio.Task`. Where in it they
//! look stands in a section of asyncio's library (`.AsyncioDebug`). Our tasks have that memory in
//! front of their own and keep their state elsewhere; so what is read there is written there as
//! well: that it is a task, its coroutine, its name or number, and who waits for it.
//!
//! Each reference written is one of its own, as the base class would have it: the collector finds
//! it by the base's traversal, and the base's `tp_clear` gives it up.
//!
//! An interpreter that has asyncio built in has no such section to be found: there these tools
//! show no program's tasks, and nothing is written.

use std::path::Path;
use std::sync::OnceLock;

use pyo3::ffi;
use vivace_sys::elf;

use super::error::Result;
use super::object::{Object, Owned};
use super::slot::Slot;
use super::state::imports;
use super::text;

/// Offsets in `asyncio.Task`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Places {
    name: usize,
    awaited_by: usize,
    is_task: usize,
    awaited_by_is_set: usize,
    coroutine: usize,
}

/// Empty up to 3.13.
static PLACES: OnceLock<Places> = OnceLock::new();

#[inline(always)]
fn places() -> Option<&'static Places> {
    if cfg!(Py_3_14) { PLACES.get() } else { None }
}

/// Finds out where to write; called once at import.
pub(super) fn find(future_class: &Object, task_class: &Object) -> Result<()> {
    if !cfg!(Py_3_14) || PLACES.get().is_some() {
        return Ok(());
    }
    let library = text::import("_asyncio")?.getattr_opt(&*text::interned("__file__")?)?;
    let library = library.filter(|library| text::is_str(library));
    let file = library.map(|library| text::to_string_lossy(&library));
    let section = file.and_then(|file| elf::section(Path::new(&file), ".AsyncioDebug"));
    let sizes = [future_class, task_class].map(|class| {
        // SAFETY: a ready type.
        unsafe { (*class.as_ptr().cast::<ffi::PyTypeObject>()).tp_basicsize as usize }
    });
    if let Some(found) = section.and_then(|bytes| Places::read(&bytes, sizes[0], sizes[1])) {
        let _first = PLACES.set(found);
    }
    Ok(())
}

impl Places {
    /// From the words of the section, unless they cannot be true.
    fn read(section: &[u8], future_size: usize, task_size: usize) -> Option<Self> {
        let words: Vec<usize> = section
            .chunks_exact(8)
            .map(|word| word.try_into().map_or(usize::MAX, usize::from_ne_bytes))
            .collect();
        let &[size, name, awaited_by, is_task, awaited_by_is_set, coroutine, ..] = &words[..]
        else {
            return None;
        };
        // Behind the reference count and the type; what a future has as well, within a future.
        let pointer = |at: usize, end: usize| at >= 16 && at % 8 == 0 && at < end && end - at >= 8;
        let byte = |at: usize| (16..future_size).contains(&at);
        let sound = size == task_size
            && pointer(awaited_by, future_size)
            && byte(is_task)
            && byte(awaited_by_is_set)
            && pointer(name, task_size)
            && pointer(coroutine, task_size);
        sound.then_some(Self { name, awaited_by, is_task, awaited_by_is_set, coroutine })
    }
}

/// A field of the base's struct that holds a reference.
///
/// # Safety
/// `object` is a future or task of asyncio's, or of a subclass; `offset` is one of its places.
#[inline(always)]
unsafe fn field(object: &Object, offset: usize) -> &Slot {
    // SAFETY: as promised; the struct is as long as the object, and zeroed or written at birth.
    unsafe { &*object.as_ptr().byte_add(offset).cast() }
}

/// # Safety
/// As for `field`.
#[inline(always)]
unsafe fn set_mark(object: &Object, offset: usize, mark: bool) {
    // SAFETY: a byte of the base's struct, which is written under the GIL only.
    unsafe { object.as_ptr().byte_add(offset).cast::<u8>().write(mark.into()) }
}

/// A task is there, as yet known by its number.
#[inline(always)]
pub(crate) fn show_task(task: &Object, coroutine: &Object, number: u64) -> Result<()> {
    let Some(places) = places() else { return Ok(()) };
    let number = text::unsigned(number)?;
    // SAFETY: the callers' objects are tasks of ours, which derive from asyncio's.
    unsafe {
        set_mark(task, places.is_task, true);
        field(task, places.coroutine).set(coroutine.new_ref());
        field(task, places.name).set(number);
    }
    Ok(())
}

/// A task has a name.
pub(crate) fn show_name(task: &Object, name: &Object) {
    if let Some(places) = places() {
        // SAFETY: as above.
        unsafe { field(task, places.name).set(name.new_ref()) };
    }
}

/// A task has let go of its coroutine.
pub(crate) fn hide_coroutine(task: &Object) {
    if let Some(places) = places() {
        // SAFETY: as above.
        unsafe { field(task, places.coroutine).clear() };
    }
}

/// `task` waits for `future`, which is one of ours, too.
#[inline(always)]
pub(crate) fn show_waiting(task: &Object, future: &Object) -> Result<()> {
    let Some(places) = places() else { return Ok(()) };
    // SAFETY: as above.
    unsafe {
        let waiting = field(future, places.awaited_by);
        if !waiting.is_some() {
            set_mark(future, places.awaited_by_is_set, false);
            waiting.set(task.new_ref());
            return Ok(());
        }
    }
    call(imports().add_to_awaited_by.as_ref(), future, task)
}

/// `task` no longer waits for `future`.
#[inline(always)]
pub(crate) fn hide_waiting(task: &Object, future: &Object) -> Result<()> {
    let Some(places) = places() else { return Ok(()) };
    // SAFETY: as above.
    unsafe {
        let waiting = field(future, places.awaited_by);
        if waiting.is(task) {
            waiting.clear();
            return Ok(());
        }
        if !waiting.is_some() {
            return Ok(());
        }
    }
    call(imports().discard_from_awaited_by.as_ref(), future, task)
}

#[cold]
fn call(function: Option<&Owned>, future: &Object, task: &Object) -> Result<()> {
    function.map_or(Ok(()), |function| function.call(&[future, task]).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(words: &[usize]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn offsets_are_believed_only_if_they_lie_in_the_struct() {
        let good = [168, 136, 96, 108, 109, 128, 152];
        let found = Places {
            name: 136,
            awaited_by: 96,
            is_task: 108,
            awaited_by_is_set: 109,
            coroutine: 128,
        };
        assert_eq!(Places::read(&section(&good), 112, 168), Some(found));
        assert_eq!(Places::read(&section(&good), 112, 176), None, "another struct");
        assert_eq!(Places::read(&section(&good[..5]), 112, 168), None, "cut off");
        assert_eq!(Places::read(&[], 112, 168), None);
        for (index, wrong) in [(1, 164), (1, 168), (2, 8), (3, 112), (4, 0), (5, 161)] {
            let mut words = good;
            words[index] = wrong;
            assert_eq!(Places::read(&section(&words), 112, 168), None, "word {index}: {wrong}");
        }
    }
}
