//! Timelines: what ran when, what was ready, what waited for what, who woke whom.
//!
//! | file | what |
//! |---|---|
//! | `record` | one event: sixteen bytes |
//! | `name` | functions, tasks, lines and reasons, each written once |
//! | `recorder` | takes events while a trace runs |
//! | `file` | the file that a trace is recorded into |
//! | `join` | puts together what belongs to one step |
//! | `known` | what it has told so far of names and tasks |
//! | `summary` | what the terminal says of a trace |
//! | `page` | the page for browsers; the viewer is in `../../viewer` |
//! | `perfetto`, `perfetto_schema`, `protobuf` | for ui.perfetto.dev |
//! | `chrome` | for `chrome://tracing` |
//! | `last` | a timeline of what the file of a process has kept |
//! | `convert` | from the recorded file to one of the three |

pub mod chrome;
pub mod convert;
pub mod file;
pub mod join;
mod known;
pub mod last;
pub mod name;
pub mod page;
pub mod perfetto;
mod perfetto_schema;
mod protobuf;
pub mod record;
pub mod recorder;
pub mod summary;
