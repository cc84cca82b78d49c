//! Who waits for whom, as text: `vivace ps`.
//!
//! A task stands below the one that waits for it; if nobody does, below the one that made it.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::task::Task;
use super::{View, words};

/// Deeper than this is not drawn.
const DEPTH: usize = 100;

/// A task at its place in the tree.
pub struct Node {
    /// Its place in the list of tasks.
    pub task: usize,
    /// What is drawn before it: `│  └─ `.
    pub branch: String,
    /// It stands elsewhere in full: something else waits for it, too.
    pub again: bool,
}

/// The tasks in the order and with the branches of the tree.
pub fn nodes(tasks: &[Task]) -> Vec<Node> {
    let places: HashMap<u64, usize> =
        tasks.iter().enumerate().map(|(place, task)| (task.id, place)).collect();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    let mut has_place: HashSet<usize> = HashSet::new();
    for (place, task) in tasks.iter().enumerate() {
        for id in &task.awaits {
            if let Some(other) = places.get(id) {
                below[place].push(*other);
                has_place.insert(*other);
            }
        }
    }
    for (place, task) in tasks.iter().enumerate() {
        if has_place.contains(&place) {
            continue;
        }
        if let Some(parent) = places.get(&task.parent).filter(|parent| **parent != place) {
            below[*parent].push(place);
            has_place.insert(place);
        }
    }
    for below in &mut below {
        below.sort_by_key(|place| tasks[*place].id);
    }
    let mut drawing = Drawing { tasks: below, seen: HashSet::new(), nodes: Vec::new() };
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by_key(|place| tasks[*place].id);
    for place in order.iter().copied().filter(|place| !has_place.contains(place)) {
        drawing.draw(place, "", "", 0);
    }
    // What is left waits in circles: it has no beginning.
    for place in order {
        if !drawing.seen.contains(&place) {
            drawing.draw(place, "", "", 0);
        }
    }
    drawing.nodes
}

struct Drawing {
    tasks: Vec<Vec<usize>>,
    seen: HashSet<usize>,
    nodes: Vec<Node>,
}

impl Drawing {
    fn draw(&mut self, place: usize, branch: &str, indent: &str, depth: usize) {
        let again = !self.seen.insert(place);
        self.nodes.push(Node { task: place, branch: branch.to_owned(), again });
        if again || depth >= DEPTH {
            return;
        }
        let below = std::mem::take(&mut self.tasks[place]);
        for (number, child) in below.iter().enumerate() {
            let (branch, more) =
                if number + 1 == below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let branch = format!("{indent}{branch}");
            self.draw(*child, &branch, &format!("{indent}{more}"), depth + 1);
        }
    }
}

/// The whole, lines that each end with a line feed.
pub fn text(view: &View) -> String {
    let mut text = head(view);
    for node in nodes(&view.tasks) {
        let task = &view.tasks[node.task];
        let _ = write!(text, "{}{}", node.branch, task.title());
        if node.again {
            text.push_str("  (see above)\n");
            continue;
        }
        let _ = write!(text, "  {}", words::shown(&task.coro));
        for part in [task.place(), task.doing()] {
            if !part.is_empty() {
                let _ = write!(text, "  {part}");
            }
        }
        if task.state != "waiting" {
            let _ = write!(text, "  {}", words::shown(&task.state));
        }
        let _ = writeln!(text, "  {}", words::duration(task.age));
    }
    if view.left_out > 0 {
        let _ = writeln!(text, "… and {} more", view.left_out);
    }
    text
}

/// What process this is, how its loops do, and how old what follows is.
pub fn head(view: &View) -> String {
    let mut text = format!(
        "pid {}  {}  up {}  python {}\n",
        view.pid,
        view.command(),
        words::duration(view.uptime),
        words::shown(&view.python),
    );
    match view.state {
        "stopped" => text.push_str("the process is stopped (SIGSTOP or a debugger)\n"),
        "dead" => text.push_str("the process is dead: this is what it was at its end\n"),
        "reused" => text
            .push_str("the process is dead, and another one has its number: this is what it was\n"),
        _ => {}
    }
    for event_loop in &view.loops {
        let _ = write!(text, "loop {}  {}", event_loop.number, event_loop.phase);
        if event_loop.is_blocked() {
            let _ = write!(text, ", blocked for {}", words::duration(event_loop.running_for));
            if let Some(task) = view.task(event_loop.task) {
                let _ = write!(text, " by {} {}", task.title(), words::shown(&task.coro));
            } else if !event_loop.current.is_empty() {
                let _ = write!(text, " by a {}", event_loop.current);
            }
        }
        text.push('\n');
    }
    match view.snapshot_age {
        Some(age) => {
            let tasks = view.tasks.len() as u64 + view.left_out;
            let seen = words::duration(age);
            let what = if tasks == 1 { "task" } else { "tasks" };
            let _ = writeln!(text, "{tasks} {what}, as of {seen} {}", ago(view));
        }
        None => text.push_str("its tasks were never written down (that takes a second)\n"),
    }
    text
}

fn ago(view: &View) -> &'static str {
    if view.is_alive() { "ago" } else { "before the end" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u64, awaits: &[u64], parent: u64) -> Task {
        Task { id, name: format!("t{id}"), awaits: awaits.to_vec(), parent, ..Task::default() }
    }

    fn drawn(tasks: &[Task]) -> Vec<String> {
        nodes(tasks)
            .iter()
            .map(|node| {
                let again = if node.again { " again" } else { "" };
                format!("{}{}{again}", node.branch, tasks[node.task].name)
            })
            .collect()
    }

    #[test]
    fn tasks_stand_below_who_waits_for_them_or_made_them() {
        let tasks = [
            task(1, &[2, 3], 0),
            task(2, &[4], 9),
            task(3, &[4], 1),
            task(4, &[], 0),
            task(5, &[], 1),
        ];
        assert_eq!(drawn(&tasks), ["t1", "├─ t2", "│  └─ t4", "├─ t3", "│  └─ t4 again", "└─ t5"]);
    }

    #[test]
    fn circles_end() {
        let tasks = [task(1, &[2], 0), task(2, &[1], 0), task(3, &[3], 0), task(4, &[], 4)];
        assert_eq!(drawn(&tasks), ["t4", "t1", "└─ t2", "   └─ t1 again", "t3", "└─ t3 again"]);
    }
}
