//! What a timeline has told so far of its names and tasks, for those who write it down.

use std::collections::HashMap;

use super::name::Name;
use super::record::{Kind, Record};

/// What is known of a task.
#[derive(Default)]
pub(super) struct Task {
    /// The names of its coroutine, its own, and that of the line that made it; 0 if not known.
    pub(super) coroutine: u32,
    pub(super) name: u32,
    pub(super) site: u32,
    /// It has been written down who it is.
    described: bool,
    /// Since when it waits, and for what.
    pub(super) waits: Option<(u64, u32)>,
    pub(super) ended: bool,
}

#[derive(Default)]
pub(super) struct Known {
    names: HashMap<u32, Name>,
    tasks: HashMap<u32, Task>,
}

impl Known {
    pub(super) fn learn_name(&mut self, number: u32, name: &Name) {
        self.names.insert(number, name.clone());
    }

    /// Takes what a record tells of its task. Comes before the step is made that the record
    /// completes: the end of a task is written inside its last step.
    pub(super) fn learn(&mut self, record: &Record) {
        match record.kind {
            Kind::Coroutine => self.task(record.subject).coroutine = record.detail,
            Kind::Named => self.task(record.subject).name = record.detail,
            Kind::Site => self.task(record.subject).site = record.detail,
            Kind::Ended => self.task(record.subject).ended = true,
            _ => {}
        }
    }

    pub(super) fn name(&self, number: u32) -> Option<&Name> {
        self.names.get(&number)
    }

    pub(super) fn text(&self, number: u32) -> Option<&str> {
        self.name(number).map(|name| name.text.as_str())
    }

    pub(super) fn task(&mut self, task: u32) -> &mut Task {
        self.tasks.entry(task).or_default()
    }

    /// What to call a task; nothing if that has been written down.
    pub(super) fn describe(&mut self, task: u32) -> Option<String> {
        let known = self.task(task);
        if std::mem::replace(&mut known.described, true) {
            return None;
        }
        let (coroutine, name) = (known.coroutine, known.name);
        Some(match (self.text(coroutine), self.text(name)) {
            (Some(coroutine), Some(name)) => format!("{coroutine}: {name}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => format!("task {task}"),
        })
    }
}

/// A number for the rows of a loop. Viewers merge processes of one number: another loop than the
/// first gets one that no process has.
pub(super) fn process_number(pid: u32, event_loop: u16) -> u64 {
    u64::from(pid) + (u64::from(event_loop) << 24)
}
