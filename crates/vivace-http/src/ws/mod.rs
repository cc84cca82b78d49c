//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), the server side.
//!
//! A connection goes through these files in this order:
//!
//! 1. `handshake`: is the request one for a WebSocket, what does it offer, what is answered;
//! 2. `decoder`: bytes in, messages and control frames out. It checks every rule of the RFC, and
//!    what it gives out needs no second look;
//! 3. `encoder`: messages, pings and pongs into a buffer of the caller;
//! 4. `closing`: the closing handshake, and the code with which the application hears of the end.
//!
//! `keepalive` says when to send a ping and when the peer is gone. `deflate` holds what is needed
//! for compression; a thread has one `deflate::Pool` for all its connections.
//!
//! ```
//! use vivace_http::ws::{Closing, Decoder, Encoder, Event, deflate};
//!
//! let mut pool = deflate::Pool::default(); // one for each thread
//! let mut decoder = Decoder::new(1 << 20, None);
//! let mut encoder = Encoder::new(None);
//! let mut closing = Closing::default();
//! let mut output = Vec::new();
//!
//! let mut input: &[u8] = b"\x81\x85\x01\x02\x03\x04igohn";
//! loop {
//!     match decoder.next_event(&mut input, &mut pool) {
//!         Ok(None) => break, // all was read: wait for more
//!         Ok(Some(Event::Message(message))) => encoder.message(message, &mut pool, &mut output),
//!         Ok(Some(Event::Ping(payload))) => encoder.pong(payload, &mut output),
//!         Ok(Some(Event::Pong(_))) => {}
//!         Ok(Some(Event::Close(frame))) => closing.receive(frame, &mut output),
//!         Err(failure) => closing.fail(&failure, &mut output),
//!     }
//! }
//! assert_eq!(output, b"\x81\x05hello");
//! ```

mod close_frame;
mod closing;
mod decoder;
pub mod deflate;
mod encoder;
mod failure;
mod frame;
pub mod handshake;
mod keepalive;
mod mask;
mod message;
mod text;

pub use close_frame::{CloseCode, CloseFrame, MAX_REASON};
pub use closing::{Closing, Disconnect, Phase};
pub use decoder::{Decoder, Event};
pub use encoder::Encoder;
pub use failure::Failure;
pub use frame::{FrameHead, MAX_CONTROL_PAYLOAD};
pub use keepalive::{Keepalive, Step};
pub use message::{Kind, Message};
