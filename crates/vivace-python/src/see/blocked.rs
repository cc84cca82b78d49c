//! What is reported of a loop that does not go on: V101, V110, V111, V112, V302.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value, json};
use vivace_see::finding::Finding;
use vivace_see::live::{Cause, Page, word};

use super::cause::{Call, Kernel};
use super::subject::{Subject, TaskSubject};
use super::walk::{self, Frame};

/// More frames of one stack are not shown.
const SHOWN: usize = 12;

/// Another thread than that of the loop.
#[derive(Clone, Debug)]
pub(super) struct OtherThread {
    /// Its number for the kernel.
    pub(super) number: u32,
    /// What the program calls it, if Python has made it.
    pub(super) name: Option<String>,
    /// The innermost frame first.
    pub(super) stack: Vec<Frame>,
}

impl OtherThread {
    fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("\"{name}\" ({})", self.number),
            None => self.number.to_string(),
        }
    }
}

/// What was seen at one moment of a block.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Nanoseconds since the block began.
    pub(super) blocked: u64,
    pub(super) subject: Subject,
    /// The innermost frame first; none if it could not be read.
    pub(super) stack: Option<Vec<Frame>>,
    pub(super) kernel: Kernel,
    pub(super) cause: Cause,
    /// Nanoseconds of processor time, and of how many.
    pub(super) computed: (u64, u64),
    /// Other threads that run Python code.
    pub(super) others: Vec<OtherThread>,
    /// The generation that is being collected.
    pub(super) collection: Option<u64>,
    /// The innermost frame stood at the same instruction a moment later.
    pub(super) still: bool,
    /// It waits for a future that only this loop can complete.
    pub(super) own_future: bool,
}

impl Sample {
    /// The innermost frame of the program, if there is one; else the innermost.
    pub(super) fn place(&self) -> Option<&Frame> {
        place(self.stack.as_deref()?)
    }

    /// A debugger has stopped the program.
    pub(super) fn is_debugged(&self) -> bool {
        self.stack.iter().flatten().any(|frame| {
            let file = &frame.file;
            let name = Path::new(file).file_name().unwrap_or_default();
            name == "pdb.py"
                || name == "bdb.py"
                || ["pydevd", "debugpy", "/pudb/", "/ipdb/"].iter().any(|part| file.contains(part))
        })
    }
}

fn place(stack: &[Frame]) -> Option<&Frame> {
    stack.iter().find(|frame| is_of_program(&frame.file)).or(stack.first())
}

/// Whether a file belongs to the program, and not to Python, its packages, or to us.
pub(super) fn is_of_program(file: &str) -> bool {
    if file.starts_with("<frozen") || file.contains("/site-packages/") {
        return false;
    }
    let libraries = LIBRARIES.get().map_or(&[] as &[String], Vec::as_slice);
    !file.contains("/dist-packages/") && !libraries.iter().any(|folder| file.starts_with(folder))
}

static LIBRARIES: OnceLock<Vec<String>> = OnceLock::new();

/// Notes where Python and we ourselves lie: by files that are known to belong there.
pub(super) fn learn_libraries(files: &[String]) {
    LIBRARIES.get_or_init(|| {
        let folders = files.iter().filter_map(|file| Path::new(file).parent());
        folders.map(|folder| format!("{}/", folder.display())).collect()
    });
}

pub(super) fn seconds(nanoseconds: u64) -> String {
    if nanoseconds < 1_000_000_000 {
        format!("{} ms", nanoseconds / 1_000_000)
    } else {
        format!("{:.2} s", nanoseconds as f64 / 1e9)
    }
}

/// A path as people write it: from the current folder, if it is below.
pub(super) fn shown_path(file: &str) -> String {
    let below = std::env::current_dir()
        .ok()
        .and_then(|folder| Path::new(file).strip_prefix(&folder).ok().map(Path::to_path_buf));
    if let Some(path) = below {
        return path.display().to_string();
    }
    if let Some((_, path)) = file.rsplit_once("-packages/") {
        return path.to_owned();
    }
    let libraries = LIBRARIES.get().map_or(&[] as &[String], Vec::as_slice);
    let inside = libraries.iter().find_map(|folder| file.strip_prefix(&**folder));
    inside.unwrap_or(file).to_owned()
}

