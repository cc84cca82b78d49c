//! `vivace metrics`: the numbers of other processes, read from their files, without their help.
//!
//! They are those of `vivace.metrics_text()`, by the same code. What cannot be added up over
//! processes stands once for each, with its `pid`.

use pyo3::exceptions::PyLookupError;
use pyo3::prelude::*;
use vivace_http::metrics::Snapshot;
use vivace_see::ring::places::{self, Life};
use vivace_see::ring::reader::Problem;
use vivace_see::view::event_loop::EventLoop;
use vivace_see::view::find::{self, Found};
use vivace_sys::clock::monotonic_nanoseconds;
use vivace_sys::process;

use super::metrics::{Labels, Numbers, Told, collect, text};
use super::ring;

fn is_alive(life: Life) -> bool {
    matches!(life, Life::Running | Life::Stopped)
}

fn read(found: &Found) -> Result<Told, Problem> {
    let now = monotonic_nanoseconds();
    let loops = (0..found.reader.loops()?).map(|number| {
        let words = found.reader.counters(number)?;
        // Nobody has looked before: the share since it began, with what runs now.
        let utilisation = EventLoop::of(number, &words, None, now, None).utilisation;
        Ok(Numbers { number, words, utilisation })
    });
    Ok(Told { loops: loops.collect::<Result<_, Problem>>()?, found: found.reader.found()? })
}

fn of_one(pid: u32) -> Result<String, String> {
    let found = find::by_pid(pid, &ring::folder())?;
    if !is_alive(found.life) {
        return Err(format!("process {pid} is dead; vivace doctor {pid} tells of its end"));
    }
    let process = read(&found).map_err(|problem| problem.to_string())?;
    let labels = Labels { by_loop: process.loops.len() > 1, pid: None };
    Ok(text(collect(&process, labels)))
}

/// Of all that run and belong to this user: also root asks for its own alone.
fn of_all() -> Result<String, String> {
    let own = process::effective_user();
    let mut processes = Vec::new();
    for entry in find::all(&ring::folder()).into_iter().filter(|entry| is_alive(entry.life)) {
        // A copy counts nothing; what ends meanwhile is left out.
        if entry.path.file_name() != Some(places::file_name(entry.about.pid).as_ref()) {
            continue;
        }
        let Ok(found) = find::by_path(&entry.path) else { continue };
        let is_own = entry.about.uid == own && found.reader.owner().is_ok_and(|uid| uid == own);
        if !is_own || !is_alive(found.life) {
            continue;
        }
        processes.extend(read(&found).map(|process| (entry.about.pid.to_string(), process)));
    }
    if processes.is_empty() {
        return Err("no process of this user runs a loop of vivace, with diagnostics on".into());
    }
    let by_loop = processes.iter().any(|(_, process)| process.loops.len() > 1);
    let mut all = Snapshot::default();
    for (pid, process) in &processes {
        let families = collect(process, Labels { by_loop, pid: Some(pid) });
        all.merge(Snapshot { processes: Vec::new(), families });
    }
    Ok(text(all.families))
}

/// `see_scrape(pid)`: the metrics of a process; without a number the sum of all of this user.
#[pyfunction]
#[pyo3(signature = (pid))]
pub(super) fn see_scrape(py: Python<'_>, pid: Option<u32>) -> PyResult<String> {
    py.detach(|| pid.map_or_else(of_all, of_one)).map_err(PyLookupError::new_err::<String>)
}
