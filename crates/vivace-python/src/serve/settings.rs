//! What a service was told: the attributes of `vivace.serve`'s settings, read once.

use crate::ffi::bytes::Bytes;
use crate::ffi::{Object, Owned, Result, text};

/// Bounds on what a client may do and use.
#[derive(Default)]
pub(super) struct Limits {
    /// Bytes a second that a request's body must come with, on average; 0: any.
    pub(super) body_rate: u64,
    pub(super) body_size: Option<u64>,
    pub(super) headers: usize,
    pub(super) header_size: usize,
    /// Requests in flight.
    pub(super) concurrency: Option<usize>,
    /// Requests that may wait beyond that.
    pub(super) queue: usize,
    pub(super) connections_per_address: Option<usize>,
    pub(super) max_requests: Option<u64>,
}

/// How long things may take, in seconds.
#[derive(Default)]
pub(super) struct Timeouts {
    pub(super) keep_alive: f64,
    pub(super) request_header: f64,
    pub(super) write: f64,
    pub(super) request: Option<f64>,
}

/// What concerns WebSockets.
#[derive(Default)]
pub(super) struct WebSockets {
    pub(super) enabled: bool,
    pub(super) max_size: usize,
    pub(super) max_queue: usize,
    pub(super) ping_interval: Option<f64>,
    pub(super) ping_timeout: Option<f64>,
    pub(super) per_message_deflate: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) root_path: String,
    /// The value of `Server`, for responses that do not have one.
    pub(super) server: Option<Vec<u8>>,
    /// Header lines that every response gets, as they are sent.
    pub(super) extra_headers: Vec<u8>,
    pub(super) date_header: bool,
    pub(super) proxy_headers: bool,
    pub(super) forwarded_allow_ips: Vec<String>,
    pub(super) access_log: bool,
    pub(super) access_log_format: String,
    pub(super) access_log_colors: bool,
    pub(super) reset_contextvars: bool,
    pub(super) cancel_on_disconnect: bool,
    pub(super) http2: bool,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) ws: WebSockets,
}

/// Reads attributes of the settings object.
struct Reader<'a>(&'a Object);

impl Reader<'_> {
    fn get(&self, name: &str) -> Result<Owned> {
        self.0.getattr(&*text::interned(name)?)
    }

    fn given(&self, name: &str) -> Result<Option<Owned>> {
        let value = self.get(name)?;
        Ok((!value.is_none()).then_some(value))
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.get(name)?.is_true()
    }

    fn text(&self, name: &str) -> Result<String> {
        Ok(text::to_string_lossy(&*self.get(name)?))
    }

    fn seconds(&self, name: &str) -> Result<f64> {
        text::to_f64(&*self.get(name)?)
    }

    fn seconds_given(&self, name: &str) -> Result<Option<f64>> {
        self.given(name)?.map_or(Ok(None), |value| text::to_f64(&value).map(Some))
    }

    fn number(&self, name: &str) -> Result<u64> {
        text::to_u64(&*self.get(name)?)
    }

    fn number_given(&self, name: &str) -> Result<Option<u64>> {
        self.given(name)?.map_or(Ok(None), |value| text::to_u64(&value).map(Some))
    }

    fn size(&self, name: &str) -> Result<usize> {
        Ok(usize::try_from(self.number(name)?).unwrap_or(usize::MAX))
    }

    fn size_given(&self, name: &str) -> Result<Option<usize>> {
        let number = self.number_given(name)?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    /// The default headers: the value of `Server`, and the lines of the others.
    fn headers(&self, name: &str) -> Result<(Option<Vec<u8>>, Vec<u8>)> {
        let (mut server, mut lines) = (None, Vec::new());
        for item in text::iterate(&*self.get(name)?)? {
            let Some((name, value)) = text::two_items(&item)? else { continue };
            let (name, value) = (Bytes::from_bytes(name)?, Bytes::from_bytes(value)?);
            if name.as_slice().eq_ignore_ascii_case(b"server") && server.is_none() {
                server = Some(value.as_slice().to_vec());
            } else {
                for part in [name.as_slice(), b": ", value.as_slice(), b"\r\n"] {
                    lines.extend_from_slice(part);
                }
            }
        }
        Ok((server, lines))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        let items = text::iterate(&*self.get(name)?)?;
        Ok(items.iter().map(|item| text::to_string_lossy(item)).collect())
    }
}

/// A struct of what is called like its fields, with the same word before each.
macro_rules! fields {
    ($read:ident, $into:ident, $prefix:literal, { $($field:ident: $kind:ident),* $(,)? }) => {{
        let mut read = $into::default();
        $(read.$field = $read.$kind(concat!($prefix, stringify!($field)))?;)*
        read
    }};
}

impl Settings {
    /// Reads `settings`; the names are those of the command line's flags.
    pub(super) fn read(settings: &Object) -> Result<Self> {
        let read = Reader(settings);
        let (server, extra_headers) = read.headers("default_headers")?;
        Ok(Self {
            root_path: read.text("root_path")?,
            server,
            extra_headers,
            date_header: read.flag("date_header")?,
            proxy_headers: read.flag("proxy_headers")?,
            forwarded_allow_ips: read.texts("forwarded_allow_ips")?,
            access_log: read.flag("access_log")?,
            access_log_format: read.text("access_log_format")?,
            access_log_colors: read.flag("access_log_colors")?,
            reset_contextvars: read.flag("reset_contextvars")?,
            cancel_on_disconnect: read.flag("cancel_on_disconnect")?,
            http2: read.flag("http2")?,
            limits: fields!(read, Limits, "limit_", {
                body_rate: number,
                body_size: number_given,
                headers: size,
                header_size: size,
                concurrency: size_given,
                queue: size,
                connections_per_address: size_given,
                max_requests: number_given,
            }),
            timeouts: fields!(read, Timeouts, "timeout_", {
                keep_alive: seconds,
                request_header: seconds,
                write: seconds,
                request: seconds_given,
            }),
            ws: WebSockets {
                enabled: read.flag("ws")?,
                ..fields!(read, WebSockets, "ws_", {
                    max_size: size,
                    max_queue: size,
                    ping_interval: seconds_given,
                    ping_timeout: seconds_given,
                    per_message_deflate: flag,
                })
            },
        })
    }
}
