//! What a process looks like from outside: the file of the process, read and put together.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the whole: process, loops, tasks, findings |
//! | `find` | from the number of a process to its file, and what is wrong if there is none |
//! | `event_loop` | one loop, from its counters |
//! | `task` | one task, from the snapshot |
//! | `tree` | who waits for whom, as text |
//! | `doctor` | what is wrong with it |
//! | `words` | durations and the like as people write them |

pub mod doctor;
pub mod event_loop;
pub mod find;
pub mod task;
pub mod tree;
pub mod words;

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::ring::places::{self, Life, Stat};
use crate::ring::reader::{About, Problem, Reader, Source};
use event_loop::EventLoop;
use task::Task;

/// What was read at one time, to be compared with what is read later.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// CLOCK_MONOTONIC, in nanoseconds.
    pub time: u64,
    counters: Vec<Vec<u64>>,
    taken: u64,
    /// What each task computed, by its number: seconds and steps.
    tasks: HashMap<u64, (f64, u64)>,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The process.
    pub pid: u32,
    /// `running`, `stopped`, `dead`, `reused` (dead, and another process has its number).
    pub state: &'static str,
    /// What it was started with.
    pub argv: Vec<String>,
    /// The version of Python.
    pub python: String,
    /// The version of vivace.
    pub vivace: String,
    /// Seconds since it made the file.
    pub uptime: f64,
    /// Its threads; 0 if it is dead, and so for the next two.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Bytes of memory.
    pub resident: u64,
    /// Whether its tasks can be cancelled from outside.
    pub control: bool,
    /// Its loops.
    pub loops: Vec<EventLoop>,
    /// How many seconds ago the tasks were written down; none if they never were.
    pub snapshot_age: Option<f64>,
    /// How many tasks were not written down.
    pub left_out: u64,
    /// The tasks, as of then.
    pub tasks: Vec<Task>,
    /// How many findings there were, of which the last are here.
    pub finding_count: u64,
    /// The last findings, the oldest first.
    pub findings: Vec<Value>,
    /// Seconds since the finding, for each.
    pub finding_ages: Vec<f64>,
    #[serde(skip)]
    /// What has become of the process.
    pub life: Life,
}

impl View {
    /// Reads everything. `now` is CLOCK_MONOTONIC, `before` what was read last time.
    pub fn read<S: Source>(
        reader: &Reader<S>,
        now: u64,
        before: Option<&Sample>,
    ) -> Result<(Self, Sample), Problem> {
        let about = reader.about()?;
        let life = places::life(&about);
        Self::put_together(reader, about, life, now, before)
    }

    fn put_together<S: Source>(
        reader: &Reader<S>,
        about: About,
        life: Life,
        now: u64,
        before: Option<&Sample>,
    ) -> Result<(Self, Sample), Problem> {
        let stat = match life {
            Life::Running | Life::Stopped => places::stat(about.pid),
            Life::Dead | Life::Reused => None,
        };
        let counters: Vec<Vec<u64>> =
            (0..reader.loops()?).map(|number| reader.counters(number)).collect::<Result<_, _>>()?;
        let snapshot = reader.snapshot()?.unwrap_or_default();
        let found = reader.findings()?;
        // A dead process has no present: its time ends with the last thing that it wrote.
        let now = match stat {
            Some(_) => now,
            None => last_sign(&about, &counters, snapshot.taken, &found),
        };
        let before = before.filter(|before| before.time < now);
        let loops: Vec<EventLoop> = counters
            .iter()
            .enumerate()
            .map(|(number, words)| {
                let old = before.and_then(|before| before.counters.get(number));
                EventLoop::of(number, words, old.map(Vec::as_slice), now, before.map(|b| b.time))
            })
            .collect();
        let mut tasks: Vec<Task> = serde_json::from_str(&snapshot.json).unwrap_or_default();
        let mut computed = HashMap::new();
        let passed = before
            .filter(|before| before.taken != 0 && before.taken < snapshot.taken)
            .map(|before| (snapshot.taken - before.taken) as f64 / 1e9);
        let age = now.saturating_sub(snapshot.taken) as f64 / 1e9;
        for task in &mut tasks {
            task.age = (now as f64 / 1e9 - task.created).max(0.0);
            let old = before.and_then(|before| before.tasks.get(&task.id)).copied();
            task.compare(old, passed);
            computed.insert(task.id, (task.busy, task.steps));
        }
        // Between two snapshots, the differences are those of the last two.
        let (taken, computed) = match before {
            Some(before) if before.taken == snapshot.taken => (before.taken, before.tasks.clone()),
            _ => (snapshot.taken, computed),
        };
        for event_loop in &loops {
            event_loop.mark_running(&mut tasks);
        }
        task::mark_edges(&mut tasks);
        let unix = about.clocks[2].wrapping_add(now.wrapping_sub(about.clocks[1]));
        let view = Self {
            pid: about.pid,
            state: match life {
                Life::Running => "running",
                Life::Stopped => "stopped",
                Life::Dead => "dead",
                Life::Reused => "reused",
            },
            argv: about.argv,
            python: about.python,
            vivace: about.vivace,
            uptime: now.saturating_sub(about.clocks[1]) as f64 / 1e9,
            threads: stat.map_or(0, |stat| stat.threads),
            descriptors: stat.map_or(0, |_| count_descriptors(about.pid)),
            resident: stat.map_or(0, |stat: Stat| stat.resident.saturating_mul(PAGE)),
            control: about.control,
            loops,
            snapshot_age: (snapshot.taken != 0).then_some(age),
            left_out: snapshot.left_out,
            tasks,
            finding_count: reader.finding_count()?,
            finding_ages: found
                .iter()
                .map(|kept| unix.saturating_sub(kept.time) as f64 / 1e9)
                .collect(),
            findings: found.into_iter().map(|kept| kept.finding).collect(),
            life,
        };
        Ok((view, Sample { time: now, counters, taken, tasks: computed }))
    }

    /// As one object of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".into())
    }

    /// What it was started with, as one line that steers no terminal.
    pub fn command(&self) -> String {
        words::command(&self.argv)
    }

    /// Whether something of it can still change.
    pub fn is_alive(&self) -> bool {
        matches!(self.life, Life::Running | Life::Stopped)
    }

    /// A task by its number.
    pub fn task(&self, id: u64) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Codes of the findings that are kept, with how often, in order.
    pub fn codes(&self) -> Vec<(String, usize)> {
        let mut codes: Vec<(String, usize)> = Vec::new();
        for finding in &self.findings {
            let Some(code) = finding["code"].as_str() else { continue };
            match codes.iter_mut().find(|(known, _)| known == code) {
                Some((_, count)) => *count += 1,
                None => codes.push((words::shown(code), 1)),
            }
        }
        codes.sort();
        codes
    }
}

/// What Linux calls a page, on the machines that we build for.
const PAGE: u64 = 4096;

fn count_descriptors(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

/// The latest time that the file tells of, of CLOCK_MONOTONIC.
fn last_sign(
    about: &About,
    counters: &[Vec<u64>],
    taken: u64,
    found: &[crate::ring::reader::Kept],
) -> u64 {
    let from_unix =
        |time: u64| about.clocks[1].saturating_add(time.saturating_sub(about.clocks[2]));
    let findings = found.iter().map(|kept| from_unix(kept.time));
    let loops = counters.iter().map(|words| event_loop::last_sign(words));
    findings.chain(loops).chain([taken, about.clocks[1]]).max().unwrap_or(0)
}
