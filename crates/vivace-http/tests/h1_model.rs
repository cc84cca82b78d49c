//! Generated connections: `RequestReader` must come to the same as a plain model of the standard,
//! however the bytes are cut. The fuzz targets do the same for longer.

mod support {
    pub(crate) mod generator;
    pub(crate) mod judge;
    pub(crate) mod model;
    mod reading;
    pub(crate) use reading::{Connection, Request, read};
}

use std::cell::Cell;

use arbtest::arbitrary;
use support::{generator, judge::judge};
use vivace_http::h1::request::Limits;

#[test]
#[cfg_attr(miri, ignore = "few connections could be generated in the time that it has")]
fn generated_connections() {
    let (complete, refused) = (Cell::new(0), Cell::new(0));
    arbtest::arbtest(|choices| {
        let bytes = generator::connection(choices)?;
        let cuts = generator::cuts(choices, bytes.len())?;
        let limits = match choices.ratio(3, 4)? {
            true => Limits::default(),
            false => Limits { head_bytes: 120, headers: 4, target_bytes: 8 },
        };
        let outcome = judge(&bytes, &cuts, limits);
        complete.set(complete.get() + outcome.requests.iter().filter(|r| r.complete).count());
        refused.set(refused.get() + usize::from(outcome.rejected.is_some()));
        Ok(())
    })
    .size_min(64)
    .size_max(4096)
    .budget_ms(1000);
    println!("{} complete requests, {} refused", complete.get(), refused.get());
    assert!(complete.get() > 0 && refused.get() > 0, "the generator makes both");
}
