//! Bytes in: from the socket to `data_received`, `buffer_updated` or `eof_received`.

use vivace_sys::Errno;
use vivace_sys::socket::receive;

use super::READ_SIZE;
use super::stream::{Kind, Stream};
use super::stream_http::read_into_http;
use super::stream_tls::read_into_tls;
use crate::event_loop::Loop;
use crate::ffi::bytes::{bytes_copied, bytes_filled, length};
use crate::ffi::memory::with_writable;
use crate::ffi::{Builtin, Instance, Owned, Result, error, names, raise, text};

/// From this size on data is received straight into its `bytes`, below it is copied there.
const DIRECT_SIZE: usize = 32 * 1024;

pub(super) const BUFFER_UPDATED_FAILED: &str =
    "Fatal error: protocol.buffer_updated() call failed.";

/// Reads one connection for one turn: as much as there is, up to a bound.
pub(super) fn read(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<()> {
    let mut taken = 0;
    while stream.is_reading() && !stream.incoming.eof.get() {
        let outcome = match stream.incoming.kind.get() {
            Kind::Plain => read_bytes(this, stream)?,
            Kind::Buffered => read_into_protocol(stream)?,
            Kind::Tls => read_into_tls(this, stream)?,
            Kind::Http => read_into_http(this, stream)?,
        };
        match outcome {
            Outcome::Drained => {
                stream.incoming.readable.set(false);
                return Ok(());
            }
            Outcome::Ended => return Ok(()),
            Outcome::More(count) => taken += count,
        }
        if taken >= READ_SIZE {
            // The others have their turn first.
            stream.queue(this);
            return Ok(());
        }
    }
    Ok(())
}

pub(super) enum Outcome {
    /// Nothing more is there.
    Drained,
    /// The connection ended, one way or another.
    Ended,
    /// There may be more.
    More(usize),
}

/// Hands what a read brought to the protocol: `count` bytes, where `room` was.
///
/// A short read has drained the socket, unless the end was reported together with the data.
/// That is noted before the callback: it may resume, close, or be told of new data.
#[inline(always)]
pub(super) fn deliver(
    stream: &Instance<Stream>,
    count: usize,
    room: usize,
    failure: &str,
    callback: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    let drained = count < room && !stream.incoming.ended.get();
    if drained {
        stream.incoming.readable.set(false);
    }
    if let Err(raised) = callback() {
        stream.protocol_failed(raised, failure)?;
        return Ok(Outcome::Ended);
    }
    let drained = drained && !stream.incoming.readable.get();
    Ok(if drained { Outcome::Drained } else { Outcome::More(count) })
}

enum Received {
    Data(Owned, usize, usize),
    Nothing(Outcome),
}

fn read_bytes(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<Outcome> {
    let (data, count, room) = match receive_bytes(this, stream)? {
        Received::Data(data, count, room) => (data, count, room),
        Received::Nothing(outcome) => return Ok(outcome),
    };
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    const FAILURE: &str = "Fatal error: protocol.data_received() call failed.";
    deliver(stream, count, room, FAILURE, || {
        protocol.call_method(&names().data_received, &[&data]).map(drop)
    })
}

fn receive_bytes(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<Received> {
    let Some(fd) = stream.socket.borrow() else { return Ok(Received::Nothing(Outcome::Ended)) };
    let last = stream.incoming.last_size.get();
    if last >= DIRECT_SIZE {
        let room = last.next_power_of_two().min(READ_SIZE);
        let filled = bytes_filled(room, |memory| match receive(fd, memory) {
            // Nothing to make an object of: the end of the stream.
            Ok(0) => Err(None),
            Ok(count) => Ok(count),
            Err(errno) => Err(Some(errno)),
        })?;
        return match filled {
            Ok(data) => {
                let count = length(&data);
                // A full read asks for twice as much the next time.
                stream.incoming.last_size.set(if count == room { room + 1 } else { count });
                Ok(Received::Data(data, count, room))
            }
            Err(None) => ended(stream).map(Received::Nothing),
            Err(Some(errno)) => failed(stream, errno).map(Received::Nothing),
        };
    }
    let received = this
        .transports
        .with_buffer(|buffer| bytes_copied(buffer, |memory| receive(fd, memory)))??;
    match received {
        Ok(Some((data, count))) => {
            stream.incoming.last_size.set(count);
            Ok(Received::Data(data, count, READ_SIZE))
        }
        Ok(None) => ended(stream).map(Received::Nothing),
        Err(errno) => failed(stream, errno).map(Received::Nothing),
    }
}

fn read_into_protocol(stream: &Instance<Stream>) -> Result<Outcome> {
    const GET_BUFFER_FAILED: &str = "Fatal error: protocol.get_buffer() call failed.";
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    let hint = text::integer(-1)?;
    let lent = protocol.call_method(&names().get_buffer, &[&hint]).and_then(|owner| {
        let (room, received) = with_writable(&owner, |memory| {
            let room = memory.len();
            match stream.socket.borrow() {
                Some(fd) if room > 0 => (room, Some(receive(fd, memory))),
                _ => (room, None),
            }
        })?;
        match room {
            0 => Err(raise(Builtin::Runtime, "get_buffer() returned an empty buffer")),
            _ => Ok((room, received)),
        }
    });
    let (room, received) = match lent {
        Ok(lent) => lent,
        Err(raised) => {
            stream.protocol_failed(raised, GET_BUFFER_FAILED)?;
            return Ok(Outcome::Ended);
        }
    };
    let count = match received {
        // The protocol has closed the connection meanwhile.
        None => return Ok(Outcome::Ended),
        Some(Ok(0)) => return ended(stream),
        Some(Ok(count)) => count,
        Some(Err(errno)) => return failed(stream, errno),
    };
    let number = text::integer(count as i64)?;
    deliver(stream, count, room, BUFFER_UPDATED_FAILED, || {
        protocol.call_method(&names().buffer_updated, &[&number]).map(drop)
    })
}

#[cold]
pub(super) fn failed(stream: &Instance<Stream>, errno: Errno) -> Result<Outcome> {
    if errno == Errno::AGAIN {
        return Ok(Outcome::Drained);
    }
    let exception = error::os_error(errno.raw_os_error())?;
    stream.fatal_error(&exception, "Fatal read error on socket transport")?;
    Ok(Outcome::Ended)
}

/// The peer sends no more. The protocol decides whether the connection stays half open.
#[cold]
pub(super) fn ended(stream: &Instance<Stream>) -> Result<Outcome> {
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    stream.incoming.eof.set(true);
    let keep_open =
        protocol.call_method(&names().eof_received, &[]).and_then(|answer| answer.is_true());
    match keep_open {
        Ok(true) => {}
        Ok(false) => stream.close()?,
        Err(raised) => {
            const FAILED: &str = "Fatal error: protocol.eof_received() call failed.";
            stream.protocol_failed(raised, FAILED)?;
        }
    }
    Ok(Outcome::Ended)
}
