//! The Python stack of a thread, read from memory without the GIL.
//!
//! The thread goes on meanwhile, unless it is blocked: a walk counts when a second one finds the
//! same. The offsets are checked once, against the stack that the C-API shows for the thread that
//! starts the first loop; if they do not fit, walks are off and findings say so.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use vivace_see::line_table::{self, Position};

use super::memory::{byte, bytes, int, pointer, text, type_name, word};
use crate::ffi::frame_layout::{Layout, thread_state};
use crate::ffi::{Result, call_stack};

/// Stacks are cut at so many frames.
const DEEPEST: usize = 200;
/// Threads of an interpreter are looked at up to so many.
const MOST_THREADS: usize = 1000;

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) file: String,
    /// The qualified name.
    pub(crate) function: String,
    pub(crate) position: Option<Position>,
    /// The code object, and the offset of the instruction in it.
    code: usize,
    offset: usize,
    /// Where its first local variable is kept.
    first_local: usize,
}

impl Frame {
    /// From 1; 0 if it is unknown.
    pub(crate) fn line(&self) -> i64 {
        self.position.map_or(0, |position| position.line)
    }

    /// `self`, mostly: the address of the first argument.
    pub(crate) fn first_local(&self) -> Option<usize> {
        // The lowest bits are tags from 3.14 on.
        pointer(self.first_local).map(|object| object & !3)
    }

    /// Whether it stands at the same instruction.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        (self.code, self.offset) == (other.code, other.offset)
    }
}

/// A frame as it lies in memory.
struct Raw {
    code: usize,
    previous: usize,
    instruction: usize,
    owner: u8,
}

fn raw(layout: &Layout, address: usize) -> Option<Raw> {
    Some(Raw {
        code: word(address + layout.frame.code)? & !3,
        previous: word(address + layout.frame.previous)?,
        instruction: word(address + layout.frame.instruction)?,
        owner: byte(address + layout.frame.owner)?,
    })
}

/// The address of the innermost frame of a thread.
fn innermost(layout: &Layout, thread: usize) -> Option<usize> {
    let frame = pointer(thread + layout.thread.frame)?;
    match layout.thread.frame_in_between {
        None => Some(frame),
        Some(offset) => pointer(frame + offset),
    }
}

fn frame(layout: &Layout, address: usize, raw: &Raw) -> Option<Frame> {
    // A frame that has not begun stands before its first instruction.
    let offset = raw.instruction.saturating_sub(raw.code + layout.code.instructions);
    place(layout, raw.code, offset, address + layout.frame.locals)
}

/// The place of an instruction of a code object, by their address and offset.
pub(super) fn place_of(code: usize, offset: usize) -> Option<Frame> {
    place(layout().as_ref().ok()?, code, offset, 0)
}

fn place(layout: &Layout, code: usize, offset: usize, first_local: usize) -> Option<Frame> {
    if type_name(code)? != "code" {
        return None;
    }
    let first_line = i64::from(int(code + layout.code.first_line)?);
    let table = bytes(pointer(code + layout.code.line_table)?)?;
    Some(Frame {
        file: text(layout, pointer(code + layout.code.file)?)?,
        function: text(layout, pointer(code + layout.code.qualified_name)?)?,
        position: line_table::position(&table, first_line, offset),
        code,
        offset,
        first_local,
    })
}

/// One walk: the innermost frame first, down to the one at `until`, which is left out.
fn walk(layout: &Layout, thread: usize, until: usize) -> Option<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut address = innermost(layout, thread)?;
    while address != 0 && address != until && frames.len() < DEEPEST {
        let raw = raw(layout, address)?;
        if raw.owner < layout.frame.first_foreign_owner {
            frames.push(frame(layout, address, &raw)?);
        }
        address = raw.previous;
    }
    Some(frames)
}

/// The stack of a thread by the address of its state, the innermost frame first, down to the frame
/// at the address `until`; none if it cannot be read, or does not stand still. `unchanged` says
/// whether the thread is still where it was.
pub(crate) fn stack(
    thread: usize,
    until: usize,
    unchanged: impl Fn() -> bool,
) -> Option<Vec<Frame>> {
    /// Loops in Python change their innermost frames between two walks.
    const ATTEMPTS: usize = 8;
    let layout = layout().as_ref().ok()?;
    let mut common: Option<Vec<Frame>> = None;
    for _ in 0..ATTEMPTS {
        let (first, second) = (walk(layout, thread, until), walk(layout, thread, until));
        if !unchanged() {
            return None;
        }
        let (Some(first), Some(second)) = (first, second) else { continue };
        if first.iter().map(|frame| frame.code).eq(second.iter().map(|frame| frame.code)) {
            return Some(second);
        }
        // The outer frames that both have; more of them is better.
        let outer = first
            .iter()
            .rev()
            .zip(second.iter().rev())
            .take_while(|(one, other)| one.is_where(other))
            .count();
        if outer > common.as_ref().map_or(0, Vec::len) {
            common = Some(second[second.len() - outer..].to_vec());
        }
    }
    common
}

/// The address of the frame that runs now, on this thread.
pub(crate) fn own_frame() -> usize {
    layout().as_ref().ok().and_then(|layout| innermost(layout, thread_state())).unwrap_or(0)
}

/// A thread of the interpreter: the address of its state, and its number for the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) state: usize,
    pub(crate) number: u32,
}

