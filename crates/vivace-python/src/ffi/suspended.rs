//! The frame of a suspended coroutine, generator or asynchronous generator: where it stands, its
//! variables, and what lies on its value stack.
//!
//! Python shows the variables only by a dictionary which, up to 3.12, stays with the frame and
//! keeps old values alive; the value stack, where an `async with` keeps what it has entered, it
//! does not show at all. Neither changes anything here: objects are only counted up and handed out.

use std::ffi::c_int;

use pyo3::ffi;

use super::error::Result;
use super::object::{Object, Owned};
use super::text;

/// What a suspended frame holds.
pub(crate) struct Suspended {
    pub code: Owned,
    pub globals: Owned,
    /// In bytes, as in `f_lasti`.
    pub last_instruction: isize,
    pub line: c_int,
    pub names: Owned,
    /// By the order of `names`; a variable without a value is `None` (Rust's).
    pub variables: Vec<Option<Owned>>,
    /// From the bottom; what is no object is `None` (Rust's).
    pub stack: Vec<Option<Owned>>,
}

// The frame lies inside the generator object, whose type says how long everything before the
// variables is. That length is compared before anything is read.
#[cfg(not(Py_3_12))]
mod layout {
    pub(super) const FRAME: usize = 80;
    pub(super) const FUNCTION: Option<usize> = Some(0);
    pub(super) const GLOBALS: usize = 8;
    pub(super) const CODE: usize = 32;
    pub(super) const LOCAL_COUNT: usize = 76;
}
#[cfg(Py_3_12)]
mod layout {
    pub(super) const FRAME: usize = 72;
    pub(super) const FUNCTION: Option<usize> = None;
    pub(super) const GLOBALS: usize = 24;
    pub(super) const CODE: usize = 0;
    pub(super) const LOCAL_COUNT: usize = 72;
}
const INSTRUCTION: usize = 56;
const STACK_TOP: usize = 64;
const VARIABLES: usize = if cfg!(Py_3_14) { 80 } else { 72 };
/// Where the state lies, seen from the frame.
const STATE_BEFORE_FRAME: usize = 5;
/// The number of the state in which the coroutine has not begun.
const CREATED: i8 = if cfg!(Py_3_13) { -3 } else { -2 };
/// Inside a code object: the names of the variables.
const NAMES: usize = 96;
/// Where the size of the stack lies, seen from the number of variables.
const STACK_SIZE_BEFORE_COUNT: usize = 8;
/// The size of an instruction.
const UNIT: isize = 2;

/// Reads the frame, or says that there is nothing to read: another type, not suspended, or an
/// interpreter whose structs are not those that this was written for.
pub(crate) fn read(object: &Object) -> Option<Suspended> {
    // SAFETY: the addresses of static types; the sizes are read from live types. A generator of
    // this length begins with the fields of its version, and the frame's state, read first, says
    // that nobody runs it: this thread holds the GIL, and keeps it until everything is read. The
    // number of variables and the height of the stack are compared with what the code says before
    // anything between them is read.
    unsafe {
        let (frame, code) = frame_of(object)?;
        let globals = frame.add(layout::GLOBALS).cast::<*mut ffi::PyObject>().read();
        let names = code.cast::<u8>().add(NAMES).cast::<*mut ffi::PyObject>().read();
        if globals.is_null() || names.is_null() || ffi::PyTuple_CheckExact(names) == 0 {
            return None;
        }
        let count = code.cast::<u8>().add(layout::LOCAL_COUNT);
        let depth = count.sub(STACK_SIZE_BEFORE_COUNT).cast::<c_int>().read();
        let count = count.cast::<c_int>().read();
        if count < 0 || depth < 0 || ffi::PyTuple_GET_SIZE(names) != count as ffi::Py_ssize_t {
            return None;
        }
        let first = frame.add(VARIABLES).cast::<usize>();
        let top = stack_top(frame, first);
        if top < count as isize || top > (count + depth) as isize {
            return None;
        }
        let slot = |index: isize| untagged(first.offset(index).read());
        let owned = |pointer: *mut ffi::PyObject| Object::from_ptr(pointer).new_ref();
        let (last_instruction, line) = position(frame, code);
        Some(Suspended {
            code: owned(code),
            globals: owned(globals),
            last_instruction,
            line,
            names: owned(names),
            variables: (0..count as isize).map(|index| slot(index).map(owned)).collect(),
            stack: (count as isize..top).map(|index| slot(index).map(owned)).collect(),
        })
    }
}

