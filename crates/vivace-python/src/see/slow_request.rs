//! Requests that take long: V130, once a minute for each route.
//!
//! A request is judged when its response begins, or when it ends without one: how long a response
//! streams is for its client to say. What the client takes for its body does not count. One that
//! hangs is told of while it does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use serde_json::{Map, Value, json};
use vivace_see::finding::Finding;
use vivace_see::live::Scale;
use vivace_see::requests::{self, Division};
use vivace_sys::clock::{monotonic_nanoseconds, ticks};

use super::blocked::{is_of_program, seconds, shown_path};
use super::lost::for_each_of;
use super::{report, reporter, request};
use crate::event_loop::Loop;
use crate::ffi::{Instance, Object, Owned, Result, code, suspended, text};
use crate::task::Task;

/// So many times over the limit, a request without an answer hangs.
const HANGS: u64 = 10;

/// Of requests of all routes, so many a minute are told.
const MOST: u64 = 20;
const MINUTE: u64 = 60_000_000_000;

/// The longest waits of requests, by their numbers. Locked for moments, and only by threads that
/// have the GIL.
static WAITS: LazyLock<Mutex<HashMap<u64, Wait>>> = LazyLock::new(Mutex::default);
/// From so many on it is looked which requests are over, and more than ten times that are not kept.
const MANY_WAITS: usize = 1_000;

struct Wait {
    ticks: u64,
    place: Place,
}

/// What has become of a request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// It is over.
    None,
    NotYet,
}

/// A line of the program.
#[derive(Clone)]
struct Place {
    file: String,
    line: u32,
    function: String,
}

/// A task of a request is about to go on after a long wait: notes where it waited.
#[cold]
pub(crate) fn waited(task: &Instance<Task>, waited: u64) {
    let number = task.see.request();
    if waits().get(&number).is_some_and(|known| known.ticks >= waited) {
        return;
    }
    // Not locked while objects are looked at: that may collect garbage.
    let Some(place) = task.coroutine().and_then(|coroutine| place(&coroutine)) else { return };
    let mut waits = waits();
    if waits.len() >= MANY_WAITS {
        waits.retain(|number, _| requests::of(*number).is_some());
    }
    if waits.len() < 10 * MANY_WAITS {
        waits.insert(number, Wait { ticks: waited, place });
    }
}

fn waits() -> MutexGuard<'static, HashMap<u64, Wait>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The innermost line of the program in a suspended coroutine.
fn place(coroutine: &Object) -> Option<Place> {
    /// Deeper ones are not followed.
    const DEEPEST: usize = 100;
    let mut found = None;
    let mut next = Some(coroutine.new_ref());
    for _ in 0..DEEPEST {
        let Some(coroutine) = next else { break };
        if let Some(place) = line(&coroutine) {
            if is_of_program(&place.file) {
                found = Some(place);
            }
        }
        next = code::awaited(&coroutine);
    }
    found
}

fn line(coroutine: &Object) -> Option<Place> {
    let line = suspended::line(coroutine)?;
    let code = code::code(coroutine)?;
    let attribute = |name: &str| {
        let value = known(code.getattr(&*known(text::interned(name))?))?;
        Some(text::to_string_lossy(&value))
    };
    Some(Place { file: attribute("co_filename")?, line, function: attribute("co_qualname")? })
}

/// Diagnostics raise nothing.
fn known<T>(outcome: Result<T>) -> Option<T> {
    outcome.map_err(crate::ffi::Raised::clear).ok()
}

/// A request is answered, or ends without an answer: tells of it if it took long.
#[inline]
pub(crate) fn judge(event_loop: &Instance<Loop>, number: u64, status: Option<u16>) {
    if let Some(account) = requests::of(number) {
        account.settle();
        if event_loop.see.is_slow_request(ticks().saturating_sub(account.begin())) {
            judge_closely(event_loop, number, status);
        }
    }
}

