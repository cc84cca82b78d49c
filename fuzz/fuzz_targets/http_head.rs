//! `vivace_http::h1::request` on any bytes, against a plain reading of RFC 9112.
//!
//! What must hold: the same requests and the same refusals, however the bytes are cut.
#![no_main]

#[path = "../../crates/vivace-http/tests/support"]
mod support {
    pub(crate) mod judge;
    pub(crate) mod model;
    mod reading;
    pub(crate) use reading::{Connection, Request, read};
}

use libfuzzer_sys::fuzz_target;
use vivace_http::h1::request::Limits;

use support::judge::judge;

const SMALL: Limits = Limits { head_bytes: 100, headers: 3, target_bytes: 10 };

fuzz_target!(|input: (u8, [u8; 3], &[u8])| {
    let (shape, cuts, bytes) = input;
    let limits = if shape & 1 == 0 { Limits::default() } else { SMALL };
    let bytes = match shape >> 1 & 3 {
        // Fields, or a request line, of a request that is fine otherwise.
        0 => [b"GET / HTTP/1.1\r\nHost: a\r\n", bytes, b"\r\n\r\n"].concat(),
        1 => [b"GET ", bytes, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
        2 => [b"GET / HTTP/1.1\r\nHost:", bytes, b"\r\n\r\n"].concat(),
        _ => bytes.to_vec(),
    };
    let mut cuts: Vec<usize> =
        cuts.iter().map(|&cut| usize::from(cut) % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    _ = judge(&bytes, &cuts, limits);
});
