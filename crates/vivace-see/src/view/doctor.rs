//! What is wrong with a process, from its file alone: `vivace doctor`.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{View, words};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Something is wrong.
    Problem,
    /// Something could be better.
    Advice,
    /// Looked at, and in order.
    Ok,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// The code of the finding; empty if it comes from the counters.
    pub code: String,
    /// What was found, on one line.
    pub text: String,
    /// More lines.
    pub more: Vec<String>,
}

/// What each code is about, and how bad it is. A code that is not here is a problem.
const CODES: &[(&str, &str, Verdict)] = &[
    ("V101", "blocked loop", Verdict::Problem),
    ("V110", "GIL", Verdict::Advice),
    ("V111", "GC", Verdict::Advice),
    ("V112", "blocked loop", Verdict::Advice),
    ("V120", "executors", Verdict::Problem),
    ("V130", "slow requests", Verdict::Advice),
    ("V201", "never awaited", Verdict::Problem),
    ("V202", "failed tasks", Verdict::Problem),
    ("V203", "lost tasks", Verdict::Problem),
    ("V210", "task leaks", Verdict::Problem),
    ("V220", "cancelled but alive", Verdict::Problem),
    ("V230", "exit", Verdict::Advice),
    ("V301", "deadlocks", Verdict::Problem),
    ("V302", "deadlocks", Verdict::Problem),
    ("V303", "deadlocks", Verdict::Problem),
    ("V401", "blocking calls", Verdict::Advice),
    ("V501", "races", Verdict::Problem),
];

/// What is always looked at: said to be in order where nothing was found.
const ALWAYS: &[&str] = &[
    "blocked loop",
    "loop lag",
    "GIL",
    "GC",
    "failed tasks",
    "lost tasks",
    "cancelled but alive",
    "deadlocks",
    "task leaks",
];

/// How many lines of a finding's report are shown.
const LINES: usize = 12;

/// Looks at everything.
pub fn checks(view: &View) -> Vec<Check> {
    let mut found = Vec::new();
    if !view.is_alive() {
        found.push(death(view));
    }
    for event_loop in &view.loops {
        found.extend(now(view, event_loop));
    }
    found.extend(from_findings(view));
    for name in ALWAYS {
        if !found.iter().any(|check| check.name == *name) {
            found.push(Check {
                verdict: Verdict::Ok,
                name,
                code: String::new(),
                text: String::new(),
                more: Vec::new(),
            });
        }
    }
    found.sort_by_key(|check| match check.verdict {
        Verdict::Problem => 0,
        Verdict::Advice => 1,
        Verdict::Ok => 2,
    });
    found
}

/// Whether something is wrong.
pub fn is_wrong(checks: &[Check]) -> bool {
    checks.iter().any(|check| check.verdict == Verdict::Problem)
}

fn death(view: &View) -> Check {
    let mut more = Vec::new();
    for event_loop in &view.loops {
        if event_loop.current.is_empty() {
            continue;
        }
        let number = event_loop.number;
        match view.task(event_loop.task) {
            Some(task) => more.push(format!(
                "loop {number} was in {} {} {}",
                task.title(),
                words::shown(&task.coro),
                task.place(),
            )),
            None => more.push(format!("loop {number} was in a {}", event_loop.current)),
        }
    }
    for (finding, age) in view.findings.iter().zip(&view.finding_ages) {
        // What it last said of itself is what most likely had to do with its end.
        if *age < 30.0 {
            more.push(format!(
                "{} before its last sign of life: {}",
                words::duration(*age),
                title(finding)
            ));
        }
    }
    if more.len() > LINES {
        more.drain(..more.len() - LINES);
    }
    Check {
        verdict: Verdict::Problem,
        name: "end",
        code: String::new(),
        text: format!(
            "the process ended without cleaning up, after {}: it was killed, or crashed",
            words::duration(view.uptime)
        ),
        more,
    }
}

