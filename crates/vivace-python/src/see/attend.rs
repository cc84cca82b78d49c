//! The thread that answers others: on the socket of the process, on its page, and to SIGQUIT.
//!
//! It runs no Python, so it answers also while the loop is blocked. It is stopped before a fork that
//! Python makes, as a process with threads is warned of forking, and begins again after it.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};
use vivace_see::answer::web::{self, Door};
use vivace_see::answer::{Job, Process, socket};
use vivace_see::ring::reader::Reader;
use vivace_see::view::{View, doctor};
use vivace_sys::clock::monotonic_nanoseconds;
use vivace_sys::wake_fd::WakeFd;
use vivace_sys::{quit_signal, thread};

use super::{jobs, ring, settings, trace};

/// This process, as it answers.
struct Own;

impl Process for Own {
    fn view(&self) -> Result<View, String> {
        let words = ring::words().ok_or("no loop has run yet")?;
        let read = || {
            let reader = Reader::new(words)?;
            View::read(&reader, monotonic_nanoseconds(), None)
        };
        Ok(read().map_err(|problem: vivace_see::ring::reader::Problem| problem.to_string())?.0)
    }

    fn ask(&self, job: Job, patience: Duration) -> Option<String> {
        jobs::ask(job, patience)
    }

    fn control(&self) -> bool {
        settings().control
    }

    fn trace(&self, duration: Duration, wait: &dyn Fn(Duration) -> bool) -> Result<(), String> {
        trace::functions::live(duration, wait)
    }

    fn forget_trace(&self) {
        trace::functions::forget_live();
    }
}

struct Thread {
    pid: u32,
    handle: JoinHandle<()>,
}

static THREAD: Mutex<Option<Thread>> = Mutex::new(None);

/// What it waits for: opened once, and kept over a fork that Python makes.
#[derive(Clone)]
struct Ways {
    pid: u32,
    stop: Arc<WakeFd>,
    unix: Arc<UnixListener>,
    page: Option<(Arc<TcpListener>, Door)>,
    quit: Option<BorrowedFd<'static>>,
}

static WAYS: Mutex<Option<Ways>> = Mutex::new(None);

impl Ways {
    fn open(path: &Path) -> std::io::Result<Self> {
        let _stale = std::fs::remove_file(path);
        let unix = UnixListener::bind(path)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
        unix.set_nonblocking(true)?;
        Ok(Self {
            pid: std::process::id(),
            stop: Arc::new(WakeFd::new()?),
            unix: Arc::new(unix),
            page: open_page(),
            quit: quit_signal::take(),
        })
    }
}

/// Begins to answer, if the process has a file.
pub(super) fn start() {
    // After a fork the locks may be held by threads that are not there.
    let (Ok(mut running), Ok(mut ways)) = (THREAD.try_lock(), WAYS.try_lock()) else { return };
    if running.as_ref().is_some_and(|thread| thread.pid == std::process::id()) {
        return;
    }
    let Some(path) = ring::path() else { return };
    if ways.as_ref().is_none_or(|ways| ways.pid != std::process::id()) {
        let Ok(opened) = Ways::open(&path.with_extension("sock")) else { return };
        *ways = Some(opened);
    }
    let Some(ways) = ways.clone() else { return };
    ways.stop.drain();
    let builder = Builder::new().name("vivace-attend".to_owned()).stack_size(512 << 10);
    if let Ok(handle) = builder.spawn(move || ways.run()) {
        // The parent's, in a child, can only be forgotten.
        std::mem::forget(running.replace(Thread { pid: std::process::id(), handle }));
    }
}

/// Stops to answer: before a fork.
pub(super) fn stop() {
    let Ok(mut running) = THREAD.try_lock() else { return };
    if let Some(thread) = running.take_if(|thread| thread.pid == std::process::id()) {
        match WAYS.try_lock().as_deref() {
            Ok(Some(ways)) => ways.stop.wake(),
            _ => return,
        }
        let _ended = thread.handle.join();
    }
}

