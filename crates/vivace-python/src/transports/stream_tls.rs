//! Bytes in, if the protocol of a connection is our own TLS: from the socket into the engine,
//! without an object in between.

use vivace_sys::Errno;
use vivace_sys::socket::receive;

use super::stream::Stream;
use super::stream_read::{BUFFER_UPDATED_FAILED, Outcome, deliver, ended, failed};
use crate::event_loop::Loop;
use crate::ffi::{Instance, Result};
use crate::tls::protocol::TlsProtocol;

/// What one read takes at most: what the engine keeps until it is decrypted stays small, and
/// in the cache.
const CHUNK: usize = 128 * 1024;

enum Fed {
    /// This many bytes.
    Data(usize, Result<()>),
    Failed(Errno),
    /// There is no socket any more.
    Closed,
}

/// Reads once, and lets TLS do what it can with it.
pub(super) fn read_into_tls(this: &Instance<Loop>, stream: &Instance<Stream>) -> Result<Outcome> {
    let Some(protocol) = stream.protocol.get() else { return Ok(Outcome::Ended) };
    let Some(tls) = protocol.exact::<TlsProtocol>() else { return Ok(Outcome::Ended) };
    let (count, fed) = match receive_and_feed(this, stream, tls)? {
        Fed::Data(0, _) => return ended(stream),
        Fed::Data(count, fed) => (count, fed),
        Fed::Failed(errno) => return failed(stream, errno),
        Fed::Closed => return Ok(Outcome::Ended),
    };
    deliver(stream, count, CHUNK, BUFFER_UPDATED_FAILED, || fed.and_then(|()| tls.advance()))
}

fn receive_and_feed(
    this: &Instance<Loop>,
    stream: &Instance<Stream>,
    tls: &Instance<TlsProtocol>,
) -> Result<Fed> {
    let Some(fd) = stream.socket.borrow() else { return Ok(Fed::Closed) };
    let mut buffer = this.transports.take_buffer()?;
    let fed = match receive(fd, &mut buffer.as_mut()[..CHUNK]) {
        Ok(0) => Fed::Data(0, Ok(())),
        Ok(count) => Fed::Data(count, tls.received(&mut buffer, count)),
        Err(errno) => Fed::Failed(errno),
    };
    this.transports.give_buffer_back(buffer);
    Ok(fed)
}
