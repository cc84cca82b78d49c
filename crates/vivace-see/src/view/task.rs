//! One task of another process, as it was when the snapshot was taken.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::words;

/// See the module. Everything in it comes from the program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// Its number in the process; never used twice.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The qualified name of its coroutine.
    pub coro: String,
    /// `running`, `ready`, `waiting`, `new`, or `blocking` (it runs, for too long).
    pub state: String,
    /// When it was made, in seconds of CLOCK_MONOTONIC.
    pub created: f64,
    /// Seconds since then.
    pub age: f64,
    /// Seconds that its steps took.
    pub busy: f64,
    /// How many steps it took.
    pub steps: u64,
    /// The longest that it was ready and did not run, in seconds.
    pub delay: f64,
    /// Where it is: the innermost line of the program.
    pub file: String,
    /// See `file`.
    pub line: u32,
    /// See `file`.
    pub function: String,
    /// What it waits for, as text.
    pub waits: String,
    /// What it waits for, as one word: `Lock`, `sleep`, `io`.
    pub kind: String,
    /// The numbers of the tasks that it waits for.
    pub awaits: Vec<u64>,
    /// The lock that it waits for, as a number that means nothing else; 0 if it waits for none.
    pub wants: u64,
    /// What it has entered and not left.
    pub holds: Vec<u64>,
    /// The number of the task that holds the lock that it waits for; 0 if none is known.
    pub holder: u64,
    /// The number of the task that made it; 0 if none did.
    pub parent: u64,
    /// The request that it answers.
    pub request: String,
    /// The number of its loop.
    #[serde(rename = "loop")]
    pub event_loop: usize,
    /// The share of the time that it computed lately.
    pub share: f64,
    /// Steps a second, lately.
    pub rate: f64,
    /// Whether it waits for itself, by way of others.
    pub cycle: bool,
}

impl Task {
    /// What it did lately; over its life, if there is nothing to compare it with.
    pub(super) fn compare(&mut self, old: Option<(f64, u64)>, passed: Option<f64>) {
        let (busy, steps, time) = match (old, passed) {
            (Some((busy, steps)), Some(passed)) => {
                (self.busy - busy, self.steps.saturating_sub(steps), passed)
            }
            _ => (self.busy, self.steps, self.age),
        };
        if time > 0.0 {
            self.share = (busy / time).clamp(0.0, 1.0);
            self.rate = steps as f64 / time;
        }
    }

    /// `app/main.py:88`, or nothing.
    pub fn place(&self) -> String {
        if self.file.is_empty() {
            return String::new();
        }
        format!("{}:{}", words::short_path(&self.file), self.line)
    }

    /// The name by which people know it: its own if somebody gave it one, or the request.
    pub fn title(&self) -> String {
        let unnamed = self.name.starts_with("Task-");
        words::shown(if unnamed && !self.request.is_empty() { &self.request } else { &self.name })
    }

    /// What it waits for, or where it is.
    pub fn doing(&self) -> String {
        let mut text = words::shown(&self.waits);
        if self.cycle {
            text.push_str("  [cycle]");
        }
        text
    }

    /// Whether a word that somebody looks for is in it, in whatever case.
    pub fn matches(&self, wanted: &str) -> bool {
        let wanted = wanted.to_lowercase();
        let place = format!("{}:{}", self.file, self.line);
        [&self.name, &self.coro, &self.waits, &self.request, &self.state, &place]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }
}

/// Finds who holds the locks, and marks the tasks that wait for themselves by way of others.
pub(super) fn mark_edges(tasks: &mut [Task]) {
    let held = tasks.iter().flat_map(|task| task.holds.iter().map(|thing| (*thing, task.id)));
    let holders: HashMap<u64, u64> = held.collect();
    let names: HashMap<u64, String> =
        tasks.iter().filter(|task| !task.holds.is_empty()).map(|t| (t.id, t.title())).collect();
    for task in tasks.iter_mut().filter(|task| task.wants != 0) {
        task.holder = holders.get(&task.wants).copied().unwrap_or(0);
        if let Some(name) = names.get(&task.holder) {
            task.waits = format!("{}, held by {name}", task.waits);
        }
    }
    let places: HashMap<u64, usize> =
        tasks.iter().enumerate().map(|(place, task)| (task.id, place)).collect();
    let edges: Vec<Vec<usize>> = tasks
        .iter()
        .map(|task| {
            let targets = task.awaits.iter().chain([&task.holder]);
            targets.filter_map(|id| places.get(id).copied()).collect()
        })
        .collect();
    let mut backwards = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for to in targets {
            backwards[*to].push(from);
        }
    }
    // Off with all that wait for nobody, and then with all that nobody waits for.
    let mut left = vec![true; edges.len()];
    strip(&mut left, &edges, &backwards);
    strip(&mut left, &backwards, &edges);
    for (task, left) in tasks.iter_mut().zip(left) {
        task.cycle |= left;
    }
}

/// Takes off whatever has no edge to what is left, until all have.
fn strip(left: &mut [bool], edges: &[Vec<usize>], backwards: &[Vec<usize>]) {
    let mut degrees: Vec<usize> =
        edges.iter().map(|targets| targets.iter().filter(|to| left[**to]).count()).collect();
    let mut ends: Vec<usize> =
        (0..left.len()).filter(|place| left[*place] && degrees[*place] == 0).collect();
    while let Some(end) = ends.pop() {
        left[end] = false;
        for from in &backwards[end] {
            degrees[*from] = degrees[*from].saturating_sub(1);
            if left[*from] && degrees[*from] == 0 {
                ends.push(*from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, awaits: &[u64]) -> Task {
        Task { id, awaits: awaits.to_vec(), ..Task::default() }
    }

    #[test]
    fn only_what_waits_for_itself_is_marked() {
        let mut tasks =
            [task(1, &[2]), task(2, &[3]), task(3, &[2]), task(4, &[1, 9]), task(5, &[5])];
        mark_edges(&mut tasks);
        let marked: Vec<u64> = tasks.iter().filter(|t| t.cycle).map(|t| t.id).collect();
        assert_eq!(marked, [2, 3, 5]);
    }

    #[test]
    fn who_holds_a_lock_is_named_and_a_circle_of_locks_found() {
        let waits = |id: u64, holds: u64, wants: u64| Task {
            id,
            holds: vec![holds],
            wants,
            name: format!("t{id}"),
            waits: "Lock".into(),
            ..Task::default()
        };
        let mut tasks = [waits(1, 100, 200), waits(2, 200, 100), waits(3, 0, 100)];
        mark_edges(&mut tasks);
        assert_eq!(tasks.each_ref().map(|task| task.holder), [2, 1, 1]);
        assert_eq!(tasks.each_ref().map(|task| task.cycle), [true, true, false]);
        assert_eq!(tasks[2].waits, "Lock, held by t1");
    }

    #[test]
    fn the_request_is_the_name_of_a_task_without_one() {
        let mut one = Task { name: "Task-7".into(), ..Task::default() };
        assert_eq!(one.title(), "Task-7");
        one.request = "GET /".into();
        assert_eq!(one.title(), "GET /");
        one.name = "worker".into();
        assert_eq!(one.title(), "worker");
    }

    #[test]
    fn what_it_did_lately_is_told() {
        let mut one = Task { busy: 2.0, steps: 30, age: 100.0, ..Task::default() };
        one.compare(None, None);
        assert!((one.share - 0.02).abs() < 1e-9);
        one.compare(Some((1.5, 20)), Some(1.0));
        assert!((one.share - 0.5).abs() < 1e-9 && (one.rate - 10.0).abs() < 1e-9);
    }
}
