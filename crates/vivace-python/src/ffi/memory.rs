//! Memory to be filled: by a system call, or by a function of a C extension (`window`).
//!
//! A [`Memory`] is either a `bytes` object that nobody has seen yet, or a buffer that its owner
//! lends (`get_buffer` of a `BufferedProtocol`). It goes from hand to hand by value: whoever has
//! it is the only one of us who reads or writes it, and it stays where it is until it is dropped.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use pyo3::ffi;

use super::error::{Builtin, Raised, Result, raise};
use super::object::{Object, Owned};
use super::text;

unsafe extern "C" {
    // Exported by every CPython, but not declared by PyO3.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> c_int;
}

/// See the module.
#[derive(Default)]
pub(crate) struct Memory(Holder);

#[derive(Default)]
enum Holder {
    #[default]
    Nobody,
    /// A `bytes` object with one reference: this.
    Bytes(Owned),
    Buffer(WritableBuffer),
}

impl Memory {
    /// New memory, to become `bytes` or to be used again and again.
    pub(crate) fn new(capacity: usize) -> Result<Self> {
        // SAFETY: a null source leaves the content to be written; the reference is new or null.
        let bytes = unsafe {
            Owned::from_new(ffi::PyBytes_FromStringAndSize(
                std::ptr::null(),
                capacity as ffi::Py_ssize_t,
            ))?
        };
        Ok(Self(Holder::Bytes(bytes)))
    }

    /// The buffer of `owner`, which must be writable.
    pub(crate) fn lent_by(owner: &Object) -> Result<Self> {
        WritableBuffer::of(owner).map(|buffer| Self(Holder::Buffer(buffer)))
    }

    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Holder::Nobody => 0,
            Holder::Bytes(bytes) => super::bytes::length(bytes),
            Holder::Buffer(buffer) => buffer.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, to be written into.
    pub(crate) fn as_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        match &mut self.0 {
            Holder::Nobody => &mut [],
            // SAFETY: the object is ours alone, and so is its memory, which need not be
            // initialised; an empty one is shared, but has none.
            Holder::Bytes(bytes) => unsafe {
                let memory = ffi::PyBytes_AS_STRING(bytes.as_ptr()).cast_mut();
                std::slice::from_raw_parts_mut(memory.cast(), super::bytes::length(bytes))
            },
            Holder::Buffer(buffer) => buffer.memory(),
        }
    }

    /// The first `filled` bytes as a `bytes` object. Only for memory of [`Self::new`].
    pub(crate) fn into_bytes(self, filled: usize) -> Result<Owned> {
        debug_assert!(filled <= self.len());
        let Holder::Bytes(bytes) = self.0 else {
            return Err(raise(Builtin::Type, "this memory is no bytes object"));
        };
        let mut object = bytes.into_ptr();
        // SAFETY: the object is ours alone. What is left of it was written; the resize may move
        // it, and frees it if that fails.
        unsafe {
            if _PyBytes_Resize(&mut object, filled as ffi::Py_ssize_t) < 0 {
                return Err(Raised);
            }
            Ok(Owned::from_new_unchecked(object))
        }
    }
}

/// A writable buffer lent by its owner (`get_buffer`), given back when dropped.
pub(crate) struct WritableBuffer(Box<ffi::Py_buffer>);

impl WritableBuffer {
    pub(crate) fn of(owner: &Object) -> Result<Self> {
        // SAFETY: the view is zeroed plain data and is filled by CPython.
        unsafe {
            let mut view = Box::new(std::mem::zeroed::<ffi::Py_buffer>());
            match ffi::PyObject_GetBuffer(owner.as_ptr(), &mut *view, ffi::PyBUF_WRITABLE) {
                0 => Ok(Self(view)),
                _ => Err(refuse_buffer(owner, Raised)),
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len as usize
    }

    /// The memory, to be written into.
    pub(crate) fn memory(&mut self) -> &mut [MaybeUninit<u8>] {
        if self.0.buf.is_null() {
            return &mut [];
        }
        // SAFETY: writable for its length while the view is held; Python code that looks at
        // the same memory runs only after the borrow has ended.
        unsafe { std::slice::from_raw_parts_mut(self.0.buf.cast(), self.0.len as usize) }
    }
}

/// Lends `body` the writable buffer of `owner` for one call, in which no Python code runs.
pub(crate) fn with_writable<R>(
    owner: &Object,
    body: impl FnOnce(&mut [MaybeUninit<u8>]) -> R,
) -> Result<R> {
    with_view(owner, ffi::PyBUF_WRITABLE, |start, length| {
        // SAFETY: writable for its length while it is viewed, and looked at by nobody else.
        body(unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast(), length) })
    })
    .map_err(|raised| refuse_buffer(owner, raised))
}

/// Lends `body` the content of a `bytes`-like object for one call, in which no Python code runs.
/// It is an error if the content does not lie in one piece.
pub(crate) fn with_content<R>(owner: &Object, body: impl FnOnce(&[u8]) -> R) -> Result<R> {
    with_view(owner, ffi::PyBUF_SIMPLE, |start, length| {
        // SAFETY: readable for its length while it is viewed. A buffer is always initialised.
        body(unsafe { std::slice::from_raw_parts(start.as_ptr(), length) })
    })
}

fn with_view<R>(
    owner: &Object,
    flags: c_int,
    body: impl FnOnce(NonNull<u8>, usize) -> R,
) -> Result<R> {
    struct Held<'a>(&'a mut ffi::Py_buffer);

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            // SAFETY: filled by PyObject_GetBuffer and released once.
            unsafe { ffi::PyBuffer_Release(self.0) }
        }
    }

    // SAFETY: the view is plain data that CPython fills. It may then hold pointers into itself,
    // so it stays where it is.
    let mut view = unsafe { std::mem::zeroed::<ffi::Py_buffer>() };
    // SAFETY: a live object and a view to be filled; nothing is held if that fails.
    if unsafe { ffi::PyObject_GetBuffer(owner.as_ptr(), &mut view, flags) } != 0 {
        return Err(Raised);
    }
    let held = Held(&mut view);
    let start = NonNull::new(held.0.buf.cast()).unwrap_or(NonNull::dangling());
    Ok(body(start, held.0.len as usize))
}

/// As `socket.recv_into` says it, which asyncio calls with this object.
#[cold]
fn refuse_buffer(owner: &Object, raised: Raised) -> Raised {
    raised.clear();
    let name = owner.class().getattr(match &text::interned("__name__") {
        Ok(name) => name,
        Err(_) => return Raised,
    });
    let name = name.map_or_else(
        |raised| {
            raised.clear();
            String::new()
        },
        |name| text::to_string_lossy(&name),
    );
    raise(
        Builtin::Type,
        &format!("recv_into() argument 1 must be read-write bytes-like object, not {name}"),
    )
}

impl Drop for WritableBuffer {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer and released once.
        unsafe { ffi::PyBuffer_Release(&mut *self.0) }
    }
}

/// The part of a buffer that a system call has filled.
///
/// The callers pass just what `receive` said it wrote, or memory of a Python buffer, which is
/// always initialised.
pub(crate) fn initialised(filled: &[MaybeUninit<u8>]) -> &[u8] {
    // SAFETY: what the callers promise (above).
    unsafe { std::slice::from_raw_parts(filled.as_ptr().cast(), filled.len()) }
}

/// Copies `content` to the beginning of `memory`, which is at least as long.
pub(crate) fn copy_into(memory: &mut [MaybeUninit<u8>], content: &[u8]) {
    for (place, byte) in memory[..content.len()].iter_mut().zip(content) {
        place.write(*byte);
    }
}