fn shown_place(frame: &Frame) -> String {
    format!("{}:{}", shown_path(&frame.file), frame.line())
}

fn task_json(task: &TaskSubject) -> Value {
    let mut found = json!({"name": task.name, "coro": task.coroutine, "id": task.id});
    if let Some(made) = &task.made {
        found["created"] =
            json!({"file": made.file, "line": made.line(), "function": made.function});
    }
    found
}

fn frame_json(frame: &Frame) -> Value {
    json!({
        "file": frame.file,
        "line": frame.line(),
        "function": frame.function,
        "source": walk::source_line(&frame.file, frame.line()),
        "user": is_of_program(&frame.file),
    })
}

/// The lines `stack`, the innermost call last.
fn stack_lines(label: &str, stack: &[Frame], lines: &mut Vec<(String, String)>) {
    let shown = stack.get(..SHOWN).unwrap_or(stack);
    let places: Vec<String> = shown.iter().map(shown_place).collect();
    let width = places.iter().map(String::len).max().unwrap_or(0);
    let names = shown.iter().map(|frame| frame.function.len()).max().unwrap_or(0).min(30);
    let mut label = label;
    if stack.len() > SHOWN {
        lines.push((label.to_owned(), format!("… {} more outside", stack.len() - SHOWN)));
        label = "";
    }
    let place = place(stack);
    for (frame, at) in shown.iter().zip(&places).rev() {
        let source = walk::source_line(&frame.file, frame.line()).unwrap_or_default();
        let mark = if place.is_some_and(|place| std::ptr::eq(place, frame)) { "> " } else { "  " };
        let text = format!("{mark}{at:width$}  {:names$}  {source}", frame.function);
        lines.push((label.to_owned(), text.trim_end().to_owned()));
        label = "";
    }
}

fn subject_line(sample: &Sample) -> (String, String) {
    match &sample.subject {
        Subject::Task(task) => {
            let made = task.made.as_ref();
            let made = made.map(|at| format!("  made at {} in {}", shown_place(at), at.function));
            let made = made.unwrap_or_default();
            ("task".into(), format!("{}  coro {}(){made}", task.name, task.coroutine))
        }
        Subject::Callback(kind, name) => {
            let outermost = sample.stack.as_ref().and_then(|stack| stack.last());
            let outermost = outermost.map(|frame| frame.function.clone());
            let name = outermost.or_else(|| name.clone()).unwrap_or_default();
            ("what".into(), format!("{kind} {name}").trim_end().to_owned())
        }
    }
}

/// The request that the task was made for.
fn request_line(sample: &Sample) -> Option<(String, String)> {
    let Subject::Task(TaskSubject { request: Some((request, age)), .. }) = &sample.subject else {
        return None;
    };
    let age = seconds((age * 1e9) as u64);
    Some(("request".into(), format!("{}  came {age} ago", request.text())))
}

fn subject_json(sample: &Sample, data: &mut Map<String, Value>) {
    match &sample.subject {
        Subject::Task(task) => {
            data.insert("task".into(), task_json(task));
            if let Some((request, age)) = &task.request {
                let mut request = request.json();
                if let Value::Object(fields) = &mut request {
                    fields.insert("seconds".into(), (*age).into());
                }
                data.insert("request".into(), request);
            }
        }
        Subject::Callback(kind, name) => {
            let outermost = sample.stack.as_ref().and_then(|stack| stack.last());
            let name = outermost.map(|frame| frame.function.clone()).or_else(|| name.clone());
            data.insert("callback".into(), json!({"kind": kind, "name": name}));
        }
    }
}

/// Whether the same instruction was found again and again: C code runs in it.
fn is_in_c(samples: &[Sample]) -> bool {
    let innermost =
        |sample: &Sample| sample.stack.as_ref().and_then(|stack| stack.first().cloned());
    let Some(first) = samples.first().and_then(innermost) else { return false };
    samples.iter().all(|sample| innermost(sample).is_some_and(|frame| frame.is_where(&first)))
        && samples.iter().any(|sample| sample.still)
}

