//! Bytes in, if the protocol of a connection is our own HTTP: from the socket to the parser,
//! without an object in between.

use vivace_sys::socket::receive;

use super::READ_SIZE;
use super::stream::Stream;
use super::stream_read::{Outcome, deliver, ended, failed};
use crate::event_loop::Loop;
use crate::ffi::memory::initialised;
use crate::ffi::{Instance, Result};
use crate::serve::connection::Connection;

const FAILED: &str = "Fatal error: protocol.data_received() call failed.";

/// Reads once, and lets the connection do what it can with it.
pub(super) fn read_into_http(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<Outcome> {
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    let Some(http) = protocol.exact::<Connection>() else { return Ok(Outcome::Ended) };
    let Some(fd) = stream.socket.borrow() else { return Ok(Outcome::Ended) };
    // Handed out while the application runs: it may make the loop read another connection.
    let mut buffer = this.transports.take_buffer()?;
    let received = receive(fd, buffer.as_mut());
    let outcome = match received {
        Ok(0) => ended(stream),
        Ok(count) => deliver(stream, count, READ_SIZE, FAILED, || {
            http.received(initialised(&buffer.as_mut()[..count]))
        }),
        Err(errno) => failed(stream, errno),
    };
    this.transports.give_buffer_back(buffer);
    outcome
}
