//! Timelines: what ran when, what was ready, what waited for what, who woke whom.
//!
//! | file | what |
//! |---|---|
//! | `record` | one event: sixteen bytes |
//! | `name` | functions, tasks, lines and reasons, each written once |

pub mod name;
pub mod record;
