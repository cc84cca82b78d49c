//! What the terminal says of a trace when it is written.

use std::collections::{HashMap, HashSet};
use std::io;

use serde::Serialize;

use super::file::{Consumer, Totals};
use super::join::{Joiner, Step};
use super::name::Name;
use super::record::{Kind, Record};

/// The longest of something, and whose it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Longest {
    /// In seconds.
    pub seconds: f64,
    /// The function that ran.
    pub function: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
}

/// The numbers of a trace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How long it is, in seconds.
    pub seconds: f64,
    /// Tasks that were seen.
    pub tasks: u64,
    /// Steps of tasks.
    pub steps: u64,
    /// Steps as the recorder counted them, also those without a record.
    pub counted_steps: u64,
    /// How long the steps took, in seconds.
    pub busy: f64,
    /// How long steps and callbacks took, over the length of the trace and the number of loops.
    pub utilisation: f64,
    /// Loops that were seen.
    pub loops: u64,
    /// Records, and those that were dropped.
    pub records: u64,
    /// Records that there was no room for.
    pub dropped: u64,
    /// The longest step or callback.
    pub longest_step: Longest,
    /// The longest time that a task was ready.
    pub longest_delay: Longest,
    /// How many tasks were ready that long, or half as long.
    pub delayed_tasks: u64,
}

/// Counts what passes.
#[derive(Default)]
pub struct Counter {
    joiner: Joiner,
    names: HashMap<u32, Name>,
    coroutines: HashMap<u32, u32>,
    loops: HashSet<u16>,
    /// The longest delay of each task.
    delays: HashMap<u32, u64>,
    records: u64,
    steps: u64,
    busy: u64,
    callbacks: u64,
    longest: Option<(u64, Kind, u32)>,
    first: Option<u64>,
    last: u64,
}

impl Counter {
    fn step(&mut self, step: &Step) {
        let delay = self.delays.entry(step.task).or_default();
        *delay = (step.begin - step.ready).max(*delay);
        self.first = Some(self.first.map_or(step.ready, |first| first.min(step.ready)));
    }

    /// What it comes to; `totals` if the recorder told them, `begin` if it is known.
    pub fn finish(mut self, begin: Option<u64>, totals: Option<Totals>) -> Summary {
        for step in self.joiner.finish() {
            self.step(&step);
        }
        let begin = begin.or(self.first).unwrap_or(0);
        let end = totals.map_or(self.last, |totals| totals.end);
        let length = end.saturating_sub(begin);
        let loops = self.loops.len().max(1) as u64;
        let longest_delay = self.delays.iter().max_by_key(|(task, delay)| (**delay, **task));
        let delay = longest_delay.map_or(0, |(_, delay)| *delay);
        let place = |kind, subject: u32, nanoseconds| {
            let name = match kind {
                Kind::Callback => subject,
                _ => self.coroutines.get(&subject).copied().unwrap_or(0),
            };
            let name = self.names.get(&name).cloned().unwrap_or_default();
            Longest {
                seconds: nanoseconds as f64 / 1e9,
                function: name.text,
                file: name.file,
                line: name.line,
            }
        };
        Summary {
            seconds: length as f64 / 1e9,
            tasks: self.coroutines.len().max(self.delays.len()) as u64,
            steps: self.steps,
            counted_steps: totals.map_or(self.steps, |totals| totals.steps),
            busy: self.busy as f64 / 1e9,
            utilisation: if length == 0 {
                0.0
            } else {
                ((self.busy + self.callbacks) as f64 / length as f64 / loops as f64).min(1.0)
            },
            loops,
            records: self.records,
            dropped: totals.map_or(0, |totals| totals.dropped),
            longest_step: self.longest.map_or_else(Longest::default, |(length, kind, subject)| {
                place(kind, subject, length)
            }),
            longest_delay: place(Kind::Step, longest_delay.map_or(0, |(task, _)| *task), delay),
            delayed_tasks: match delay {
                0 => 0,
                delay => self.delays.values().filter(|other| **other * 2 >= delay).count() as u64,
            },
        }
    }
}

impl Consumer for Counter {
    fn name(&mut self, number: u32, name: &Name) -> io::Result<()> {
        self.names.insert(number, name.clone());
        Ok(())
    }

    fn record(&mut self, event_loop: u16, record: &Record) -> io::Result<()> {
        self.records += 1;
        self.loops.insert(event_loop);
        let mut end = record.time;
        match record.kind {
            Kind::Step | Kind::Callback => {
                let length = record.nanoseconds();
                end += length;
                if record.kind == Kind::Step {
                    self.steps += 1;
                    self.busy += length;
                } else {
                    self.callbacks += length;
                }
                if self.longest.is_none_or(|(longest, ..)| length > longest) {
                    self.longest = Some((length, record.kind, record.subject));
                }
            }
            Kind::Short => {
                self.steps += u64::from(record.subject);
                self.busy += record.nanoseconds();
            }
            Kind::Coroutine => {
                self.coroutines.insert(record.subject, record.detail);
            }
            _ => {}
        }
        self.first = Some(self.first.map_or(record.time, |first| first.min(record.time)));
        self.last = self.last.max(end);
        if let Some(step) = self.joiner.take(event_loop, record) {
            self.step(&step);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::record::Actor;

    #[test]
    fn it_adds_up() {
        let mut counter = Counter::default();
        let name = Name { text: "work".into(), file: "a.py".into(), line: 3 };
        counter.name(1, &name).expect("memory takes all");
        for record in [
            Record::new(Kind::Coroutine, 0, 5, 1),
            Record::new(Kind::Ready, 0, 5, Actor::Nobody.bits()),
            Record::slice(Kind::Step, 1_000, 3_000, 5),
            Record::new(Kind::Ready, 3_000, 6, Actor::Nobody.bits()),
            Record::slice(Kind::Step, 3_000, 4_000, 6),
        ] {
            counter.record(0, &record).expect("memory takes all");
        }
        let totals = Totals { end: 6_000, dropped: 2, steps: 2, busy: 3_000 };
        let summary = counter.finish(Some(0), Some(totals));
        assert_eq!((summary.tasks, summary.steps, summary.dropped), (2, 2, 2));
        assert_eq!(summary.utilisation, 0.5);
        assert_eq!(summary.longest_step.function, "work");
        assert_eq!(summary.longest_delay.seconds, 1e-6);
        assert_eq!(summary.delayed_tasks, 1);
    }
}
