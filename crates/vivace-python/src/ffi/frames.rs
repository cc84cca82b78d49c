//! Which line of the program is being run: the code and the instruction of the frames of this
//! thread, found without making frame objects.
//!
//! A frame object costs more than making a task, and would be seen in reference counts. What is
//! read here are the interpreter's own frames. Where they are is checked once, at import, against
//! what a frame object says; if that does not fit, nothing is ever found.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use pyo3::ffi;

use super::error::Result;
use super::object::{Object, Owned};

/// A place in the program: what is kept until somebody asks for the line.
pub(crate) struct Site {
    pub(crate) code: Owned,
    /// In bytes, as in `f_lasti`.
    pub(crate) instruction: u32,
}

/// The line of an instruction, or 0.
pub(crate) fn line_of(code: &Object, instruction: u32) -> i32 {
    // SAFETY: the type is checked; an instruction that the code has not is answered with -1.
    unsafe {
        if code.class_ptr() != &raw mut ffi::PyCode_Type {
            return 0;
        }
        ffi::PyCode_Addr2Line(code.as_ptr().cast(), instruction as c_int).max(0)
    }
}

#[cfg(not(Py_3_12))]
mod layout {
    pub(super) const GLOBALS: usize = 8;
    pub(super) const CODE: usize = 32;
    pub(super) const PREVIOUS: usize = 48;
    /// Where the frame is, in what the thread's state points to.
    pub(super) const IN_C_FRAME: usize = 8;
}
#[cfg(Py_3_12)]
mod layout {
    pub(super) const GLOBALS: usize = 24;
    pub(super) const CODE: usize = 0;
    pub(super) const PREVIOUS: usize = 8;
    #[cfg(not(Py_3_13))]
    pub(super) const IN_C_FRAME: usize = 0;
}
const INSTRUCTION: usize = 56;
/// Where a thread's state has its frame; up to 3.12, a C frame that has it.
const IN_THREAD: usize = if cfg!(Py_3_13) { 72 } else { 56 };
/// Where a frame object has the interpreter's frame.
const IN_FRAME_OBJECT: usize = 24;

/// Whether the places above are right.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// The variables of modules whose frames are passed over; they are never given up.
static LIBRARIES: [AtomicPtr<ffi::PyObject>; 16] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; 16];

/// The variables of a module that is none of them: most tasks are made by few modules. Forgotten
/// when one is added, as the same address may have become another module's.
static PROGRAM: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Those of the one that was met last: `asyncio.tasks`, as a rule.
static LIBRARY: AtomicPtr<ffi::PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// More frames than this are not passed over.
const DEPTH: usize = 48;

/// Has the frames of a module passed over, given its variables: who made a task is who called
/// `asyncio.create_task`.
pub(crate) fn pass_over(globals: &Object) {
    PROGRAM.store(std::ptr::null_mut(), Relaxed);
    for place in &LIBRARIES {
        let known = place.load(Relaxed);
        if known == globals.as_ptr() {
            return;
        }
        if known.is_null() {
            place.store(globals.new_ref().into_ptr(), Relaxed);
            return;
        }
    }
}

/// Checks the places: called at import, by Python code.
pub(super) fn check_layout() {
    if cfg!(Py_GIL_DISABLED) {
        return;
    }
    // SAFETY: attached. The frame object, if there is one, is alive while its code runs, which
    // is until the import is over. The words of the thread's state that are read exist in all
    // versions; the pointer in it is that of a C frame up to 3.12 (null before the first one).
    let fits = unsafe {
        let object = ffi::PyEval_GetFrame();
        !object.is_null()
            && object.cast::<u8>().add(IN_FRAME_OBJECT).cast::<*const u8>().read() == innermost()
    };
    KNOWN.store(fits, Relaxed);
}

/// The frame that this thread runs, or null.
///
/// # Safety
/// Attached.
#[inline(always)]
unsafe fn innermost() -> *const u8 {
    // SAFETY: this thread's own state.
    unsafe {
        let thread = ffi::compat::PyThreadState_GetUnchecked().cast::<u8>();
        let frame = thread.add(IN_THREAD).cast::<*const u8>().read();
        #[cfg(not(Py_3_13))]
        let frame = if frame.is_null() {
            frame
        } else {
            frame.add(layout::IN_C_FRAME).cast::<*const u8>().read()
        };
        frame
    }
}

/// One of the interpreter's own frames, of this thread.
#[derive(Clone, Copy)]
struct Frame(*const u8);

