//! Bytes in, if the protocol of a connection is our own HTTP: from the socket to the parser,
//! without an object in between.

use vivace_sys::Errno;
use vivace_sys::socket::receive;

use super::READ_SIZE;
use super::stream::Stream;
use super::stream_read::{Outcome, ended, failed};
use crate::event_loop::Loop;
use crate::ffi::bytes::initialised;
use crate::ffi::{Instance, Result};
use crate::serve::connection::Connection;

enum Fed {
    /// This many bytes, and what came of them.
    Data(usize, Result<()>),
    Failed(Errno),
}

/// Reads once, and lets the connection do what it can with it.
pub(super) fn read_into_http(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<Outcome> {
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    let Some(http) = protocol.exact::<Connection>() else { return Ok(Outcome::Ended) };
    let (count, fed) = match receive_and_feed(this, stream, http) {
        Some(Fed::Data(0, _)) => return ended(stream),
        Some(Fed::Data(count, fed)) => (count, fed),
        Some(Fed::Failed(errno)) => return failed(stream, errno),
        None => return Ok(Outcome::Ended),
    };
    if let Err(raised) = fed {
        stream.protocol_failed(raised, "Fatal error: protocol.data_received() call failed.")?;
        return Ok(Outcome::Ended);
    }
    Ok(if stream.incoming.readable.get() { Outcome::More(count) } else { Outcome::Drained })
}

fn receive_and_feed(
    this: &Instance<Loop>,
    stream: &Instance<Stream>,
    http: &Instance<Connection>,
) -> Option<Fed> {
    let fd = stream.socket.borrow()?;
    // Handed out while the application runs: it may make the loop read another connection.
    let mut buffer = this.transports.take_buffer();
    let fed = match receive(fd, &mut buffer) {
        Ok(0) => Fed::Data(0, Ok(())),
        Ok(count) => {
            if matches!(Outcome::after(stream, count, READ_SIZE), Outcome::Drained) {
                // Known before the application runs: it may be told of new data meanwhile.
                stream.incoming.readable.set(false);
            }
            Fed::Data(count, http.received(initialised(&buffer[..count])))
        }
        Err(errno) => Fed::Failed(errno),
    };
    this.transports.give_buffer_back(buffer);
    Some(fed)
}