fn now(view: &View, event_loop: &super::event_loop::EventLoop) -> Vec<Check> {
    let check =
        |verdict, name, text| Check { verdict, name, code: String::new(), text, more: Vec::new() };
    let number = event_loop.number;
    let mut found = Vec::new();
    if view.state == "stopped" {
        let text = "the process is stopped (SIGSTOP or a debugger)".to_owned();
        found.push(check(Verdict::Advice, "process", text));
    } else if view.is_alive() && event_loop.is_blocked() {
        let time = words::duration(event_loop.running_for);
        let what = match view.task(event_loop.task) {
            Some(task) => {
                format!("{} {} {}", task.title(), words::shown(&task.coro), task.place())
            }
            None if event_loop.current.is_empty() => "waiting for the GIL".into(),
            None if event_loop.task != 0 => format!("task number {}", event_loop.task),
            None => format!("a {}", event_loop.current),
        };
        let text = format!("loop {number} is blocked, for {time} now: {what}");
        found.push(check(Verdict::Problem, "blocked loop", text));
    }
    if event_loop.delay_p99 > 0.1 && event_loop.delay_count >= 100 {
        let text = format!(
            "loop {number}: one in a hundred steps waited for more than {} to run",
            words::duration(event_loop.delay_p99 / 2.0)
        );
        found.push(check(Verdict::Advice, "loop lag", text));
    }
    if event_loop.gil_wait > 0.1 {
        let share = words::share(event_loop.gil_wait);
        let text = format!("loop {number} waits for the GIL for {share} of its time");
        found.push(check(Verdict::Advice, "GIL", text));
    }
    if event_loop.gc > 0.05 {
        let share = words::share(event_loop.gc);
        let text = format!("loop {number} collects garbage for {share} of its time");
        found.push(check(Verdict::Advice, "GC", text));
    }
    let cycle: Vec<String> =
        view.tasks.iter().filter(|task| task.cycle).map(super::task::Task::title).collect();
    if number == 0 && !cycle.is_empty() {
        let text = format!("{} tasks wait for each other: {}", cycle.len(), cycle.join(", "));
        found.push(check(Verdict::Problem, "deadlocks", text));
    }
    found
}

/// One check for each code and place.
fn from_findings(view: &View) -> Vec<Check> {
    let mut order: Vec<String> = Vec::new();
    let mut groups: HashMap<String, (usize, usize)> = HashMap::new();
    for (number, finding) in view.findings.iter().enumerate() {
        let key = format!("{} {}:{}", finding["code"], finding["file"], finding["line"]);
        let group = groups.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            (0, number)
        });
        *group = (group.0 + 1, number);
    }
    order
        .iter()
        .filter_map(|key| {
            let (count, last) = *groups.get(key)?;
            let finding = &view.findings[last];
            let code = finding["code"].as_str().unwrap_or_default();
            let (name, verdict) = CODES
                .iter()
                .find(|(known, ..)| *known == code)
                .map_or(("findings", Verdict::Problem), |(_, name, verdict)| (*name, *verdict));
            let age = view.finding_ages.get(last).copied().unwrap_or(0.0);
            let ago = if view.is_alive() { "ago" } else { "before the end" };
            let mut text = format!("{}, {} {ago}", title(finding), words::duration(age));
            if count > 1 {
                let _ = write!(text, ", {count} times");
            }
            Some(Check { verdict, name, code: words::shown(code), text, more: report(finding) })
        })
        .collect()
}

fn title(finding: &Value) -> String {
    let parts = ["code", "name", "title"].map(|key| finding[key].as_str().unwrap_or_default());
    let mut text = words::shown(parts.map(str::trim).join(" ").trim());
    if let (Some(file), Some(line)) = (finding["file"].as_str(), finding["line"].as_u64()) {
        let _ = write!(text, "  {}:{line}", words::short_path(file));
    }
    text
}

fn report(finding: &Value) -> Vec<String> {
    let Some(lines) = finding["report"].as_array() else { return Vec::new() };
    lines
        .iter()
        .take(LINES)
        .map(|line| {
            let part = |place: usize| words::shown(line[place].as_str().unwrap_or_default());
            format!("{:6} {}", part(0), part(1))
        })
        .collect()
}

/// The whole, lines that each end with a line feed.
pub fn text(view: &View, checks: &[Check]) -> String {
    let of = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let mut text = format!(
        "vivace doctor  {} checks, {}, {}\n",
        checks.len(),
        plural(of(Verdict::Problem), "problem"),
        match of(Verdict::Advice) {
            1 => "1 advice".to_owned(),
            number => format!("{number} advices"),
        },
    );
    text.push_str(&super::tree::head(view));
    let mut ok = Vec::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Problem => "[PROBLEM]",
            Verdict::Advice => "[ADVICE] ",
            Verdict::Ok => {
                ok.push(format!("[ok] {}", check.name));
                continue;
            }
        };
        let _ = writeln!(text, "{verdict} {}", check.text);
        for line in &check.more {
            let _ = writeln!(text, "            {line}");
        }
    }
    if !ok.is_empty() {
        let _ = writeln!(text, "{}", ok.join("  "));
    }
    if !view.tasks.is_empty() {
        let _ = writeln!(text, "tasks: {}", waits(view));
    }
    text
}

fn plural(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `390 io, 4 Queue.get, 2 Lock (in a cycle), 1 running`.
fn waits(view: &View) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for task in &view.tasks {
        let mut what = match task.state.as_str() {
            "waiting" if task.kind.is_empty() => "waiting".to_owned(),
            "waiting" => words::shown(&task.kind),
            other => words::shown(other),
        };
        if task.cycle {
            what.push_str(" (in a cycle)");
        }
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => counts.push((what, 1)),
        }
    }
    counts.sort_by_key(|(what, count)| (std::cmp::Reverse(*count), what.clone()));
    let parts: Vec<String> =
        counts.iter().take(12).map(|(what, count)| format!("{count} {what}")).collect();
    parts.join(", ")
}
