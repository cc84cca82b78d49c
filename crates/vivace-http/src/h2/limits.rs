//! What one client may use.
//!
//! | attack | bound | kept by |
//! |---|---|---|
//! | many requests at once | `concurrent_streams` | `h2`: RST_STREAM REFUSED_STREAM |
//! | requests that are reset before they are looked at | 20 at a time | `h2`: GOAWAY |
//! | requests that are reset before they are answered | [`EARLY_RESETS`] | GOAWAY |
//! | faults that reset streams | 1024 | `h2`: GOAWAY |
//! | large heads, endless CONTINUATION | `header_list_size` | `h2`: 431, then GOAWAY |
//! | floods of PING, SETTINGS, PRIORITY, empty DATA, unknown frames | [`OVERHEAD`] | GOAWAY |
//! | the same from one that does not read | nothing is read while [`UNSENT`] bytes wait | here |
//! | many small DATA frames | a budget of `h2`'s | `h2`: GOAWAY |
//! | content that nobody reads | `stream_window`, `connection_window` | `h2`: flow control |
//! | a client that does not read | [`SEND_BUFFER`] a stream, [`UNSENT`] | here and `h2` |

/// Bytes that wait for the client before nothing more is read or made.
pub const UNSENT: usize = 256 * 1024;

/// Bytes of one stream that wait between the program and the frames.
pub const SEND_BUFFER: usize = 64 * 1024;

/// So many at once, and so many more each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// A second.
    pub steady: u32,
}

/// Requests that may be taken back, besides one for each that is answered.
pub const EARLY_RESETS: Rate = Rate { burst: 200, steady: 20 };

/// Frames that carry nothing, besides one for each piece of content that is sent.
pub const OVERHEAD: Rate = Rate { burst: 1000, steady: 100 };

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests at the same time.
    pub concurrent_streams: u32,
    /// Bytes of all names and values of a head, with 32 more for each field, as HTTP/2 counts.
    pub header_list_size: u32,
    /// Fields of a head.
    pub headers: usize,
    /// Bytes of one request's content that come before the program has read the ones before.
    pub stream_window: u32,
    /// The same for all requests of a connection.
    pub connection_window: u32,
    /// Streams may become WebSockets (RFC 8441).
    pub websockets: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_streams: 100,
            header_list_size: 64 * 1024,
            headers: 100,
            stream_window: 256 * 1024,
            connection_window: 4 * 1024 * 1024,
            websockets: false,
        }
    }
}

pub(super) fn builder(limits: &Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(limits.concurrent_streams)
        .max_header_list_size(limits.header_list_size)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(1024))
        .max_concurrent_reset_streams(50);
    if limits.websockets {
        builder.enable_connect_protocol();
    }
    builder
}
