//! Where things lie in the interpreter's own structs, for reading stacks without the GIL.
//!
//! From CPython 3.13 on the interpreter says so itself (`_PyRuntime.debug_offsets`); the structs of
//! 3.11 and 3.12 no longer change. `see::walk` compares a stack read so with the one that the C-API
//! shows before it believes any of this.

use pyo3::ffi;

/// Offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) thread: ThreadLayout,
    pub(crate) frame: FrameLayout,
    pub(crate) code: CodeLayout,
    /// Of `PyASCIIObject` and of `PyCompactUnicodeObject`: where the characters begin.
    pub(crate) ascii: usize,
    pub(crate) compact: usize,
    /// `cr_qualname`.
    pub(crate) coroutine_name: usize,
    pub(crate) gil: Option<GilLayout>,
}

/// `PyThreadState`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadLayout {
    pub(crate) previous: usize,
    pub(crate) next: usize,
    pub(crate) interpreter: usize,
    /// The frame, or what points to it.
    pub(crate) frame: usize,
    /// Up to 3.12 there is a struct of the C stack in between: where the frame is in there.
    pub(crate) frame_in_between: Option<usize>,
    pub(crate) native_id: usize,
}

/// `_PyInterpreterFrame`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLayout {
    pub(crate) code: usize,
    pub(crate) previous: usize,
    pub(crate) instruction: usize,
    pub(crate) owner: usize,
    pub(crate) locals: usize,
    /// Owners from here on are no frames of Python code.
    pub(crate) first_foreign_owner: u8,
}

/// `PyCodeObject`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeLayout {
    pub(crate) file: usize,
    pub(crate) qualified_name: usize,
    pub(crate) line_table: usize,
    pub(crate) first_line: usize,
    pub(crate) instructions: usize,
}

/// In the state of the interpreter: who holds the GIL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GilLayout {
    pub(crate) locked: usize,
    pub(crate) holder: usize,
}

impl Layout {
    /// That of the running interpreter, if it is known.
    #[cfg(not(Py_3_13))]
    pub(crate) fn of_this_python() -> Option<Self> {
        let is_3_12 = cfg!(Py_3_12);
        let pick = |older, newer| if is_3_12 { newer } else { older };
        Some(Self {
            thread: ThreadLayout {
                previous: 0,
                next: 8,
                interpreter: 16,
                frame: 56,
                frame_in_between: Some(pick(8, 0)),
                native_id: pick(160, 144),
            },
            frame: FrameLayout {
                code: pick(32, 0),
                previous: pick(48, 8),
                instruction: 56,
                owner: pick(69, 70),
                locals: 72,
                first_foreign_owner: 3,
            },
            code: CodeLayout {
                file: 112,
                qualified_name: 128,
                line_table: 136,
                first_line: pick(72, 68),
                instructions: pick(184, 192),
            },
            ascii: pick(48, 40),
            compact: pick(72, 56),
            coroutine_name: pick(40, 32),
            gil: None,
        })
    }

    /// That of the running interpreter, if it is known.
    #[cfg(Py_3_13)]
    pub(crate) fn of_this_python() -> Option<Self> {
        let offsets = debug_offsets()?;
        // Words before the structs: the cookie, the version, whether there is a GIL, the runtime.
        const INTERPRETER: usize = 6;
        let (thread, frame, code) = if cfg!(Py_3_14) { (22, 31, 39) } else { (19, 28, 34) };
        Some(Self {
            thread: ThreadLayout {
                previous: offsets[thread + 1],
                next: offsets[thread + 2],
                interpreter: offsets[thread + 3],
                frame: offsets[thread + 4],
                frame_in_between: None,
                native_id: offsets[thread + 6],
            },
            frame: FrameLayout {
                previous: offsets[frame + 1],
                code: offsets[frame + 2],
                instruction: offsets[frame + 3],
                locals: offsets[frame + 4],
                owner: offsets[frame + 5],
                first_foreign_owner: 3,
            },
            code: CodeLayout {
                file: offsets[code + 1],
                qualified_name: offsets[code + 3],
                line_table: offsets[code + 4],
                first_line: offsets[code + 5],
                instructions: offsets[code + 9],
            },
            ascii: 40,
            compact: 56,
            coroutine_name: 32,
            gil: {
                let first = INTERPRETER + if cfg!(Py_3_14) { 11 } else { 10 };
                Some(GilLayout { locked: offsets[first + 1], holder: offsets[first + 2] })
            },
        })
    }
}

/// The words of `_PyRuntime.debug_offsets`, if this is the version that we know.
#[cfg(Py_3_13)]
fn debug_offsets() -> Option<[usize; 50]> {
    const COOKIE: &[u8; 8] = b"xdebugpy";
    unsafe extern "C" {
        static _PyRuntime: [u64; 50];
    }
    // SAFETY: the runtime begins with the offsets, which are written when the interpreter is
    // compiled; it is much longer than what is read.
    let words = unsafe { &_PyRuntime };
    // SAFETY: a version is a constant.
    let version = unsafe { ffi::Py_Version } >> 16;
    let known = words[0].to_ne_bytes() == *COOKIE && words[1] >> 16 == version;
    // Free-threaded builds tag their pointers in other ways.
    if !known || words[2] != 0 {
        return None;
    }
    let mut offsets = [0; 50];
    for (offset, word) in offsets.iter_mut().zip(words) {
        *offset = usize::try_from(*word).ok()?;
    }
    Some(offsets)
}

/// The address of this thread's state.
pub(crate) fn thread_state() -> usize {
    // SAFETY: attached, as every caller in this crate is.
    unsafe { ffi::PyThreadState_Get() as usize }
}
