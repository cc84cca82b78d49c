//! WebSocket through its public interface: what a client sends and reads is made by `client`,
//! which knows the protocol from the other side and shares no code with the crate.

// Megabytes, each split at every byte: hours under Miri, in a crate without unsafe code.
#![cfg(not(miri))]
#![allow(clippy::unwrap_used)]

mod client;
mod decoder;
mod deflate;
mod handshake;
mod inflate;
mod random;