#[cold]
fn judge_closely(event_loop: &Instance<Loop>, number: u64, status: Option<u16>) {
    let wait = waits().remove(&number);
    let Some(account) = requests::of(number) else { return };
    let division = account.divide(ticks());
    if !event_loop.see.is_slow_request(division.total - division.client.min(division.total)) {
        return;
    }
    let answer = status.map_or(Answer::None, Answer::Status);
    tell(event_loop, number, answer, &division, wait.as_ref());
}

/// Once a second: tells of requests that should have been answered long ago, and where they wait.
pub(super) fn look(event_loop: &Instance<Loop>) {
    let now = ticks();
    let hangs = |number: &u64| {
        requests::of(*number).is_some_and(|account| {
            let client = account.divide(now).client;
            let took = now.saturating_sub(account.begin()).saturating_sub(client);
            !account.is_settled()
                && !account.is_listening()
                && event_loop.see.is_slow_request(took / HANGS)
        })
    };
    let hanging: Vec<u64> = requests::all().filter(hangs).collect();
    if hanging.is_empty() {
        return;
    }
    // Of the tasks of a request the eldest, which is its application's, comes last.
    let mut tasks: HashMap<u64, (Owned, u64)> = HashMap::new();
    for_each_of(event_loop, |task| {
        if hanging.contains(&task.see.request()) {
            if let Some(coroutine) = task.coroutine() {
                let rested = now.saturating_sub(task.see.ready_since());
                tasks.insert(task.see.request(), (coroutine, rested));
            }
        }
        true
    });
    for (number, (coroutine, ticks)) in tasks {
        let Some(account) = requests::of(number) else { continue };
        account.settle();
        let division = account.divide(now);
        // What a task waits for may have begun a reading of the ticks before its request did.
        let ticks = ticks.min(division.total);
        let wait = place(&coroutine).map(|place| Wait { ticks, place });
        tell(event_loop, number, Answer::NotYet, &division, wait.as_ref());
    }
}

fn tell(
    event_loop: &Instance<Loop>,
    number: u64,
    answer: Answer,
    division: &Division,
    wait: Option<&Wait>,
) {
    let Some(account) = requests::of(number) else { return };
    let Some(request) = request::of(number) else { return };
    let place = request.kind();
    let now = monotonic_nanoseconds();
    if reporter().keeps_back("V130", &place, now) || !has_room(now) {
        return;
    }
    let scale = event_loop.see.scale();
    let finding = describe(&request, answer, division, account.tasks(), wait, scale, place);
    let event_loop = event_loop.see.number() as u32;
    // Writing may block.
    Python::attach(|py| py.detach(|| report(&finding, event_loop)));
}

/// Whether another one may be told in this minute.
fn has_room(now: u64) -> bool {
    static BEGIN: AtomicU64 = AtomicU64::new(0);
    static TOLD: AtomicU64 = AtomicU64::new(0);
    if BEGIN.load(Relaxed) == 0 || now.saturating_sub(BEGIN.load(Relaxed)) >= MINUTE {
        BEGIN.store(now, Relaxed);
        TOLD.store(0, Relaxed);
    }
    TOLD.fetch_add(1, Relaxed) < MOST
}

/// The parts of the time by their names, as people and programs read them.
fn parts(division: &Division) -> [(&'static str, &'static str, u64); 5] {
    [
        ("on the loop", "running", division.running),
        ("queued", "queued", division.queued),
        ("in threads", "threads", division.threads),
        ("for the client", "client", division.client),
        ("waiting", "waiting", division.waiting),
    ]
}

