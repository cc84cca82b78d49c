//! Lines for programs: the same fields in the same order, as JSON or as logfmt.
//!
//! | field | what |
//! |---|---|
//! | `time` | when the request began: RFC 3339, universal time, microseconds |
//! | `level` | `info` |
//! | `client`, `port` | who asked; neither on a UNIX socket |
//! | `scheme`, `http_version`, `method` | as the application sees them |
//! | `path`, `query` | as they came; no `query` if it is empty |
//! | `route` | the template that the application matched, if it is known |
//! | `status`, `bytes` | what was answered, and how many bytes of a body |
//! | `duration_ms` | milliseconds with three decimals |
//! | `request_id`, `user_agent`, `referer` | if there are any |
//! | `pid` | the process that answered |
//!
//! A logfmt value that is not plain is written as a JSON string, which is what its parsers read.

use super::escape::{is_ordinary, push_json};
use super::record::Record;
use super::time_text::{UniversalTime, push_padded};
use std::time::{Duration, SystemTime};

/// How fields are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Json,
    Logfmt,
}

/// A line of fields.
pub(super) struct StructuredLine {
    pub(super) syntax: Syntax,
    pub(super) process: u32,
    pub(super) time: UniversalTime,
}

/// The header fields that such a line holds.
pub(super) const WANTED: [&[u8]; 2] = [b"user-agent", b"referer"];

impl StructuredLine {
    pub(super) fn push(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        let mut fields = Fields { out, syntax: self.syntax };
        fields.open(&mut self.time, record.started, "info");
        if let Some(client) = record.client {
            fields.text("client", client.host);
            fields.number("port", client.port.into());
        }
        fields.text("scheme", record.scheme.as_bytes());
        fields.text("http_version", record.http_version.as_bytes());
        fields.text("method", record.method);
        fields.text("path", record.raw_path);
        if !record.query.is_empty() {
            fields.text("query", record.query);
        }
        fields.text_if_any("route", record.route);
        fields.number("status", record.status.into());
        fields.number("bytes", record.response_bytes);
        fields.milliseconds("duration_ms", record.duration);
        fields.text_if_any("request_id", record.request_id);
        for (name, header) in ["user_agent", "referer"].into_iter().zip(WANTED) {
            fields.text_if_any(name, record.request_headers.value(header));
        }
        fields.number("pid", self.process.into());
        fields.close();
    }
}

/// The line that says that others were lost.
pub(super) fn push_notice(syntax: Syntax, lost: u64, message: &str, out: &mut Vec<u8>) {
    let mut fields = Fields { out, syntax };
    fields.open(&mut UniversalTime::default(), SystemTime::now(), "warning");
    fields.text("message", message.as_bytes());
    fields.number("lost", lost);
    fields.close();
}

/// Whether a logfmt value needs no quotes.
fn is_bare(value: &[u8]) -> bool {
    let bare = |byte| is_ordinary(byte) & (byte != b' ') & (byte != b'=');
    !value.is_empty() && value.iter().fold(true, |all, &byte| all & bare(byte))
}

/// A line that is being written.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    syntax: Syntax,
}

impl Fields<'_> {
    fn open(&mut self, time: &mut UniversalTime, moment: SystemTime, level: &str) {
        let json = self.syntax == Syntax::Json;
        self.out.extend_from_slice(if json { b"{\"time\":\"" } else { b"time=" });
        time.push(self.out, moment);
        if json {
            self.out.push(b'"');
        }
        self.text("level", level.as_bytes());
    }

    fn close(&mut self) {
        if self.syntax == Syntax::Json {
            self.out.push(b'}');
        }
    }

    fn name(&mut self, name: &'static str) {
        match self.syntax {
            Syntax::Json => {
                self.out.extend_from_slice(b",\"");
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Syntax::Logfmt => {
                self.out.push(b' ');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'=');
            }
        }
    }

    fn text(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        if self.syntax == Syntax::Logfmt && is_bare(value) {
            self.out.extend_from_slice(value);
        } else {
            push_json(self.out, value);
        }
    }

    fn text_if_any(&mut self, name: &'static str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn milliseconds(&mut self, name: &'static str, duration: Duration) {
        self.name(name);
        let microseconds = duration.as_micros();
        self.out.extend_from_slice(itoa::Buffer::new().format(microseconds / 1000).as_bytes());
        self.out.push(b'.');
        let thousandths = u32::try_from(microseconds % 1000).unwrap_or_default();
        push_padded(self.out, thousandths, 3);
    }
}
