//! Transports: connections and listening sockets whose descriptors the engine owns.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what a loop keeps for all of them |
//! | `socket` | the one owner of a descriptor |
//! | `address` | addresses as Python sees them |
//! | `stream` | the class of a stream connection, its life from first to last callback |
//! | `stream_read`, `stream_write` | bytes in, bytes out |
//! | `stream_tls`, `stream_http` | bytes in, if the protocol is our own TLS or HTTP |
//! | `interface` | what Python can call on any stream transport |
//! | `protocol_kind` | which callbacks a protocol takes bytes by |
//! | `flow` | asking a protocol to pause its writing |
//! | `stream_methods` | what Python can call and read beside it |
//! | `listener` | accepting connections |

pub(crate) mod address;
pub(crate) mod flow;
pub(crate) mod interface;
pub(crate) mod listener;
pub(crate) mod protocol_kind;
pub(crate) mod socket;
pub(crate) mod stream;
mod stream_http;
mod stream_methods;
mod stream_read;
mod stream_tls;
mod stream_write;

use std::cell::RefCell;
use std::mem::MaybeUninit;

use self::stream::Stream;
use crate::event_loop::Loop;
use crate::ffi::bytes::Bytes;
use crate::ffi::memory::Memory;
use crate::ffi::slot::Counted;
use crate::ffi::{ClassBuilder, Instance, Object, Owned, Ref, Result, Visitor};
use crate::tls::protocol::TlsProtocol;

pub(crate) use stream_methods::make_class as make_stream_class;

/// What one look at a socket takes at most, in bytes (asyncio's `max_size`).
pub(crate) const READ_SIZE: usize = 256 * 1024;

/// A connection with something written in this turn.
pub(crate) enum Unsent {
    /// To be sent.
    Stream(Ref<Stream>),
    /// To be encrypted first.
    Tls(Ref<TlsProtocol>),
}

impl Unsent {
    fn flush(&self) -> Result<()> {
        match self {
            Self::Stream(stream) => stream_write::flush_turn(stream),
            Self::Tls(protocol) => protocol.flush_turn(),
        }
    }
}

/// What a loop keeps for its connections.
#[derive(Default)]
pub(crate) struct Transports {
    /// Who has something written in this turn: it leaves at the turn's end.
    unsent: RefCell<Vec<Unsent>>,
    /// Where sockets are read into before the size of the data is known.
    buffer: RefCell<Memory>,
}

impl Transports {
    /// Lends the buffer to `body`, which must not run Python code.
    fn with_buffer<R>(&self, body: impl FnOnce(&mut [MaybeUninit<u8>]) -> R) -> Result<R> {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() {
            *buffer = Memory::new(READ_SIZE)?;
        }
        Ok(body(buffer.as_mut()))
    }

    /// Hands the buffer out, for what may run Python code; [`Self::give_buffer_back`] ends it.
    /// Meanwhile the others have one of their own.
    fn take_buffer(&self) -> Result<Memory> {
        let buffer = std::mem::take(&mut *self.buffer.borrow_mut());
        if buffer.is_empty() { Memory::new(READ_SIZE) } else { Ok(buffer) }
    }

    fn give_buffer_back(&self, buffer: Memory) {
        let other = self.buffer.replace(buffer);
        drop(other);
    }

    pub(crate) fn add_unsent(&self, connection: Unsent) {
        self.unsent.borrow_mut().push(connection);
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        let Ok(unsent) = self.unsent.try_borrow() else { return };
        for connection in &*unsent {
            visitor.object(match connection {
                Unsent::Stream(stream) => stream.as_object(),
                Unsent::Tls(protocol) => protocol.as_object(),
            });
        }
    }

    pub(crate) fn clear(&self) {
        let unsent = std::mem::take(&mut *self.unsent.borrow_mut());
        drop(unsent);
    }
}

impl Instance<Loop> {
    /// Sends what was written since the last time, and what is written meanwhile: the loop may
    /// wait after this, and nobody would send it.
    #[inline(always)]
    pub(crate) fn flush_writes(&self) -> Result<()> {
        if self.transports.unsent.borrow().is_empty() { Ok(()) } else { self.flush_unsent() }
    }

    #[inline(never)]
    fn flush_unsent(&self) -> Result<()> {
        self.expect_events();
        while !self.transports.unsent.borrow().is_empty() {
            let mut unsent = std::mem::take(&mut *self.transports.unsent.borrow_mut());
            let mut rest = unsent.drain(..);
            while let Some(connection) = rest.next() {
                if let Err(raised) = connection.flush() {
                    // The loop is left; those behind it are sent when it goes on.
                    self.transports.unsent.borrow_mut().extend(rest);
                    return Err(raised);
                }
            }
            drop(rest);
            // The room is used again, unless something was written meanwhile.
            let mut current = self.transports.unsent.borrow_mut();
            if current.is_empty() {
                *current = unsent;
                return Ok(());
            }
        }
        Ok(())
    }
}

/// `stream.write(data)`, for the engine's own protocols.
#[inline]
pub(crate) fn write_to(stream: &Instance<Stream>, data: &Object) -> Result<()> {
    stream_write::write(stream, data)
}

/// `stream.writelines(pieces)`, for the engine's own protocols.
#[inline]
pub(crate) fn write_pieces(stream: &Instance<Stream>, pieces: &[Bytes]) -> Result<()> {
    stream_write::write_lines(stream, pieces)
}

/// Sends what was written so far, as far as the kernel takes it.
pub(crate) fn flush_now(stream: &Instance<Stream>) -> Result<()> {
    stream_write::flush(stream)
}

/// The methods that make transports, for the Python half of the loop.
pub(crate) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    let builder = listener::with_loop_methods(builder);
    stream_methods::with_loop_methods(builder)
}

/// Makes the classes; the first is for Python to see.
pub(crate) fn make_classes() -> Result<(Owned, Owned)> {
    Ok((make_stream_class()?, listener::make_class()?))
}
