//! What vivace's diagnostics say, keep and show, without Python.
//!
//! | file | what |
//! |---|---|
//! | `answer` | answering questions about a process, on a socket and as a page |
//! | `settings` | what the environment asks for (`VIVACE_DIAG` and its kin) |
//! | `catalog` | the codes: their names and explanations |
//! | `finding` | one finding, and how it reads as text and as JSON |
//! | `limit` | how often a finding of one place may be repeated |
//! | `report` | where findings go |
//! | `line_table` | the lines and columns of instructions |
//! | `watch` | when a loop counts as blocked |
//! | `live` | the numbers of a running loop, a page of words |
//! | `trace` | timelines: events, files, Perfetto, the page for browsers |
//! | `requests` | the requests that are being answered, and how their time divides |
//! | `ring` | the file of a process, which others read |
//! | `view` | what a process looks like from outside, as text and as JSON |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod catalog;
pub mod finding;
pub mod limit;
pub mod line_table;
pub mod live;
pub mod report;
pub mod requests;
pub mod ring;
pub mod settings;
pub mod trace;
pub mod view;
pub mod watch;
