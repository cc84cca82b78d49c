//! Bytes out: queued by `write()`, sent together at the end of the turn.
//!
//! A write above the high-water mark is tried at once, so that flow control sees what asyncio's
//! would: what the kernel did not take.

use std::io::IoSlice;

use vivace_core::stream::flow_control::Tell;
use vivace_sys::Errno;
use vivace_sys::socket::{MAX_PIECES, send_many, send_one, shut_write};

use super::stream::Stream;
use super::{Unsent, flow};
use crate::event_loop::report::Parties;
use crate::ffi::bytes::{Bytes, memory_length};
use crate::ffi::memory::with_content;
use crate::ffi::{Builtin, Instance, Object, Result, context, error, imports, names, raise, text};

/// Writes to a lost connection before the log is told of them, as in asyncio.
const WARN_AFTER: u32 = 5;

/// From this size on what is queued is sent at once: a system call more for so many bytes is
/// little, and they are still in the cache.
const SEND_AT_ONCE: usize = 8 * 1024;

/// What `write` and `writelines` refuse.
fn check_open(stream: &Instance<Stream>, method: &str) -> Result<()> {
    if stream.outgoing.eof.get() {
        return Err(raise(Builtin::Runtime, &format!("Cannot call {method}() after write_eof()")));
    }
    if stream.outgoing.empty_waiter.is_some() {
        return Err(raise(
            Builtin::Runtime,
            &format!("unable to {method}; sendfile is in progress"),
        ));
    }
    Ok(())
}

/// Whether the connection is lost; a program that goes on writing is told in the log.
fn is_lost(stream: &Instance<Stream>) -> Result<bool> {
    let lost = stream.phase.lost.get();
    if lost == 0 {
        return Ok(false);
    }
    if lost >= WARN_AFTER {
        let text = text::string("socket.send() raised exception.")?;
        imports().logger.call_method(&names().warning, &[&text])?;
    }
    stream.phase.lost.set(lost.saturating_add(1));
    Ok(true)
}

/// `write(data)`.
pub(super) fn write(stream: &Instance<Stream>, data: &Object) -> Result<()> {
    if let Some(length) = memory_length(data) {
        if length >= SEND_AT_ONCE && may_send(stream) {
            return write_memory(stream, data);
        }
    }
    write_piece(stream, Bytes::from_data(data)?)
}

fn write_piece(stream: &Instance<Stream>, piece: Bytes) -> Result<()> {
    check_open(stream, "write")?;
    if piece.as_slice().is_empty() || is_lost(stream)? {
        return Ok(());
    }
    let emptied = stream.outgoing.queue.borrow_mut().push(piece);
    drop(emptied);
    wrote(stream)
}

/// Whether a send would not get ahead of anything, and the kernel may take it. While reading is
/// paused the loop may not hold the connection, so that nobody would hear that it can go on.
fn may_send(stream: &Instance<Stream>) -> bool {
    stream.outgoing.writable.get()
        && !stream.incoming.paused.get()
        && stream.phase.lost.get() == 0
        && stream.outgoing.queue.borrow().is_empty()
}

/// Much data that its owner may change later: it is sent from where it lies, and only what the
/// kernel does not take is copied.
fn write_memory(stream: &Instance<Stream>, data: &Object) -> Result<()> {
    check_open(stream, "write")?;
    let outcome = with_content(data, |content| {
        let Some(fd) = stream.socket.borrow() else { return Ok(None) };
        let sent = match send_one(fd, content) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => {
                stream.outgoing.writable.set(false);
                0
            }
            Err(errno) => return Err(errno),
        };
        Ok(Some(Bytes::copied(&content[sent..])))
    });
    match outcome {
        Ok(Ok(Some(rest))) => write_piece(stream, rest?),
        Ok(Ok(None)) => Ok(()),
        Ok(Err(errno)) => failed(stream, errno),
        Err(raised) => {
            // It does not lie in one piece.
            raised.clear();
            write_piece(stream, Bytes::from_data(data)?)
        }
    }
}

/// `writelines(pieces)`.
pub(super) fn write_lines(stream: &Instance<Stream>, pieces: &[Bytes]) -> Result<()> {
    check_open(stream, "writelines")?;
    if pieces.is_empty() || is_lost(stream)? {
        return Ok(());
    }
    for piece in pieces {
        let emptied = stream.outgoing.queue.borrow_mut().push(piece.clone());
        drop(emptied);
    }
    wrote(stream)
}

/// Something was queued: it leaves at the end of the turn, or now if it is much.
#[inline]
fn wrote(stream: &Instance<Stream>) -> Result<()> {
    let size = stream.outgoing.queue.borrow().size();
    let high = stream.outgoing.flow.borrow().high();
    if size > high || size >= SEND_AT_ONCE {
        if stream.outgoing.writable.get() {
            flush(stream)?;
        }
        let size = stream.outgoing.queue.borrow().size();
        let tell = stream.outgoing.flow.borrow_mut().grown(size);
        return tell_protocol(stream, tell);
    }
    if !stream.outgoing.unsent.replace(true) {
        match stream.event_loop.get() {
            // Outside of the loop's run nobody would flush: it is sent now.
            Some(event_loop) if event_loop.is_running() => {
                event_loop.transports.add_unsent(Unsent::Stream(stream.counted()));
            }
            _ => {
                stream.outgoing.unsent.set(false);
                flush(stream)?;
            }
        }
    }
    Ok(())
}