/// The line that a suspended frame stands on.
pub(crate) fn line(object: &Object) -> Option<u32> {
    // SAFETY: `frame_of` answers for both pointers.
    let (_, line) = unsafe {
        let (frame, code) = frame_of(object)?;
        position(frame, code)
    };
    u32::try_from(line).ok()
}

/// The frame of a suspended generator, and its code.
///
/// # Safety
/// They are used before anything runs that could end the suspension.
unsafe fn frame_of(object: &Object) -> Option<(*const u8, *mut ffi::PyObject)> {
    if cfg!(Py_GIL_DISABLED) {
        return None;
    }
    let class = object.class_ptr();
    // SAFETY: as in `read`.
    unsafe {
        let known = class == &raw mut ffi::PyCoro_Type
            || class == &raw mut ffi::PyGen_Type
            || class == &raw mut ffi::PyAsyncGen_Type;
        if !known
            || ffi::PyCoro_Type.tp_basicsize as usize != layout::FRAME + VARIABLES
            || ffi::PyCode_Type.tp_itemsize != UNIT
        {
            return None;
        }
        let frame = object.as_ptr().cast::<u8>().add(layout::FRAME);
        let state = frame.sub(STATE_BEFORE_FRAME).cast::<i8>().read();
        if state <= CREATED || state >= 0 {
            return None;
        }
        if let Some(function) = layout::FUNCTION {
            if frame.add(function).cast::<*mut ffi::PyObject>().read().is_null() {
                return None;
            }
        }
        let code = untagged(frame.add(layout::CODE).cast::<usize>().read())?;
        if ffi::Py_TYPE(code) != &raw mut ffi::PyCode_Type {
            return None;
        }
        Some((frame, code))
    }
}

/// The last instruction, and its line.
///
/// # Safety
/// Both are of `frame_of`.
unsafe fn position(frame: *const u8, code: *mut ffi::PyObject) -> (isize, c_int) {
    // SAFETY: fields of the frame and of its code, by the caller's promise.
    unsafe {
        let start = code.cast::<u8>().offset(ffi::PyCode_Type.tp_basicsize);
        let instruction = frame.add(INSTRUCTION).cast::<*const u8>().read();
        let last_instruction = instruction as isize - start as isize;
        let line = ffi::PyCode_Addr2Line(code.cast(), last_instruction as c_int);
        (last_instruction, line)
    }
}

/// The height of the stack, variables included.
///
/// # Safety
/// `frame` is the frame of a suspended generator, `first` its first variable.
unsafe fn stack_top(frame: *const u8, first: *const usize) -> isize {
    // SAFETY: fields of the frame, by the caller's promise.
    unsafe {
        if cfg!(Py_3_14) {
            let top = frame.add(STACK_TOP).cast::<usize>().read();
            (top as isize - first as isize) / size_of::<usize>() as isize
        } else {
            frame.add(STACK_TOP).cast::<c_int>().read() as isize
        }
    }
}

/// The object behind a slot of a frame; 3.14 keeps marks in the lowest two bits, of which both
/// together say that it is a number.
fn untagged(bits: usize) -> Option<*mut ffi::PyObject> {
    if cfg!(Py_3_14) {
        if bits & 3 == 3 {
            return None;
        }
        let pointer = (bits & !3) as *mut ffi::PyObject;
        return (!pointer.is_null()).then_some(pointer);
    }
    let pointer = bits as *mut ffi::PyObject;
    (!pointer.is_null()).then_some(pointer)
}

impl Suspended {
    /// `(code, line, last instruction, globals, names, variables, stack)`; `missing` stands for
    /// what has no value.
    pub(crate) fn to_python(&self, missing: &Object) -> Result<Owned> {
        let tuple = |values: &[Option<Owned>]| {
            let values: Vec<&Object> =
                values.iter().map(|value| value.as_deref().unwrap_or(missing)).collect();
            text::tuple(&values)
        };
        let (variables, stack) = (tuple(&self.variables)?, tuple(&self.stack)?);
        let line = text::integer(self.line.into())?;
        let last = text::integer(self.last_instruction as i64)?;
        text::tuple(&[&self.code, &line, &last, &self.globals, &self.names, &variables, &stack])
    }
}
