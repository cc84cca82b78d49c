//! The numbers of the loops among the metrics: for `vivace.metrics_text()`, for the server's
//! `/metrics`, for OpenTelemetry, and of other processes for `vivace metrics`.
//!
//! Nothing is counted for them: they are read from the pages that the probes write. Findings are
//! counted as they are reported.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use vivace_http::metrics::{Family, Kind, Snapshot, Source, Value, exposition};
use vivace_see::finding::{Finding, Origin};
use vivace_see::live::{Cause, Kind as Runs, count_shared, word};
use vivace_see::report::{Listener, Reporter};
use vivace_see::ring::layout::COUNTED;

use super::lost::loop_of;
use super::{live, ring, settings};

const CAUSES: [Cause; 8] = [
    Cause::Unknown,
    Cause::Cpu,
    Cause::Syscall,
    Cause::Gc,
    Cause::Gil,
    Cause::Lock,
    Cause::Stopped,
    Cause::Starved,
];

/// The buckets of histograms that are told of: from 2^10 ns, a microsecond, in factors of four to
/// 2^36 ns, a minute.
const FIRST_BUCKET: usize = 10;
const LAST_BUCKET: usize = 36;
const BUCKET_STEP: usize = 2;

struct Counting;

impl Listener for Counting {
    fn found(&self, finding: &Finding, origin: &Origin, _json: &str) {
        // Repetitions that were kept back are counted with the next that is reported.
        if let Some(place) = COUNTED.iter().position(|code| *code == finding.code) {
            ring::found()[place].fetch_add(1 + origin.suppressed, Relaxed);
        }
    }
}

/// Counts what a reporter reports.
pub(super) fn count_findings(reporter: &Reporter) {
    reporter.listen(Box::new(Counting));
}

/// Busy and counted time at the last look, for the utilisation since then.
static LAST: Mutex<[(u64, u64); live::PLACES]> = Mutex::new([(0, 0); live::PLACES]);

/// One loop, of this process or another.
pub(super) struct Numbers {
    /// Its place among those of its process.
    pub(super) number: usize,
    /// Its page.
    pub(super) words: Vec<u64>,
    /// The share of the time in which it was busy.
    pub(super) utilisation: f64,
}

impl Numbers {
    fn at(&self, place: usize) -> u64 {
        self.words.get(place).copied().unwrap_or(0)
    }
}

/// One process: its loops, and the findings that are counted.
pub(super) struct Told {
    /// The loops.
    pub(super) loops: Vec<Numbers>,
    /// How many findings there were of each code of [`COUNTED`].
    pub(super) found: Vec<u64>,
}

/// What tells samples apart that are not to be added.
#[derive(Clone, Copy, Default)]
pub(super) struct Labels<'a> {
    /// Of loops: their numbers.
    pub(super) by_loop: bool,
    /// Of what cannot be added over processes: the number of this one.
    pub(super) pid: Option<&'a str>,
}

/// One number, with a label of its own besides that of the loop.
type Labelled = (Option<(&'static str, &'static str)>, Value);

/// What is told of the loops of this process, beside other processes that are told of.
pub(crate) struct Loops;

impl Source for Loops {
    fn collect(&self, families: &mut Vec<Family>) {
        let pid = std::process::id().to_string();
        collect_own(families, Some(&pid));
    }
}

fn collect_own(families: &mut Vec<Family>, pid: Option<&str>) {
    if !settings().is_on() {
        return;
    }
    let pages = live::pages().into_iter();
    let loops: Vec<Numbers> = pages
        .map(|(number, page)| {
            let words: Vec<u64> = page.iter().map(|word| word.load(Relaxed)).collect();
            Numbers { number, utilisation: utilisation(number, &words), words }
        })
        .collect();
    let found = ring::found().iter().map(|count| count.load(Relaxed)).collect();
    let labels = Labels { by_loop: loops.len() > 1, pid };
    families.extend(collect(&Told { loops, found }, labels));
}

/// All metrics of one process.
pub(super) fn collect(process: &Told, labels: Labels<'_>) -> Vec<Family> {
    let mut families = Vec::new();
    for &(kind, name, help, read) in FAMILIES {
        let mut family = Family::new(kind, name, help);
        // A sum of shares would be none.
        let pid = labels.pid.filter(|_| name.ends_with("_ratio"));
        for event_loop in &process.loops {
            let number = event_loop.number.to_string();
            for (label, value) in read(event_loop) {
                let mut own: Vec<(&str, &str)> = label.into_iter().collect();
                own.extend(labels.by_loop.then_some(("loop", number.as_str())));
                own.extend(pid.map(|pid| ("pid", pid)));
                family.push(&own, value);
            }
        }
        families.push(family);
    }
    for ((name, help), count) in FINDINGS.into_iter().zip(&process.found) {
        families.push(Family::new(Kind::Counter, name, help).with(&[], Value::Whole(*count)));
    }
    families
}

type Definition = (Kind, &'static str, &'static str, fn(&Numbers) -> Vec<Labelled>);