/// The end of the turn.
pub(super) fn flush_turn(stream: &Instance<Stream>) -> Result<()> {
    stream.outgoing.unsent.set(false);
    if stream.outgoing.writable.get() { flush(stream) } else { Ok(()) }
}

/// `abort()` drops what the kernel has not taken; what was written in this turn was not offered to it
/// yet.
pub(super) fn send_before_abort(stream: &Instance<Stream>) {
    if stream.outgoing.unsent.get()
        && stream.outgoing.writable.get()
        && stream.phase.lost.get() == 0
    {
        // If it fails, the connection ends as it does anyway.
        let _ends = send_all(stream);
    }
}

/// Sends what the kernel takes, then does what waited for it.
pub(super) fn flush(stream: &Instance<Stream>) -> Result<()> {
    if stream.outgoing.queue.borrow().is_empty() || stream.phase.lost.get() > 0 {
        return Ok(());
    }
    match send_all(stream) {
        Ok(()) => {}
        Err(errno) => return failed(stream, errno),
    }
    let size = stream.outgoing.queue.borrow().size();
    let tell = stream.outgoing.flow.borrow_mut().shrunk(size);
    if tell.is_some() {
        let Some(context) = stream.context.get() else { return Ok(()) };
        // Inside a callback of this connection its context is entered already.
        match context::run_in(&context, || Ok(())) {
            Ok(()) => context::run_in(&context, || tell_protocol(stream, tell))?,
            Err(raised) => {
                raised.clear();
                tell_protocol(stream, tell)?;
            }
        }
    }
    if stream.incoming.paused.get() {
        stream.hold()?;
    }
    if size == 0 { emptied(stream) } else { Ok(()) }
}

fn send_all(stream: &Instance<Stream>) -> std::result::Result<(), Errno> {
    while let Some(fd) = stream.socket.borrow() {
        let sent = {
            let queue = stream.outgoing.queue.borrow();
            match queue.pieces() {
                0 => return Ok(()),
                1 => send_one(fd, queue.slices().next().unwrap_or_default()),
                _ => {
                    let slices: Vec<IoSlice<'_>> =
                        queue.slices().take(MAX_PIECES).map(IoSlice::new).collect();
                    send_many(fd, &slices)
                }
            }
        };
        match sent {
            Ok(count) => {
                let mut done = stream.outgoing.queue.borrow_mut().advance(count);
                while let Some(piece) = done {
                    drop(piece);
                    done = stream.outgoing.queue.borrow_mut().advance(0);
                }
            }
            Err(Errno::AGAIN) => {
                stream.outgoing.writable.set(false);
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Everything is sent.
fn emptied(stream: &Instance<Stream>) -> Result<()> {
    if let Some(waiter) = stream.outgoing.empty_waiter.get() {
        if !waiter.call_method(&names().done, &[])?.is_true()? {
            waiter.call_method(&names().set_result, &[text::none_ref()])?;
        }
    }
    if stream.phase.closing.get() {
        return stream.lose(None);
    }
    if stream.outgoing.eof.get() {
        return shut(stream);
    }
    Ok(())
}

fn shut(stream: &Instance<Stream>) -> Result<()> {
    if let Some(event_loop) = stream.event_loop.get() {
        event_loop.expect_events();
    }
    match stream.socket.borrow().map_or(Ok(()), shut_write) {
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(errno) => Err(error::raise_os(errno.raw_os_error())),
    }
}

/// `write_eof()`: half-closes once everything is sent.
pub(super) fn write_eof(stream: &Instance<Stream>) -> Result<()> {
    if stream.phase.closing.get() || stream.outgoing.eof.replace(true) {
        return Ok(());
    }
    if stream.outgoing.queue.borrow().is_empty() { shut(stream) } else { flush(stream) }
}

#[cold]
fn failed(stream: &Instance<Stream>, errno: Errno) -> Result<()> {
    let exception = error::os_error(errno.raw_os_error())?;
    let unsent = stream.outgoing.queue.borrow_mut().take();
    drop(unsent);
    stream.fatal_error(&exception, "Fatal write error on socket transport")?;
    if let Some(waiter) = stream.outgoing.empty_waiter.take() {
        waiter.call_method(&names().set_exception, &[&exception])?;
    }
    Ok(())
}

/// Tells the protocol, if it is time.
pub(super) fn tell_protocol(stream: &Instance<Stream>, tell: Option<Tell>) -> Result<()> {
    match (tell, stream.protocol.get(), stream.event_loop.get()) {
        (Some(tell), Some(protocol), Some(event_loop)) => {
            let connection = Parties { transport: stream.object(), protocol: &protocol };
            flow::tell(&event_loop, &protocol, tell, connection)
        }
        _ => Ok(()),
    }
}
