//! The seam: what an implementation of TLS must be able to do, on bytes in and bytes out.
//!
//! An engine does no I/O and calls no protocol. It is given ciphertext (`feed`), asked for
//! ciphertext to send (`take_output`), and driven by the calls between the two. Errors are
//! Python's: an `ssl.SSLError` for what TLS found wrong.

use std::ops::Range;

use crate::ffi::bytes::Bytes;
use crate::ffi::memory::Memory;
use crate::ffi::{Object, Owned, Result, Visitor};

/// What became of a handshake or a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Done,
    /// The peer has to say something first.
    Waiting,
}

/// What became of a read.
pub(super) enum Read<T> {
    Data(T),
    /// More ciphertext is needed.
    Nothing,
    /// The peer has closed its side properly (`close_notify`).
    Closed,
}

/// One side of a TLS connection.
pub(super) trait Engine: Sized {
    /// A connection that obeys `context`, an `ssl.SSLContext`.
    fn new(context: &Object, server_side: bool, server_hostname: &Object) -> Result<Self>;

    /// Ciphertext from the peer: the first `count` bytes of the memory.
    fn feed(&self, ciphertext: &mut Memory, count: usize) -> Result<()>;

    /// Ciphertext from the peer.
    fn feed_bytes(&self, ciphertext: &Bytes) -> Result<()>;

    /// Ciphertext to be sent to the peer, all there is.
    fn take_output(&self) -> Result<Option<Bytes>>;

    /// At least as much as can be read now, 0 if that is nothing. Never more than was fed.
    fn available(&self) -> Result<usize>;

    /// How much ciphertext was fed and not yet used.
    fn pending_input(&self) -> Result<usize>;

    /// How much ciphertext waits to be taken.
    fn pending_output(&self) -> Result<usize>;

    fn handshake(&self) -> Result<Progress>;

    /// Plaintext, at most `limit` bytes and at most one record, as new `bytes`.
    fn read(&self, limit: usize) -> Result<Read<Bytes>>;

    /// Plaintext straight into a part of `memory`, as `read` otherwise.
    fn read_into(&self, memory: &mut Memory, part: Range<usize>) -> Result<Read<usize>>;

    /// Encrypts `data`; answers how much of it was taken, `None` if the peer must speak first.
    fn write(&self, data: &Bytes) -> Result<Option<usize>>;

    /// Says `close_notify`; done when the peer has said it too.
    fn shutdown(&self) -> Result<Progress>;

    /// The `ssl.SSLObject` that programs look at.
    fn ssl_object(&self) -> Owned;

    fn traverse(&self, visitor: &mut Visitor);

    fn clear(&self);
}