const FAMILIES: &[Definition] = &[
    (
        Kind::Counter,
        "asyncio_eventloop_time_seconds_total",
        "Time of the loop's thread by what it did.",
        |page| {
            [
                ("busy", word::BUSY),
                ("idle", word::IDLE),
                ("gil_wait", word::GIL_WAIT),
                ("gc", word::GC),
            ]
            .map(|(state, at)| (Some(("state", state)), seconds(page, at)))
            .into()
        },
    ),
    (
        Kind::Gauge,
        "asyncio_eventloop_utilization_ratio",
        "Share of the time since the last look in which the loop was busy.",
        |event_loop| vec![(None, Value::Number(event_loop.utilisation))],
    ),
    (
        Kind::Histogram,
        "asyncio_eventloop_delay_seconds",
        "How long tasks were ready before they ran.",
        |page| vec![(None, histogram(page, word::DELAYS, page.at(word::DELAY_SUM)))],
    ),
    (
        Kind::Histogram,
        "asyncio_eventloop_callback_duration_seconds",
        "How long callbacks and steps of tasks ran.",
        |page| vec![(None, histogram(page, word::DURATIONS, page.at(word::BUSY)))],
    ),
    (
        Kind::Counter,
        "asyncio_eventloop_blocks_total",
        "How often the loop was blocked, by the cause.",
        |page| {
            let told = |cause: Cause| {
                let at = word::BLOCKS + cause as usize;
                (Some(("cause", cause.name())), whole(page, at))
            };
            CAUSES.map(told).into()
        },
    ),
    (
        Kind::Histogram,
        "asyncio_eventloop_block_duration_seconds",
        "How long the loop was blocked.",
        |page| {
            let sum = page.at(word::BLOCK_SUM);
            vec![(None, histogram(page, word::BLOCK_DURATIONS, sum))]
        },
    ),
    (Kind::Counter, "asyncio_eventloop_iterations_total", "Turns of the loop.", |page| {
        vec![(None, whole(page, word::ITERATIONS))]
    }),
    (
        Kind::Gauge,
        "asyncio_eventloop_ready_count",
        "Callbacks that were ready when the last turn began.",
        |page| vec![(None, whole(page, word::READY))],
    ),
    (Kind::Gauge, "asyncio_eventloop_timer_count", "Timers that are held.", |page| {
        vec![(None, whole(page, word::TIMERS))]
    }),
    (Kind::Gauge, "asyncio_eventloop_fd_count", "Descriptors that are watched.", |page| {
        vec![(None, whole(page, word::DESCRIPTORS))]
    }),
    (
        Kind::Gauge,
        "asyncio_executor_thread_count",
        "Threads of the default executor and of anyio.",
        |page| executors(page, 0),
    ),
    (
        Kind::Gauge,
        "asyncio_executor_queue_count",
        "Jobs that wait for a thread of the executor.",
        |page| executors(page, 1),
    ),
    (
        Kind::Histogram,
        "asyncio_executor_wait_duration_seconds",
        "How long calls for a thread of a ThreadPoolExecutor waited for one.",
        |page| {
            let sum = page.at(word::EXECUTOR_WAIT_SUM);
            let waits = histogram(page, word::EXECUTOR_WAITS, sum);
            vec![(Some(("executor", "default")), waits)]
        },
    ),
    (
        Kind::Gauge,
        "asyncio_task_count",
        "Tasks that have not ended: the one that runs, those that are queued, the others.",
        |page| {
            let ended = [word::ENDED_OK, word::ENDED_ERROR, word::ENDED_CANCELLED];
            let ended: u64 = ended.iter().fold(0, |sum: u64, &at| sum.saturating_add(page.at(at)));
            let live = page.at(word::CREATED).saturating_sub(ended);
            let runs = Runs::of(page.at(word::KIND)) == Runs::Step;
            let running = u64::from(runs).min(live);
            let ready = page.at(word::READY_TASKS).min(live - running);
            let state = |name| Some(("state", name));
            vec![
                (state("running"), Value::Whole(running)),
                (state("ready"), Value::Whole(ready)),
                (state("waiting"), Value::Whole(live - running - ready)),
            ]
        },
    ),
    (
        Kind::Gauge,
        "asyncio_task_deadlocked",
        "Tasks that wait for each other in a circle.",
        |page| vec![(None, whole(page, word::DEADLOCKED))],
    ),
    (Kind::Counter, "asyncio_task_created_total", "Tasks that were made.", |page| {
        vec![(None, whole(page, word::CREATED))]
    }),
    (Kind::Counter, "asyncio_task_completed_total", "Tasks that have ended, by how.", |page| {
        [("ok", word::ENDED_OK), ("error", word::ENDED_ERROR), ("cancelled", word::ENDED_CANCELLED)]
            .map(|(outcome, at)| (Some(("outcome", outcome)), whole(page, at)))
            .into()
    }),
];

