//! `vivace top`: the processes that run our loop, in a terminal.
//!
//! | file | what |
//! |---|---|
//! | `app` | what is shown, and what a key changes |
//! | `order` | which tasks are shown, in which order |
//! | `table` | the columns, and which of them a terminal has room for |
//! | `summary` | what the screen and the text both say on one line |
//! | `draw` | one screen |
//! | `session` | the terminal: keys in, screens out, and all as before at the end |
//! | `once` | the same as plain text |
//!
//! All that is shown comes from the file of the process (`vivace_see::view`), so a screen is right
//! also when the process cannot answer. What comes from the program is escaped there.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod app;
mod draw;
pub mod once;
pub mod order;
pub mod session;
mod summary;
mod table;
