//! What a loop's thread runs, as a report names it; read without the GIL.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use vivace_see::live::{Kind, Page, word};

use super::memory::{callable, int, pointer, text, type_name, word as read};
use super::request::{self, Request};
use super::walk::{self, Frame};
use crate::ffi::frame_layout::Layout;
use crate::handles;
use crate::task;

/// Where our own structs keep what reports name, as offsets from the object.
struct Places {
    task: task::Places,
    handle: usize,
    threadsafe: usize,
    timer: usize,
}

fn places() -> &'static Places {
    static PLACES: OnceLock<Places> = OnceLock::new();
    PLACES.get_or_init(|| Places {
        task: task::places(),
        handle: handles::place_of_callback(),
        threadsafe: handles::place_of_threadsafe_callback(),
        timer: handles::place_of_timer_callback(),
    })
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TaskSubject {
    pub(super) id: u64,
    pub(super) address: usize,
    pub(super) name: String,
    /// The qualified name of its coroutine.
    pub(super) coroutine: String,
    /// Where it was made, if that is known.
    pub(super) made: Option<Box<Frame>>,
    /// The request that it was made for, and how many seconds ago that came.
    pub(super) request: Option<(Request, f64)>,
}

/// What runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subject {
    Task(TaskSubject),
    /// A callback of some kind, and its name if it is known.
    Callback(&'static str, Option<String>),
}

/// What runs on the loop of a page.
pub(super) fn current(page: &Page) -> Subject {
    let layout = walk::layout().as_ref().ok();
    let address = page[word::CURRENT].load(Relaxed) as usize;
    let named = |offset: usize| callable(layout?, pointer(address + offset)?);
    match Kind::of(page[word::KIND].load(Relaxed)) {
        Kind::Step => Subject::Task(task(layout, address, page[word::TASK].load(Relaxed))),
        Kind::Handle => {
            let threadsafe = type_name(address).is_some_and(|name| name.contains("ThreadSafe"));
            let place = if threadsafe { places().threadsafe } else { places().handle };
            Subject::Callback("callback", named(place))
        }
        Kind::Timer => Subject::Callback("timer", named(places().timer)),
        Kind::Callback => {
            Subject::Callback("done callback", layout.and_then(|layout| callable(layout, address)))
        }
        Kind::Stream => Subject::Callback("connection", None),
        Kind::Listener => Subject::Callback("new connection", None),
        Kind::Tick => Subject::Callback("diagnostics", None),
        Kind::Nothing => Subject::Callback("engine", None),
    }
}

fn task(layout: Option<&Layout>, address: usize, id: u64) -> TaskSubject {
    let places = &places().task;
    let name = layout.and_then(|layout| text(layout, pointer(address + places.name)?));
    let coroutine = layout.and_then(|layout| {
        let coroutine = pointer(address + places.coroutine)?;
        match &*type_name(coroutine)? {
            "coroutine" | "generator" => text(layout, pointer(coroutine + layout.coroutine_name)?),
            other => Some(other.to_owned()),
        }
    });
    TaskSubject {
        id,
        address,
        name: name.unwrap_or_else(|| format!("Task-{id}")),
        coroutine: coroutine.unwrap_or_default(),
        made: pointer(address + places.made.0).and_then(|code| {
            let instruction = u32::try_from(int(address + places.made.1)?).ok()?;
            walk::place_of(code, instruction as usize).map(Box::new)
        }),
        request: read(address + places.request).and_then(|number| {
            let number = number as u64;
            request::of(number).zip(request::age(number))
        }),
    }
}

/// Whether a function is one that `asyncio.run_coroutine_threadsafe` made for a future: both by
/// their addresses.
pub(super) fn submits(function: usize, future: usize) -> bool {
    /// `func_closure`; `ob_size` and `ob_item` of tuples; `ob_ref` of cells.
    const CLOSURE: usize = 72;
    const LENGTH: usize = 16;
    const ITEMS: usize = 24;
    const CONTENT: usize = 16;
    let cell = |closure: usize, index: usize| {
        let cell = pointer(closure + ITEMS + 8 * index)?;
        (type_name(cell)? == "cell").then(|| read(cell + CONTENT)).flatten()
    };
    let found = || {
        if type_name(function)? != "function" {
            return None;
        }
        let closure = pointer(function + CLOSURE)?;
        let length = read(closure + LENGTH)?.min(8);
        Some((0..length).any(|index| cell(closure, index) == Some(future)))
    };
    future != 0 && function != 0 && found() == Some(true)
}
