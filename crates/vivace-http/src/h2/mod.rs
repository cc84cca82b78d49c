//! HTTP/2 (RFC 9113), the server side of one connection.
//!
//! The frames, the compression of fields and the state of each stream are those of the `h2` crate.
//! It wants to read from and write to a stream of bytes and to be polled by a runtime; here it gets
//! buffers in memory and is polled by hand, so that there is no I/O and no runtime: bytes in,
//! events out, commands in, bytes out.
//!
//! ```text
//!   receive(bytes) ─► Pipe ─► h2 ─► next_event(): request, data, end, room, reset
//!   take_output()  ◄─ Pipe ◄─ h2 ◄─ respond, send, finish, reset, release, drain
//! ```
//!
//! - `connection`: [`ServerConnection`](connection::ServerConnection), which is all of it;
//! - `limits`: what one client may use, and where each bound is kept;
//! - `frames`: the heads of frames, looked at before `h2` gets them;
//! - `calm`: how often it may ask for what carries nothing;
//! - `request`: the head of a request, as for HTTP/1.1;
//! - `pipe`: the bytes that came and those that are to go;
//! - `readiness`: which streams something has happened to;
//! - `fields`: lines of fields, as `h1::response` writes them, for a frame.

mod calm;
pub mod connection;
mod fields;
mod frames;
pub mod limits;
mod pipe;
mod readiness;
pub mod request;
mod stream;

/// What a client sends first (RFC 9113, section 3.4), with or without TLS.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The name of HTTP/2 over TLS in ALPN.
pub const ALPN: &[u8] = b"h2";
