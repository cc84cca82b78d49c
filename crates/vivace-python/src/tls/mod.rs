//! TLS: what stands between a connection and the program's protocol.
//!
//! ```text
//!   socket ── StreamTransport ── TlsProtocol ── TlsTransport ── the program's protocol
//!                 (lower)          │ Engine        (app side)
//!                                  └─ ciphertext in and out, plaintext in and out
//! ```
//!
//! The lower transport can be any transport: another `TlsTransport` (TLS in TLS), one of the
//! standard library, one of the program. Over our own kinds bytes are passed on natively.
//! Everything that TLS itself is (versions, ciphers, certificates, ALPN, SNI) is the caller's
//! `ssl.SSLContext`; the engine does what it says.
//!
//! | file | what |
//! |---|---|
//! | `engine` | the seam: what an implementation of TLS must be able to do |
//! | `memory_bio` | the engine over `ssl.SSLObject` and two `ssl.MemoryBIO` |
//! | `state` | the states of a connection and what may follow what |
//! | `creation` | making a connection |
//! | `protocol` | the struct and class of `vivace.SSLProtocol`, its first and last callback |
//! | `handshake`, `shutdown` | the beginning and the end |
//! | `incoming`, `outgoing` | bytes to and from the program's protocol |
//! | `failure` | errors: which end the connection, which are reported |
//! | `protocol_methods` | what Python sees of the protocol |
//! | `transport` | `vivace.SSLTransport`, the app side |

pub(crate) mod creation;
mod engine;
mod failure;
mod handshake;
mod incoming;
mod memory_bio;
mod outgoing;
pub(crate) mod protocol;
mod protocol_methods;
mod shutdown;
pub(crate) mod state;
mod transport;

use crate::event_loop::Loop;
use crate::ffi::{ClassBuilder, Owned, Result};

/// The method of a loop that makes a TLS connection.
pub(crate) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    creation::with_loop_methods(builder)
}

/// Makes the classes: the protocol, the transport.
pub(crate) fn make_classes() -> Result<(Owned, Owned)> {
    Ok((protocol_methods::make_class()?, transport::make_class()?))
}
