//! Whole connections: several requests one after the other, most of them valid, some damaged,
//! against a plain reading of RFC 9112.
//!
//! What must hold: each request is read as if it were alone, none is read differently when the
//! bytes are cut, and nothing is read after one that was refused.
#![no_main]

#[path = "../../crates/vivace-http/tests/support"]
mod support {
    pub(crate) mod generator;
    pub(crate) mod judge;
    pub(crate) mod model;
    mod reading;
    pub(crate) use reading::{Connection, Request, read};
}

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use vivace_http::h1::request::Limits;

use support::{generator, judge::judge};

#[derive(Debug)]
struct Script {
    bytes: Vec<u8>,
    cuts: Vec<usize>,
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(choices: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let bytes = generator::connection(choices)?;
        let cuts = generator::cuts(choices, bytes.len())?;
        Ok(Self { bytes, cuts })
    }
}

fuzz_target!(|script: Script| {
    _ = judge(&script.bytes, &script.cuts, Limits::default());
});
