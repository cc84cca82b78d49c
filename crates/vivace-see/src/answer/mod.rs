//! A process that answers questions about itself: on a Unix socket, and as a page for browsers.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what is asked of the process |
//! | `socket` | `<pid>.sock`: requests and answers, a line of JSON each |
//! | `web` | the page, behind a token |
//! | `http` | as much of HTTP as the page needs |
//!
//! Nothing here runs Python. What needs it is given to the loop, and if the loop does not get to it,
//! the answer is what the process has written down before, and says so.

mod http;
pub mod socket;
pub mod web;

use std::time::Duration;

use crate::view::View;

/// What the loop may be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Write down the tasks as they are now.
    Snapshot,
    /// Cancel a task, by its number.
    Cancel(u64),
}

/// The process that answers.
pub trait Process: Send + Sync {
    /// What it looks like, by what it has written down.
    fn view(&self) -> Result<View, String>;

    /// Gives a job to the loop and waits for its answer; none if the loop does not get to it.
    fn ask(&self, job: Job, patience: Duration) -> Option<String>;

    /// Whether tasks may be cancelled from outside.
    fn control(&self) -> bool;

    /// Records what its loops do for so long, beside its file; returns when that is done. `wait`
    /// takes that time, and says whether whoever asked is still there: if not, nothing is kept.
    fn trace(&self, _duration: Duration, _wait: &dyn Fn(Duration) -> bool) -> Result<(), String> {
        Err("this cannot be traced".to_owned())
    }

    /// Nobody has heard that a trace is there: it is not kept.
    fn forget_trace(&self) {}
}

/// How long the loop may take to get to a job.
const PATIENCE: Duration = Duration::from_millis(300);
