//! The raw C-API: all the `unsafe` of this crate, behind safe types.
//!
//! | file | what it wraps |
//! |---|---|
//! | `object` | references: `&Object` borrowed, `Owned` counted |
//! | `slot` | fields that hold references |
//! | `error` | the error indicator, raising and fetching |
//! | `text` | strings, numbers, tuples, lists, dictionaries, imports |
//! | `call` | calls by vectorcall, both ways |
//! | `answer` | what a method may answer |
//! | `edge` | entry points from C: errors and panics |
//! | `class`, `gc`, `freelist`, `nesting` | native classes |
//! | `code` | what coroutines and functions run, without running any of it |
//! | `coroutine` | driving coroutines, `StopIteration` |
//! | `suspended` | the frames of suspended coroutines |
//! | `context` | `contextvars` |
//! | `thread` | the GIL, signals, carrying references across threads |
//! | `state` | interned names, the standard library's types |
//! | `registry` | the list of pending tasks |
//! | `outside_view` | what debuggers read of a task from outside the process |
//! | `frames` | which line of the program is being run |
//! | `island` | what only a suspended task holds |
//! | `interop` | between this layer and PyO3 |
//! | `bytes` | bytes that come in and go out |
//! | `memory` | memory to be filled |
//! | `descriptor` | descriptors known by number |
//! | `frame_layout` | where things lie in the interpreter's structs |
//! | `call_stack` | the Python stack of this thread |
//! | `weakref` | weak references |
//! | `running` | the calls that run Python code, safe when the interpreter ends |
//! | `function` | built-in functions bound to an object |
//! | `window` | memory shown to a C function for one call |
//! | `task_class` | whether somebody has put another class in the place of `asyncio.Task` |
//! | `tls_imports` | the standard library's TLS types |
//! | `asgi_names` | the strings of the ASGI specification |
//!
//! `docs/unsafe.md` lists the blocks with what covers them.
#![allow(unsafe_code)]

mod answer;
pub(crate) mod asgi_names;
pub(crate) mod bytes;
pub(crate) mod call;
pub(crate) mod call_stack;
pub(crate) mod class;
pub(crate) mod code;
pub(crate) mod context;
pub(crate) mod coroutine;
pub(crate) mod descriptor;
mod edge;
pub(crate) mod error;
pub(crate) mod frame_layout;
pub(crate) mod frames;
mod freelist;
pub(crate) mod function;
pub(crate) mod gc;
pub(crate) mod interop;
pub(crate) mod island;
pub(crate) mod memory;
mod nesting;
pub(crate) mod object;
pub(crate) mod outside_view;
pub(crate) mod registry;
mod running;
pub(crate) mod slot;
pub(crate) mod state;
pub(crate) mod suspended;
pub(crate) mod task_class;
pub(crate) mod text;
pub(crate) mod thread;
pub(crate) mod tls_imports;
pub(crate) mod weakref;
pub(crate) mod window;

pub(crate) use answer::Answer;
pub(crate) use call::Args;
pub(crate) use class::{
    Class, ClassBuilder, ClassCell, Collector, Extras, Instance, Ref, allocate, allocate_for,
    allocate_with,
};
pub(crate) use context::Environment;
pub(crate) use error::{Builtin, Raised, Result, raise};
pub(crate) use gc::Visitor;
pub(crate) use object::{Object, Owned};
pub(crate) use running::is_finalizing;
pub(crate) use slot::Slot;
pub(crate) use state::{imports, names};