fn open_page() -> Option<(Arc<TcpListener>, Door)> {
    let wanted = std::env::var("VIVACE_WEB").ok().filter(|wanted| !wanted.is_empty())?;
    let opened = (|| {
        let address: SocketAddr =
            wanted.parse().map_err(|_| "not an address with a port".to_owned())?;
        if !address.ip().is_loopback() {
            return Err("it takes an address of this machine alone, such as 127.0.0.1:8100".into());
        }
        // Workers, and programs that this one starts, have the same variable: each has its page.
        let any = SocketAddr::new(address.ip(), 0);
        let listener = TcpListener::bind(address).or_else(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => TcpListener::bind(any),
            _ => Err(error),
        });
        let listener = listener.map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        Ok((
            Arc::new(listener),
            Door::new(address).map_err(|error: std::io::Error| error.to_string())?,
        ))
    })();
    match opened {
        Ok((listener, door)) => {
            say(&format!("vivace: the page of process {} is {}\n", std::process::id(), door.url()));
            Some((listener, door))
        }
        Err(problem) => {
            let problem: String = problem;
            say(&format!("vivace: --web {wanted}: {problem}\n"));
            None
        }
    }
}

/// How many are answered at the same time.
const MOST: usize = 8;

static ANSWERING: AtomicUsize = AtomicUsize::new(0);

/// The place of one who is answered: free again however it ends.
struct Answering;

impl Answering {
    fn begin() -> Option<Self> {
        let place = Self;
        (ANSWERING.fetch_add(1, Ordering::AcqRel) < MOST).then_some(place)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        ANSWERING.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Ways {
    fn run(self) {
        thread::block_signals();
        let never = self.stop.as_fd();
        loop {
            let page = self.page.as_ref().map_or(never, |(listener, _)| listener.as_fd());
            let mut watched =
                [self.stop.as_fd(), self.unix.as_fd(), page, self.quit.unwrap_or(never)]
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            match poll(&mut watched, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let ready = watched.map(|fd| !fd.revents().is_empty());
            if ready[0] {
                return;
            }
            if ready[1] {
                if let Ok((stream, _)) = self.unix.accept() {
                    answer(move || drop(socket::serve(stream, &Own)));
                }
            }
            if let (true, Some((listener, door))) = (ready[2], &self.page) {
                if let Ok((stream, _)) = listener.accept() {
                    let door = door.clone();
                    answer(move || drop(web::serve(stream, &door, &Own)));
                }
            }
            if ready[3] {
                quit_signal::drain();
                tell();
            }
        }
    }
}

/// Answers one connection in a thread of its own, so that a slow one keeps nobody waiting.
fn answer(body: impl FnOnce() + Send + 'static) {
    let Some(place) = Answering::begin() else { return };
    let builder = Builder::new().name("vivace-answer".to_owned()).stack_size(512 << 10);
    // Without a thread the connection is closed, and its place is free again.
    let _spawned = builder.spawn(|| {
        let _place = place;
        thread::block_signals();
        body();
    });
}

/// SIGQUIT: what the doctor says, on standard error.
fn tell() {
    let _fresh = Own.ask(Job::Snapshot, Duration::from_millis(300));
    let text = match Own.view() {
        Ok(view) => doctor::text(&view, &doctor::checks(&view)),
        Err(problem) => format!("vivace doctor: {problem}\n"),
    };
    say(&text);
}

/// Writes on standard error; nobody may be there to read it.
pub(super) fn say(text: &str) {
    let _unheard = std::io::stderr().write_all(text.as_bytes());
}

/// `see_own()`: what this process has written down, as JSON; nothing if no loop has run.
#[pyfunction]
fn see_own(py: Python<'_>) -> Option<String> {
    py.detach(|| {
        Own.view().ok().map(|view| {
            let checks = doctor::checks(&view);
            serde_json::json!({"process": view, "checks": checks}).to_string()
        })
    })
}

/// Adds the functions to the module.
pub(super) fn add_functions(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(see_own, module)?)?;
    Ok(())
}