/// The threads of the interpreter that a thread belongs to.
pub(crate) fn threads(of: usize) -> Vec<Thread> {
    let mut found = Vec::new();
    let Ok(layout) = layout() else { return found };
    for link in [layout.thread.previous, layout.thread.next] {
        let mut state = of;
        while found.len() < MOST_THREADS {
            if state != of || link == layout.thread.next {
                let Some(number) = word(state + layout.thread.native_id) else { break };
                found.push(Thread { state, number: number as u32 });
            }
            let Some(next) = pointer(state + link) else { break };
            state = next;
        }
    }
    found
}

/// Who has the GIL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gil {
    Free,
    /// The address of the state of the thread.
    Held(usize),
}

/// Who has the GIL, where the interpreter tells.
pub(crate) fn gil(of: usize) -> Option<Gil> {
    let layout = layout().as_ref().ok()?;
    let gil = layout.gil?;
    let interpreter = pointer(of + layout.thread.interpreter)?;
    match int(interpreter + gil.locked)? {
        0 => Some(Gil::Free),
        1 => pointer(interpreter + gil.holder).map(Gil::Held),
        _ => None,
    }
}

/// The offsets, if they fit; else why not.
pub(crate) fn layout() -> &'static std::result::Result<Layout, String> {
    LAYOUT.get().unwrap_or(&UNCHECKED)
}

static LAYOUT: OnceLock<std::result::Result<Layout, String>> = OnceLock::new();
static UNCHECKED: std::result::Result<Layout, String> = Err(String::new());

/// Compares the stack of this thread as it is read with how the C-API shows it: once.
pub(crate) fn check() {
    if LAYOUT.get().is_none() {
        let _first = LAYOUT.set(checked());
        super::blocked::learn_libraries(&call_stack::library_files());
        super::thread_names::prepare();
    }
}

fn checked() -> std::result::Result<Layout, String> {
    let layout =
        Layout::of_this_python().ok_or("the structs of this Python are not known".to_owned())?;
    let thread = thread_state();
    let number = word(thread + layout.thread.native_id);
    if number != Some(vivace_sys::thread::number() as usize) {
        return Err("the state of a thread of this Python is not as expected".to_owned());
    }
    let Some(found) = walk(&layout, thread, 0) else {
        return Err(
            "memory cannot be read, or frames of this Python are not as expected".to_owned()
        );
    };
    let expected: Result<Vec<_>> = call_stack::of_this_thread();
    let expected = match expected {
        Ok(expected) => expected,
        Err(raised) => {
            raised.clear();
            return Err("the stack cannot be asked for".to_owned());
        }
    };
    let same = found.len() == expected.len()
        && found.iter().zip(&expected).all(|(found, expected)| {
            (&*found.file, &*found.function, found.line())
                == (&*expected.file, &*expected.function, expected.line)
        });
    if same {
        Ok(layout)
    } else {
        Err(format!("frames of this Python are not as expected: {found:?} for {expected:?}"))
    }
}

fn line_of_file(file: &str, line: i64) -> Option<Vec<u8>> {
    /// Files are read up to here: it is a thread that watches which reads.
    const MOST_LINES: i64 = 200_000;
    if !(1..=MOST_LINES).contains(&line) || !Path::new(file).is_absolute() {
        return None;
    }
    let file = std::fs::File::open(file).ok()?;
    BufReader::new(file).split(b'\n').nth(usize::try_from(line - 1).ok()?)?.ok()
}

/// A line of a source file, without the blanks around it.
pub(crate) fn source_line(file: &str, line: i64) -> Option<String> {
    let text = line_of_file(file, line)?;
    Some(String::from_utf8_lossy(&text).trim().to_owned()).filter(|text| !text.is_empty())
}

/// The part of a source line that an instruction stands for, if it is on one line.
pub(crate) fn source_part(frame: &Frame) -> Option<String> {
    let position = frame.position?;
    let (start, end) = (position.column?, position.end_column?);
    if position.line != position.end_line {
        return None;
    }
    let text = line_of_file(&frame.file, position.line)?;
    let part = text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
    Some(String::from_utf8_lossy(part).into_owned())
}

/// `see_line_table(table, first_line)`: `(start, end, line, end_line, column, end_column)` of each
/// entry; the last four are None where nothing is known.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(super) fn see_line_table(
    table: &[u8],
    first_line: i64,
) -> Vec<(usize, usize, Option<i64>, Option<i64>, Option<i64>, Option<i64>)> {
    line_table::spans(table, first_line)
        .map(|span| {
            let at = span.position;
            (
                span.start,
                span.end,
                at.map(|at| at.line),
                at.map(|at| at.end_line),
                at.and_then(|at| at.column),
                at.and_then(|at| at.end_column),
            )
        })
        .collect()
}

/// `see_walk(thread)`: the stack of a thread by its number for the kernel, read as the watchdog
/// reads it: `(file, line, function)`, the innermost frame first; None if it does not stand still.
/// Without a thread: why stacks cannot be read, or None.
#[pyfunction]
#[pyo3(signature = (thread=None))]
#[allow(clippy::type_complexity)]
pub(super) fn see_walk(
    py: Python<'_>,
    thread: Option<u32>,
) -> PyResult<Option<Vec<(String, i64, String)>>> {
    check();
    if let Err(reason) = layout() {
        return Err(PyRuntimeError::new_err(reason.clone()));
    }
    let Some(thread) = thread else { return Ok(None) };
    let own = thread_state();
    let found = py.detach(|| {
        let state = threads(own).into_iter().find(|found| found.number == thread)?.state;
        stack(state, 0, || true)
    });
    let frames = found.map(|frames| {
        frames.into_iter().map(|frame| (frame.file.clone(), frame.line(), frame.function)).collect()
    });
    Ok(frames)
}
