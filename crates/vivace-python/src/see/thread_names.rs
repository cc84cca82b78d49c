//! What the program calls its threads: `threading.Thread.name`, read without the GIL.
//!
//! `threading._active` is one dictionary for as long as the process lives. A thread is told by its
//! number for the kernel, which its object has; one that Python code has not made has no name.

use std::sync::OnceLock;

use super::mapping::{attribute, values};
use super::memory::{small_int, text, type_name};
use super::walk;
use crate::ffi::text as python;
use crate::ffi::{Owned, Result};

/// Longer names are cut.
const LONGEST: usize = 100;

/// Addresses of what is never given up.
struct Known {
    active: usize,
    native_id: usize,
    name: usize,
}

static KNOWN: OnceLock<Option<Known>> = OnceLock::new();

/// Notes where names are found: with the GIL, once.
pub(super) fn prepare() {
    KNOWN.get_or_init(|| match known() {
        Ok(known) => Some(known),
        Err(raised) => {
            raised.clear();
            None
        }
    });
}

fn known() -> Result<Known> {
    let threading = python::import("threading")?;
    let kept = |object: Owned| {
        let address = object.address();
        std::mem::forget(object);
        address
    };
    Ok(Known {
        active: kept(threading.getattr(&*python::interned("_active")?)?),
        native_id: kept(python::interned("_native_id")?),
        name: kept(python::interned("_name")?),
    })
}

/// The name of a thread by its number for the kernel.
pub(super) fn of(number: u32) -> Option<String> {
    let layout = walk::layout().as_ref().ok()?;
    let known = KNOWN.get()?.as_ref()?;
    let thread = values(known.active)?
        .into_iter()
        .find(|thread| attribute(*thread, known.native_id).and_then(small_int) == Some(number))?;
    let name = attribute(thread, known.name)?;
    let name = (type_name(name)? == "str").then(|| text(layout, name)).flatten()?;
    Some(name.chars().take(LONGEST).collect()).filter(|name: &String| !name.is_empty())
}
