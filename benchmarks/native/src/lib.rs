//! What the load generator (`echo-load`) and the bare servers (`echo-limit`)
//! share: how an endpoint is written on the command line and opened, and the
//! sizes both must agree on.
//!
//! Used by `benchmarks/suites/echo.py` and `serve.py`, which start the binaries.

pub mod channel;
pub mod endpoint;
pub mod options;
pub mod websocket;

/// Bytes received by one call at most; more than the largest message measured,
/// so that a message that is there as a whole is read as a whole.
pub const RECEIVE_BUFFER: usize = 256 * 1024;

/// Events taken from the kernel at once.
pub const EVENT_BATCH: usize = 128;
