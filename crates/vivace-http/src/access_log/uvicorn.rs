//! The line that uvicorn prints: `INFO:     127.0.0.1:60084 - "GET / HTTP/1.1" 200 OK`.

use super::escape::{push_path, push_query, push_text};
use super::phrases::Phrases;
use super::record::{Client, Record};

/// Whether a line is coloured, by the escape sequences of terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// As for a terminal.
    On,
    /// As for a file.
    Off,
}

/// uvicorn's line, byte for byte, but for a query with bytes that do not belong into one.
pub(super) struct UvicornLine {
    pub(super) colours: Colours,
    pub(super) phrases: Phrases,
}

const BOLD: &[u8] = b"\x1b[1m";
const RESET: &[u8] = b"\x1b[0m";

impl UvicornLine {
    pub(super) fn push(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let coloured = self.colours == Colours::On;
        out.extend_from_slice(if coloured { b"\x1b[32mINFO\x1b[0m:     " } else { b"INFO:     " });
        push_client(out, record.client);
        out.extend_from_slice(b" - \"");
        if coloured {
            out.extend_from_slice(BOLD);
        }
        push_request_line(out, record);
        if coloured {
            out.extend_from_slice(RESET);
        }
        out.extend_from_slice(b"\" ");
        match colour_of(record.status).filter(|_| coloured) {
            Some(colour) => {
                out.extend_from_slice(colour);
                self.phrases.push(out, record.status);
                out.extend_from_slice(RESET);
            }
            None => self.phrases.push(out, record.status),
        }
    }

    /// The beginning of a line of level `WARNING`.
    pub(super) fn warning(colours: Colours) -> &'static [u8] {
        match colours {
            Colours::On => b"\x1b[33mWARNING\x1b[0m:  ",
            Colours::Off => b"WARNING:  ",
        }
    }
}

/// Adds the client as uvicorn writes it: nothing on a UNIX socket.
pub(super) fn push_client(out: &mut Vec<u8>, client: Option<Client<'_>>) {
    if let Some(client) = client {
        push_text(out, client.host);
        out.push(b':');
        out.extend_from_slice(itoa::Buffer::new().format(client.port).as_bytes());
    }
}

/// Adds the request line as uvicorn builds it, from the decoded path.
pub(super) fn push_request_line(out: &mut Vec<u8>, record: &Record<'_>) {
    push_text(out, record.method);
    out.push(b' ');
    push_path(out, record.path);
    if !record.query.is_empty() {
        out.push(b'?');
        push_query(out, record.query);
    }
    out.extend_from_slice(b" HTTP/");
    out.extend_from_slice(record.http_version.as_bytes());
}

fn colour_of(status: u16) -> Option<&'static [u8]> {
    match status / 100 {
        1 => Some(b"\x1b[97m"),
        2 => Some(b"\x1b[32m"),
        3 => Some(b"\x1b[33m"),
        4 => Some(b"\x1b[31m"),
        5 => Some(b"\x1b[91m"),
        _ => None,
    }
}
