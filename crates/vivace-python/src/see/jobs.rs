//! What others ask of the loop: given by the thread that answers them, done on the loop's thread
//! just before it waits, by `vivace.see._jobs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use pyo3::prelude::*;
use vivace_see::answer::Job;

use crate::event_loop::Waiting;

struct Waiter {
    number: u64,
    job: Job,
    answer: SyncSender<String>,
}

static JOBS: Mutex<VecDeque<Waiter>> = Mutex::new(VecDeque::new());
static TAKEN: Mutex<Vec<Waiter>> = Mutex::new(Vec::new());
static PENDING: AtomicBool = AtomicBool::new(false);
static LOOPS: Mutex<Vec<Weak<Waiting>>> = Mutex::new(Vec::new());

/// More jobs than this do not wait.
const MOST: usize = 64;

/// A loop can be woken from now on, as long as it keeps what it waits with.
pub(crate) fn register(waiting: &Arc<Waiting>) {
    let mut loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
    loops.retain(|known| known.strong_count() > 0);
    loops.push(Arc::downgrade(waiting));
}

/// Whether there is a job.
#[inline]
pub(super) fn pending() -> bool {
    PENDING.load(Ordering::Acquire)
}

/// Gives a job to whichever loop comes to it first, and waits for its answer; none if no loop
/// does in time. Not for the thread of a loop.
pub(super) fn ask(job: Job, patience: Duration) -> Option<String> {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let (answer, answered) = sync_channel(1);
    {
        let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= MOST {
            return None;
        }
        jobs.push_back(Waiter { number, job, answer });
        PENDING.store(true, Ordering::Release);
    }
    let loops: Vec<Arc<Waiting>> = {
        let loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
        loops.iter().filter_map(Weak::upgrade).collect()
    };
    for waiting in loops {
        waiting.wake.wake();
    }
    let answer = answered.recv_timeout(patience).ok();
    if answer.is_none() && job == Job::Snapshot {
        // Nobody needs it any more; a task is cancelled all the same when the loop is free.
        JOBS.lock().unwrap_or_else(PoisonError::into_inner).retain(|job| job.number != number);
    }
    answer
}

/// `see_take_jobs()`: `(number, what, task)` of the jobs that wait.
#[pyfunction]
fn see_take_jobs() -> Vec<(u64, &'static str, u64)> {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    PENDING.store(false, Ordering::Release);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let described = jobs
        .iter()
        .map(|waiter| match waiter.job {
            Job::Snapshot => (waiter.number, "snapshot", 0),
            Job::Cancel(task) => (waiter.number, "cancel", task),
        })
        .collect();
    taken.extend(jobs.drain(..));
    described
}

/// `see_answer(number, text)`: a job is done.
#[pyfunction]
fn see_answer(number: u64, text: String) {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(place) = taken.iter().position(|waiter| waiter.number == number) {
        // Whoever asked may not wait any more.
        let _gone = taken.swap_remove(place).answer.try_send(text);
    }
}

/// In a forked child: nobody here has asked for anything.
pub(super) fn forget() {
    if let Ok(mut jobs) = JOBS.try_lock() {
        jobs.clear();
    }
    PENDING.store(false, Ordering::Release);
}

/// Adds the functions to the module.
pub(super) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_take_jobs, module)?)?;
    module.add_function(wrap_pyfunction!(see_answer, module)?)?;
    Ok(())
}
