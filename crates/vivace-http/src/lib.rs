//! HTTP for vivace's server, without Python.
//!
//! The protocols have no I/O, clock or threads either: bytes in, events out; what is to be sent is
//! written to a buffer of the caller.
//!
//! - `h1`: HTTP/1.1, the server side: reading requests, writing responses.
//! - `h2`: HTTP/2, the server side of a connection and its streams.
//! - `ws`: WebSocket with compression, the server side: reading and writing frames.
//! - For all versions of HTTP: `field` (header fields), `target` and `host` (what is asked for),
//!   `status`, `date`, `proxy` (what a trusted proxy says of the client).
//!
//! What watches the server has threads of its own, so that it works while the loop is blocked:
//!
//! - `access_log`: a line for each request;
//! - `metrics`: what is counted, and the endpoint that tells it.
//!
//! Nothing here panics on what a peer sends, keeps more than its limits allow, or reads a byte
//! more often than a fixed number of times, however the bytes arrive.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod access_log;
mod byte_class;
pub mod date;
pub mod field;
pub mod h1;
pub mod h2;
pub mod host;
pub mod metrics;
pub mod proxy;
pub mod status;
pub mod target;
pub mod ws;