fn cause_text(samples: &[Sample]) -> String {
    let Some(sample) = samples.last() else { return String::new() };
    let (used, of) = sample.computed;
    let clock = format!("(processor time {} of {})", seconds(used), seconds(of));
    let importing = sample.stack.iter().flatten().any(|frame| {
        frame.file.starts_with("<frozen importlib") && frame.function.contains("_find_and_load")
    });
    let importing = if importing { ", while importing a module" } else { "" };
    let call = sample.kernel.call.as_ref().map(Call::text).unwrap_or_default();
    match sample.cause {
        Cause::Cpu if is_in_c(samples) => {
            let part = sample.stack.as_ref().and_then(|stack| stack.first());
            let part = part.and_then(walk::source_part);
            let part = part.map(|part| format!(": {part}")).unwrap_or_default();
            format!("computing, inside C code{part}  {clock}{importing}")
        }
        Cause::Cpu => format!("computing  {clock}{importing}"),
        Cause::Syscall if call.is_empty() => format!("waits in the kernel{importing}"),
        Cause::Syscall => format!("system call {call}{importing}"),
        Cause::Lock => format!("waits for another thread: {call}{importing}"),
        Cause::Gil => "another thread holds the GIL".to_owned(),
        Cause::Gc => format!(
            "the garbage collector, generation {}  {clock}",
            sample.collection.unwrap_or_default()
        ),
        Cause::Stopped => "the process is stopped".to_owned(),
        Cause::Starved => format!("other processes have the processor  {clock}"),
        Cause::Unknown => format!("not known  {clock}{importing}"),
    }
}

fn cause_json(samples: &[Sample]) -> Value {
    let Some(sample) = samples.last() else { return Value::Null };
    let call = sample.kernel.call.as_ref();
    json!({
        "kind": sample.cause.name(),
        "in_c": sample.cause == Cause::Cpu && is_in_c(samples),
        "syscall": call.map(|call| call.name.clone()),
        "fd": call.and_then(|call| call.descriptor),
        "about": call.and_then(|call| call.about.clone()),
        "state": sample.kernel.state.to_string(),
        "cpu_seconds": sample.computed.0 as f64 / 1e9,
        "of_seconds": sample.computed.1 as f64 / 1e9,
        "gc_generation": sample.collection,
    })
}

/// What to do about it.
fn advice(samples: &[Sample]) -> &'static str {
    let Some(sample) = samples.last() else { return "" };
    let has = |part: &str| sample.stack.iter().flatten().any(|frame| frame.file.contains(part));
    let call = sample.kernel.call.as_ref().map_or("", |call| &*call.name);
    if sample.own_future {
        return "await asyncio.wrap_future(future), or await the coroutine itself: this thread \
                cannot run it while it waits for it";
    }
    match sample.cause {
        Cause::Gc => {
            "gc.freeze() after start-up, gc.set_threshold() with larger numbers, or fewer cycles"
        }
        Cause::Cpu if is_in_c(samples) => {
            "await asyncio.to_thread(...); if the C code keeps the GIL, \
             loop.run_in_executor(ProcessPoolExecutor(), ...)"
        }
        Cause::Cpu => {
            "cut it into pieces with `await asyncio.sleep(0)` in between, or give it to a process: \
             loop.run_in_executor(ProcessPoolExecutor(), ...)"
        }
        Cause::Starved | Cause::Stopped => "give this process more of the processor",
        _ if has("/subprocess.py") || call == "wait4" || call == "waitid" => {
            "await asyncio.create_subprocess_exec(...)"
        }
        _ if matches!(call, "clock_nanosleep" | "nanosleep") => "await asyncio.sleep(...)",
        _ if has("/urllib3/") || has("/requests/") || has("/http/client.py") => {
            "use an HTTP client that awaits (httpx.AsyncClient, aiohttp), or asyncio.to_thread"
        }
        _ if has("/concurrent/futures/") => "await asyncio.wrap_future(future)",
        Cause::Lock => {
            "asyncio.Lock if only this loop takes it; else acquire it in asyncio.to_thread(...)"
        }
        _ if has("/sqlite3/") || has("/psycopg") || has("/pymysql/") => {
            "use a driver that awaits, or await asyncio.to_thread(...)"
        }
        _ if has("/socket.py") || call.starts_with("recv") || call == "connect" => {
            "asyncio.open_connection() or loop.sock_recv(); or await asyncio.to_thread(...)"
        }
        _ => "await asyncio.to_thread(...)",
    }
}

