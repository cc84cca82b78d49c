//! `bytes`: data that comes in, and data that goes out.

use std::mem::MaybeUninit;

use pyo3::ffi;
use vivace_core::stream::write_queue::Piece;

use super::error::{Builtin, Raised, Result, raise};
use super::memory::{Memory, initialised, with_content};
use super::object::{Object, Owned};
use super::text;

/// A `bytes` object: its content never changes, so it can be sent later without a copy.
#[derive(Clone)]
pub(crate) struct Bytes(Owned);

impl Bytes {
    /// Data given to `write()`: `bytes` are kept as they are, anything else is copied now,
    /// since its owner may change it before it is sent.
    pub(crate) fn from_data(data: &Object) -> Result<Self> {
        if is_bytes(data) {
            return Ok(Self(data.new_ref()));
        }
        if !is_bytes_like(data) {
            let name = data.class().getattr(&*text::interned("__name__")?)?;
            let name = text::repr(&name)?;
            return Err(raise(
                Builtin::Type,
                &format!("data argument must be a bytes-like object, not {name}"),
            ));
        }
        match with_content(data, bytes) {
            Ok(copy) => copy.map(Self),
            Err(raised) => {
                // A view with holes: CPython knows how to put it together.
                raised.clear();
                // SAFETY: a live object; the reference is new or null.
                unsafe { Owned::from_new(ffi::PyBytes_FromObject(data.as_ptr())) }.map(Self)
            }
        }
    }

    /// A `bytes` object as it is; anything else is an error.
    pub(crate) fn from_bytes(data: Owned) -> Result<Self> {
        if is_bytes(&data) { Ok(Self(data)) } else { Err(raise(Builtin::Type, "bytes expected")) }
    }

    /// A copy of these bytes.
    #[inline]
    pub(crate) fn copied(content: &[u8]) -> Result<Self> {
        bytes(content).map(Self)
    }

    /// A copy of these, one after another.
    #[inline]
    pub(crate) fn joined(parts: &[&[u8]]) -> Result<Self> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        // SAFETY: a null source leaves the content to be written; a new object that nobody else
        // has, of `size` bytes, each of which is written once.
        unsafe {
            let whole = Owned::from_new(ffi::PyBytes_FromStringAndSize(
                std::ptr::null(),
                size as ffi::Py_ssize_t,
            ))?;
            let mut place = ffi::PyBytes_AS_STRING(whole.as_ptr()).cast_mut().cast::<u8>();
            for part in parts {
                place.copy_from_nonoverlapping(part.as_ptr(), part.len());
                place = place.add(part.len());
            }
            Ok(Self(whole))
        }
    }

    /// The name or value of a header: `bytes`, or what is like them.
    pub(crate) fn header(data: &Object, what: &str) -> Result<Self> {
        if is_bytes(data) {
            return Ok(Self(data.new_ref()));
        }
        if is_bytes_like(data) {
            return Self::from_data(data);
        }
        let text = text::repr(data)?;
        Err(raise(Builtin::Type, &format!("the {what} of a header must be bytes, not {text}")))
    }

    /// The body of a message: `bytes`, or what is like them.
    #[inline]
    pub(crate) fn body(data: &Object) -> Result<Self> {
        if is_bytes(data) || is_bytes_like(data) {
            return Self::from_data(data);
        }
        let text = text::repr(&data.class())?;
        Err(raise(Builtin::Type, &format!("the body of a message must be bytes, not {text}")))
    }

    pub(crate) fn object(&self) -> &Object {
        &self.0
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: a bytes object, alive and unchanging as long as the reference.
        unsafe {
            let data = ffi::PyBytes_AS_STRING(self.0.as_ptr()).cast::<u8>();
            std::slice::from_raw_parts(data, ffi::Py_SIZE(self.0.as_ptr()) as usize)
        }
    }
}

impl Piece for Bytes {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_slice()
    }
}

