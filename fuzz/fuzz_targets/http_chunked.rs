//! Content in chunks and trailers, as any bytes, against a plain reading of RFC 9112.
//!
//! What must hold: the same content, the same end, the same refusals, however the bytes are cut.
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

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fuzz_target!(|input: (bool, [u8; 3], &[u8])| {
    let (in_trailers, cuts, bytes) = input;
    let bytes = match in_trailers {
        true => [HEAD, b"1\r\nx\r\n0\r\n", bytes].concat(),
        false => [HEAD, bytes].concat(),
    };
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|&cut| HEAD.len() + usize::from(cut))
        .filter(|&cut| cut < bytes.len())
        .collect();
    cuts.sort_unstable();
    let limits = Limits { head_bytes: 100, headers: 3, target_bytes: 10 };
    let outcome = judge(&bytes, &cuts, limits);
    assert!(!outcome.requests.is_empty(), "the head was read");
});