impl Frame {
    /// The one that this thread runs, if it is known where that is.
    #[inline(always)]
    fn innermost() -> Option<Self> {
        if !KNOWN.load(Relaxed) {
            return None;
        }
        // SAFETY: attached, as everybody who has objects is.
        let frame = unsafe { innermost() };
        (!frame.is_null()).then_some(Self(frame))
    }

    /// The one that called it.
    #[inline(always)]
    fn previous(self) -> Option<Self> {
        // SAFETY: a frame of this thread, which runs in the innermost: none of them goes away
        // meanwhile, since nothing here runs Python code. `check_layout` has found the places
        // right.
        let frame = unsafe { self.0.add(layout::PREVIOUS).cast::<*const u8>().read() };
        (!frame.is_null()).then_some(Self(frame))
    }

    /// What it runs; nothing if C has put it in between.
    #[inline(always)]
    fn code<'a>(self) -> Option<&'a Object> {
        // SAFETY: as above; the frame has a reference to its code, for as long as it is there.
        unsafe {
            let bits = self.0.add(layout::CODE).cast::<usize>().read();
            // 3.14 keeps marks in the lowest bits.
            let code = (if cfg!(Py_3_14) { bits & !3 } else { bits }) as *mut ffi::PyObject;
            let is_code = !code.is_null() && ffi::Py_TYPE(code) == &raw mut ffi::PyCode_Type;
            is_code.then(|| Object::from_ptr(code))
        }
    }

    /// How far it has come in its code.
    #[inline(always)]
    fn instruction(self, code: &Object) -> u32 {
        // SAFETY: as above.
        unsafe {
            let at = self.0.add(INSTRUCTION).cast::<usize>().read();
            let class = &raw const ffi::PyCode_Type;
            let start = (*class).tp_basicsize as usize;
            at.saturating_sub(code.as_ptr() as usize + start) as u32
        }
    }

    /// Whether it is to be passed over.
    #[inline(always)]
    fn is_library(self) -> bool {
        // SAFETY: as above; only the address is looked at.
        let globals = unsafe { self.0.add(layout::GLOBALS).cast::<*mut ffi::PyObject>().read() };
        globals == LIBRARY.load(Relaxed)
            || (globals != PROGRAM.load(Relaxed) && is_known_library(globals))
    }

    #[inline(always)]
    fn site(self, code: &Object) -> Site {
        Site { code: code.new_ref(), instruction: self.instruction(code) }
    }
}

#[cold]
fn is_known_library(globals: *mut ffi::PyObject) -> bool {
    for place in &LIBRARIES {
        let known = place.load(Relaxed);
        if known.is_null() {
            break;
        }
        if known == globals {
            LIBRARY.store(globals, Relaxed);
            return true;
        }
    }
    PROGRAM.store(globals, Relaxed);
    false
}

/// Where the program is: the innermost frame that is not passed over, or else the innermost.
#[inline(always)]
pub(crate) fn here() -> Option<Site> {
    let mut frame = Frame::innermost()?;
    for _ in 0..DEPTH {
        if let Some(code) = frame.code().filter(|_| !frame.is_library()) {
            return Some(frame.site(code));
        }
        let Some(previous) = frame.previous() else { break };
        frame = previous;
    }
    innermost_of_all()
}

/// Where the libraries are, in want of a program.
#[cold]
fn innermost_of_all() -> Option<Site> {
    let mut next = Frame::innermost();
    for _ in 0..DEPTH {
        let frame = next?;
        if let Some(code) = frame.code() {
            return Some(frame.site(code));
        }
        next = frame.previous();
    }
    None
}

/// The innermost frames that are not passed over, at most `limit`; or else the innermost.
pub(crate) fn trail(limit: usize) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut next = Frame::innermost();
    for _ in 0..DEPTH {
        let Some(frame) = next.filter(|_| sites.len() < limit) else { break };
        if let Some(code) = frame.code().filter(|_| !frame.is_library()) {
            sites.push(frame.site(code));
        }
        next = frame.previous();
    }
    if sites.is_empty() {
        sites.extend(innermost_of_all());
    }
    sites
}

/// The code of a native coroutine.
pub(crate) fn code_of_coroutine(coroutine: &Object) -> Result<Option<Owned>> {
    if !super::coroutine::is_native(coroutine) {
        return Ok(None);
    }
    coroutine.getattr(&super::state::names().cr_code).map(Some)
}