/// How many callbacks wait for this one.
fn effect(page: &Page) -> (u64, u64) {
    // The loop may have begun another turn meanwhile.
    let before = page[word::TURN_CALLBACKS].load(Relaxed);
    let done = page[word::CALLBACKS].load(Relaxed).saturating_sub(before);
    let waiting = page[word::READY].load(Relaxed).saturating_sub(done + 1);
    (waiting, page[word::TIMERS].load(Relaxed))
}

pub(super) fn code(samples: &[Sample]) -> &'static str {
    match samples.last() {
        Some(sample) if sample.own_future => "V302",
        Some(sample) if sample.cause == Cause::Gc => "V111",
        Some(sample) if sample.cause == Cause::Gil => "V110",
        _ => "V101",
    }
}

/// The text of the place that findings are limited by.
fn limit_place(samples: &[Sample]) -> String {
    let Some(sample) = samples.last() else { return "?".to_owned() };
    match (sample.cause, sample.place()) {
        (Cause::Gc | Cause::Gil, _) | (_, None) => sample.cause.name().to_owned(),
        (_, Some(frame)) => format!("{}:{}", frame.file, frame.line()),
    }
}

/// A loop is blocked now. `repeated`: it was said of this block before.
pub(super) fn while_blocked(page: &Page, samples: &[Sample], repeated: bool) -> Finding {
    let Some(sample) = samples.last() else { return Finding::default() };
    let mut lines = Vec::new();
    let mut data = Map::new();
    let cause = cause_text(samples);
    data.insert("state".into(), "blocked".into());
    data.insert("seconds".into(), (sample.blocked as f64 / 1e9).into());
    data.insert("cause".into(), cause_json(samples));
    let code = code(samples);
    let program = matches!(sample.cause, Cause::Gc | Cause::Gil);
    if !program {
        lines.push(subject_line(sample));
        lines.extend(request_line(sample));
        subject_json(sample, &mut data);
    }
    lines.push(("cause".into(), cause));
    match &sample.stack {
        // Whoever happens to run has not done it.
        _ if program => {}
        Some(stack) => {
            if let Some(frame) = sample.place() {
                data.insert("file".into(), frame.file.clone().into());
                data.insert("line".into(), frame.line().into());
                data.insert("function".into(), frame.function.clone().into());
            }
            data.insert("stack".into(), stack.iter().rev().map(frame_json).collect());
            stack_lines("stack", stack, &mut lines);
        }
        None => {
            let why = match walk::layout() {
                Ok(_) => "it changed while it was read".to_owned(),
                Err(reason) => format!("cannot be read: {reason}"),
            };
            lines.push(("stack".into(), why));
        }
    }
    let mut threads = Vec::new();
    for other in &sample.others {
        let title = other.title();
        if let Some(frame) = place(&other.stack) {
            let source = walk::source_line(&frame.file, frame.line()).unwrap_or_default();
            let at = shown_place(frame);
            let text = format!("{title} at {at} in {}  {source}", frame.function);
            lines.push(("thread".into(), text.trim_end().to_owned()));
        } else {
            lines.push(("thread".into(), format!("{title}, in no Python code that can be read")));
        }
        let frames: Vec<Value> = other.stack.iter().rev().map(frame_json).collect();
        threads.push(json!({"thread": other.number, "name": other.name, "stack": frames}));
        if code == "V110" {
            if let Some(frame) = place(&other.stack) {
                data.insert("file".into(), frame.file.clone().into());
                data.insert("line".into(), frame.line().into());
                data.insert("function".into(), frame.function.clone().into());
            }
        }
    }
    data.insert("threads".into(), threads.into());
    let (waiting, timers) = effect(page);
    data.insert("waiting".into(), waiting.into());
    if waiting > 0 || timers > 0 {
        let text = format!("{waiting} callbacks of this turn wait; {timers} timers are held");
        lines.push(("effect".into(), text));
    }
    let advice = if code == "V110" {
        "give that work to a process, or to code that lets go of the GIL"
    } else {
        advice(samples)
    };
    lines.push(("do".into(), advice.into()));
    Finding {
        code: code.into(),
        title: match code {
            "V110" => format!("{} (and not yet over)", seconds(sample.blocked)),
            "V111" => format!("{} (still collecting)", seconds(sample.blocked)),
            _ => format!("{} (still blocked)", seconds(sample.blocked)),
        },
        // Repetitions of one block are told, if its beginning was.
        place: if repeated { String::new() } else { limit_place(samples) },
        lines,
        data,
    }
}