/// What findings are counted as: in the order of [`COUNTED`].
const FINDINGS: [(&str, &str); COUNTED.len()] = [
    (
        "asyncio_task_unobserved_errors_total",
        "Tasks that failed and whose failure nobody had looked at.",
    ),
    ("asyncio_task_orphaned_total", "Tasks that nobody can wake."),
    ("asyncio_coroutine_unawaited_total", "Coroutines that were never awaited."),
];

fn whole(page: &Numbers, at: usize) -> Value {
    Value::Whole(page.at(at))
}

/// Of both executors: 0 for the threads, 1 for the jobs that wait.
fn executors(page: &Numbers, which: usize) -> Vec<Labelled> {
    let told = |name, at: usize| (Some(("executor", name)), whole(page, at + which));
    vec![told("default", word::EXECUTOR), told("anyio", word::ANYIO)]
}

fn seconds(page: &Numbers, at: usize) -> Value {
    Value::Number(page.at(at) as f64 / 1e9)
}

fn histogram(page: &Numbers, first: usize, sum: u64) -> Value {
    let of = |from: usize, to: usize| {
        (from..to).fold(0_u64, |sum, bucket| sum.saturating_add(page.at(first + bucket)))
    };
    let mut bounds = Vec::new();
    let mut counts = Vec::new();
    let mut next = 0;
    for last in (FIRST_BUCKET..=LAST_BUCKET).step_by(BUCKET_STEP) {
        // Bucket n holds what took less than 2^n nanoseconds.
        bounds.push((1_u64 << last) as f64 / 1e9);
        counts.push(of(next, last + 1));
        next = last + 1;
    }
    counts.push(of(next, word::BUCKETS));
    Value::Histogram { bounds, counts, sum: sum as f64 / 1e9 }
}

/// The share of busy time since the last look; since the beginning at the first.
fn utilisation(number: usize, words: &[u64]) -> f64 {
    let [busy, idle, gil] = [word::BUSY, word::IDLE, word::GIL_WAIT].map(|at| words[at]);
    let all = busy + idle + gil;
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (busy_before, all_before) = last[number];
    if all <= all_before || busy < busy_before {
        return if all == 0 { 0.0 } else { busy as f64 / all as f64 };
    }
    last[number] = (busy, all);
    (busy - busy_before) as f64 / (all - all_before) as f64
}

/// `see_gauges(loop, …)`: what is only looked at, once a second.
#[pyfunction]
pub(super) fn see_gauges(
    event_loop: &Bound<'_, PyAny>,
    descriptors: u64,
    deadlocked: u64,
    threads: u64,
    waiting: u64,
    anyio_threads: u64,
    anyio_waiting: u64,
) -> PyResult<()> {
    let event_loop = loop_of(event_loop)?;
    let Some(page) = event_loop.see.page() else { return Ok(()) };
    for (at, value) in [
        (word::READY_TASKS, event_loop.ready_tasks()),
        (word::DESCRIPTORS, descriptors),
        (word::DEADLOCKED, deadlocked),
        (word::EXECUTOR, threads),
        (word::EXECUTOR + 1, waiting),
        (word::ANYIO, anyio_threads),
        (word::ANYIO + 1, anyio_waiting),
    ] {
        page[at].store(value, Relaxed);
    }
    Ok(())
}

/// `see_job_waited(loop, nanoseconds)`: a thread of an executor begins with a call for the loop,
/// so long after it was asked for.
#[pyfunction]
pub(super) fn see_job_waited(event_loop: &Bound<'_, PyAny>, nanoseconds: u64) -> PyResult<()> {
    if let Some(page) = loop_of(event_loop)?.see.page() {
        count_shared(page, word::EXECUTOR_WAITS, nanoseconds);
        page[word::EXECUTOR_WAIT_SUM].fetch_add(nanoseconds, Relaxed);
    }
    Ok(())
}

/// Families as Prometheus reads them.
pub(super) fn text(families: Vec<Family>) -> String {
    exposition::text(&Snapshot { processes: Vec::new(), families })
}

/// `see_metrics_text()`: all of them as Prometheus reads them.
#[pyfunction]
pub(super) fn see_metrics_text() -> String {
    let mut families = Vec::new();
    collect_own(&mut families, None);
    text(families)
}

/// `see_metrics()`: `(name, kind, help, [(labels, value)])` of all that are no histograms.
#[pyfunction]
#[allow(clippy::type_complexity)]
pub(super) fn see_metrics() -> Vec<(String, &'static str, String, Vec<(Vec<(String, String)>, f64)>)>
{
    let mut families = Vec::new();
    collect_own(&mut families, None);
    let plain = |value: &Value| match value {
        Value::Whole(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::Histogram { .. } => None,
    };
    let told = families.into_iter().filter_map(|family| {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => return None,
        };
        let samples = family.samples.into_iter();
        let samples = samples.filter_map(|one| Some((one.labels, plain(&one.value)?)));
        Some((family.name, kind, family.help, samples.collect()))
    });
    told.collect()
}