fn describe(
    request: &request::Request,
    answer: Answer,
    division: &Division,
    tasks: u64,
    wait: Option<&Wait>,
    scale: Scale,
    place: String,
) -> Finding {
    let text = |ticks: u64| seconds(scale.duration(ticks));
    let exact = |ticks: u64| scale.duration(ticks) as f64 / 1e9;
    let parts = parts(division);
    let (status, outcome) = match answer {
        Answer::Status(status) => (Some(status), format!("status {status}")),
        Answer::None => (None, "no response".to_owned()),
        Answer::NotYet => (None, "no response yet".to_owned()),
    };
    let hangs = matches!(answer, Answer::NotYet);
    let mut lines = vec![("request".into(), format!("{}  {outcome}", request.text()))];
    let told = parts.iter().filter(|(name, _, part)| *part > 0 || *name != "for the client");
    let told: Vec<String> = told.map(|(name, _, part)| format!("{name} {}", text(*part))).collect();
    lines.push(("time".into(), told.join(", ")));
    let mut data = Map::new();
    let mut described = request.json();
    if let Value::Object(fields) = &mut described {
        fields.insert("status".into(), status.into());
        fields.insert("tasks".into(), tasks.into());
    }
    data.insert("request".into(), described);
    data.insert("state".into(), if hangs { "waiting" } else { "over" }.into());
    data.insert("seconds".into(), exact(division.total).into());
    let shares = parts.iter().map(|(_, key, part)| ((*key).to_owned(), exact(*part).into()));
    data.insert("time".into(), Value::Object(shares.collect()));
    if tasks > 1 {
        lines.push(("tasks".into(), format!("{tasks} were made for it")));
    }
    if let Some(Wait { ticks, place }) = wait {
        let Place { file, line, function } = place;
        let at = format!("{}:{line}  {function}", shown_path(file));
        let how = if hangs { "waits now, for" } else { "waited longest," };
        lines.push(("where".into(), format!("{how} {}, at {at}", text(*ticks))));
        data.insert("file".into(), file.clone().into());
        data.insert("line".into(), (*line).into());
        data.insert("function".into(), function.clone().into());
        data.insert("wait".into(), json!({"seconds": exact(*ticks)}));
    }
    lines.push(("do".into(), if hangs { BOUND } else { advice(division) }.into()));
    let title = text(division.total) + if hangs { " (no response yet)" } else { "" };
    Finding { code: "V130".into(), title, place, lines, data }
}

/// What to do about a request that hangs.
const BOUND: &str = "bound what it waits for: async with asyncio.timeout(...), or --timeout-request \
                     for all requests; vivace ps PID shows what it waits for";

/// What to do about the largest part.
fn advice(division: &Division) -> &'static str {
    let Division { running, queued, threads, waiting, .. } = *division;
    let largest = running.max(queued).max(threads).max(waiting);
    if largest == running {
        "its own code keeps the loop: await asyncio.to_thread(...) for what blocks, a process for \
         what computes; V101 names the line"
    } else if largest == queued {
        "others keep the loop from it: see V101 for who blocks, or run more processes (--workers)"
    } else if largest == threads {
        "what runs in the thread is slow, or no thread was free (V120)"
    } else {
        "what it awaits is slow, or awaits one thing after the other that could be gathered"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_is_about_the_largest_part() {
        let threads = Division { total: 10, threads: 8, waiting: 2, ..Division::default() };
        assert!(advice(&threads).contains("thread"));
        let running = Division { total: 10, running: 9, waiting: 1, ..Division::default() };
        assert!(advice(&running).contains("V101"));
    }

    #[test]
    fn a_report_says_how_the_time_divides() {
        let request = request::Request {
            method: "GET".into(),
            path: "/a".into(),
            protocol: "HTTP/1.1".into(),
            ..request::Request::default()
        };
        let division = Division {
            total: 2_000_000_000,
            threads: 1_500_000_000,
            waiting: 500_000_000,
            ..Division::default()
        };
        let scale = Scale { factor: 1 << 32, ticks: 0, nanoseconds: 0 };
        let finding =
            describe(&request, Answer::Status(200), &division, 1, None, scale, "GET /a".into());
        assert_eq!(finding.title, "2.00 s");
        let time = &finding.lines[1].1;
        assert_eq!(time, "on the loop 0 ms, queued 0 ms, in threads 1.50 s, waiting 500 ms");
        assert_eq!(finding.data["time"]["threads"], json!(1.5));
        assert_eq!(finding.data["request"]["status"], json!(200));
    }
}