/// A block that was reported is over.
pub(super) fn when_over(code: &str, samples: &[Sample], blocked: u64) -> Finding {
    // The last sample that says something: the very last may be of the end.
    let telling = |sample: &Sample| match code {
        "V110" => sample.cause == Cause::Gil,
        "V111" => sample.cause == Cause::Gc,
        _ => !matches!(sample.cause, Cause::Starved | Cause::Unknown),
    };
    let until = samples.iter().rposition(telling).map_or(samples.len(), |at| at + 1);
    let samples = &samples[..until];
    let mut lines = Vec::new();
    let mut data = Map::new();
    data.insert("state".into(), "over".into());
    data.insert("seconds".into(), (blocked as f64 / 1e9).into());
    data.insert("cause".into(), cause_json(samples));
    lines.push(("cause".into(), cause_text(samples)));
    let mut shares: Vec<(&Frame, usize)> = Vec::new();
    if !matches!(code, "V110" | "V111") {
        for frame in samples.iter().filter_map(Sample::place) {
            match shares
                .iter_mut()
                .find(|(known, _)| known.file == frame.file && known.line() == frame.line())
            {
                Some((_, count)) => *count += 1,
                None => shares.push((frame, 1)),
            }
        }
        shares.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    let mut label = "where";
    for (frame, count) in &shares {
        let text = format!(
            "{}  {}  in {count} of {} samples",
            shown_place(frame),
            frame.function,
            samples.len()
        );
        lines.push((label.into(), text));
        label = "";
    }
    if let Some((frame, _)) = shares.first() {
        data.insert("file".into(), frame.file.clone().into());
        data.insert("line".into(), frame.line().into());
        data.insert("function".into(), frame.function.clone().into());
    }
    let shares = shares.iter().map(|(frame, count)| {
        json!({"file": frame.file, "line": frame.line(), "function": frame.function, "count": count})
    });
    data.insert("shares".into(), shares.collect());
    data.insert("samples".into(), samples.len().into());
    if let Some(sample) = samples.last().filter(|_| !matches!(code, "V110" | "V111")) {
        subject_json(sample, &mut data);
    }
    Finding {
        code: code.into(),
        title: format!("{} (over)", seconds(blocked)),
        place: String::new(),
        lines,
        data,
    }
}

/// The process stood still as a whole.
pub(super) fn stood_still(nanoseconds: u64, suspended: bool) -> Finding {
    let mut data = Map::new();
    data.insert("seconds".into(), (nanoseconds as f64 / 1e9).into());
    data.insert("suspended".into(), suspended.into());
    let cause = if suspended {
        "the machine was suspended"
    } else {
        "the process was stopped (a signal, a debugger), or got no processor"
    };
    Finding {
        code: "V112".into(),
        title: seconds(nanoseconds),
        place: "stopped".into(),
        lines: vec![
            ("cause".into(), cause.into()),
            ("effect".into(), "timers are late; this time counts as no block of a loop".into()),
        ],
        data,
    }
}