fn is_bytes(data: &Object) -> bool {
    // SAFETY: a live object.
    unsafe { ffi::PyBytes_Check(data.as_ptr()) == 1 }
}

pub(crate) fn is_bytes_like(data: &Object) -> bool {
    // SAFETY: a live object; the address of a static type.
    unsafe {
        is_bytes(data)
            || ffi::PyByteArray_Check(data.as_ptr()) == 1
            || ffi::PyMemoryView_Check(data.as_ptr()) == 1
    }
}

/// The length of a `bytearray` or a `memoryview`; `None` for anything else.
#[inline]
pub(crate) fn memory_length(data: &Object) -> Option<usize> {
    if is_bytes(data) || !is_bytes_like(data) {
        return None;
    }
    // SAFETY: a live object.
    let length = unsafe { ffi::PyObject_Size(data.as_ptr()) };
    if length < 0 {
        Raised.clear();
    }
    usize::try_from(length).ok()
}

/// New `bytes` with this content.
#[inline]
pub(crate) fn bytes(content: &[u8]) -> Result<Owned> {
    // SAFETY: readable for the length given.
    unsafe {
        Owned::from_new(ffi::PyBytes_FromStringAndSize(
            content.as_ptr().cast(),
            content.len() as ffi::Py_ssize_t,
        ))
    }
}

/// New `bytes` of at most `capacity`, filled by `fill`, which answers how many it wrote.
pub(crate) fn bytes_filled<E>(
    capacity: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> std::result::Result<usize, E>,
) -> Result<std::result::Result<Owned, E>> {
    let mut memory = Memory::new(capacity)?;
    match fill(memory.as_mut()) {
        Ok(filled) => memory.into_bytes(filled).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// The length of a `bytes` object.
pub(crate) fn length(data: &Object) -> usize {
    debug_assert!(is_bytes(data));
    // SAFETY: a bytes object (the callers make it).
    unsafe { ffi::Py_SIZE(data.as_ptr()) as usize }
}

/// New `bytes` with what `fill` wrote into `buffer` (it answers how many), and their number;
/// `None` when it wrote nothing.
pub(crate) fn bytes_copied<E>(
    buffer: &mut [MaybeUninit<u8>],
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> std::result::Result<usize, E>,
) -> Result<std::result::Result<Option<(Owned, usize)>, E>> {
    match fill(&mut *buffer) {
        Ok(0) => Ok(Ok(None)),
        Ok(count) => Ok(Ok(Some((bytes(initialised(&buffer[..count]))?, count)))),
        Err(error) => Ok(Err(error)),
    }
}

/// A writable `memoryview` of a new `bytearray`.
pub(crate) fn new_buffer(length: usize) -> Result<Owned> {
    // SAFETY: a null source leaves the content to be written; it is zeroed before use.
    unsafe {
        let array = Owned::from_new(ffi::PyByteArray_FromStringAndSize(
            std::ptr::null(),
            length as ffi::Py_ssize_t,
        ))?;
        ffi::PyByteArray_AsString(array.as_ptr()).write_bytes(0, length);
        Owned::from_new(ffi::PyMemoryView_FromObject(array.as_ptr()))
    }
}

/// Several `bytes` objects put together.
pub(crate) fn joined<'a>(parts: impl Iterator<Item = &'a Object>) -> Result<Owned> {
    let mut whole = Vec::new();
    for part in parts {
        debug_assert!(is_bytes(part));
        // SAFETY: a bytes object (the callers made it), alive and unchanging meanwhile.
        unsafe {
            let data = ffi::PyBytes_AS_STRING(part.as_ptr()).cast::<u8>();
            whole.extend_from_slice(std::slice::from_raw_parts(data, length(part)));
        }
    }
    bytes(&whole)
}

/// The same memory with zeros in it, for whoever must not see it as it was.
pub(crate) fn zeroed(memory: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    memory.fill(MaybeUninit::new(0));
    // SAFETY: every byte was written just now.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), memory.len()) }
}
