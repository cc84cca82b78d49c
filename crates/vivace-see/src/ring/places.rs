//! Where the files of processes lie: which folder, whose files they are, which are stale.
//!
//! A process that ends in order removes its file. One that was killed leaves it, for `vivace doctor`:
//! such a file is kept until there are more than [`DEAD_KEPT`] newer ones, or it is a day old; if no
//! loop was running at the end (`os._exit()`), it goes the next time that somebody looks. A
//! number that another process has by now is recognised by the time at which that was started.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::reader::{About, Problem, Reader};
use crate::live::{Phase, word};

/// How many files of dead processes are kept in a folder.
pub const DEAD_KEPT: usize = 16;
/// For how long.
const DEAD_AGE: Duration = Duration::from_secs(24 * 3600);

/// The folder of a process: `configured` is `VIVACE_DIAG_DIR`, `runtime` `XDG_RUNTIME_DIR`.
///
/// A runtime folder of another user (what `su` leaves behind) is not taken.
pub fn folder(configured: Option<&Path>, runtime: Option<OsString>, uid: u32) -> PathBuf {
    if let Some(folder) = configured {
        return folder.to_owned();
    }
    let runtime = runtime.map(PathBuf::from).filter(|path| path.is_absolute());
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.uid() == uid);
    match runtime.filter(own) {
        Some(path) => path.join("vivace"),
        None => PathBuf::from(format!("/tmp/vivace-{uid}")),
    }
}

/// What the file of a trace of a process that runs ends with.
pub const TRACE: &str = "trace";

/// The name of the file of a process.
pub fn file_name(pid: u32) -> String {
    format!("{pid}.ring")
}

/// What a process is at, by `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `D`, `T` (stopped), `Z` (dead, and nobody asked).
    pub state: char,
    /// Field 22: when it was started.
    pub start_time: u64,
    /// How many threads it has.
    pub threads: u64,
    /// Clock ticks that it computed, in its code and in the kernel.
    pub cpu: u64,
    /// Pages in memory.
    pub resident: u64,
}

/// Reads `/proc/PID/stat`; nothing if there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name of the program is in parentheses and may hold any character.
    let rest = &text[text.rfind(')')? + 1..];
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        start_time: number(22)?,
        threads: number(20)?,
        cpu: number(14)? + number(15)?,
        resident: number(24)?,
    })
}

/// What has become of the process of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Running,
    /// It was stopped (SIGSTOP, a debugger).
    Stopped,
    /// It is gone.
    Dead,
    /// It is gone, and another process has its number.
    Reused,
}

/// What has become of a process.
pub fn life(about: &About) -> Life {
    match stat(about.pid) {
        None => Life::Dead,
        Some(stat) if stat.start_time != about.start_time => Life::Reused,
        Some(stat) if matches!(stat.state, 'Z' | 'X') => Life::Dead,
        Some(stat) if matches!(stat.state, 'T' | 't') => Life::Stopped,
        Some(_) => Life::Running,
    }
}

/// A file, whose it is, and what has become of that.
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// The process.
    pub about: About,
    /// What has become of it.
    pub life: Life,
    /// When the file was last written to, as far as the file system knows.
    pub written: SystemTime,
}

/// The files of a folder, by number of the process; what is none of ours is left out.
pub fn list(folder: &Path) -> Vec<Entry> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<Entry> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ring"))
        .filter_map(|path| read(&path).ok())
        .collect();
    found.sort_by_key(|entry| entry.about.pid);
    found
}

/// Looks at one file.
pub fn read(path: &Path) -> Result<Entry, Problem> {
    let about = Reader::open(path)?.about()?;
    let life = life(&about);
    let written = fs::metadata(path)?.modified()?;
    Ok(Entry { path: path.to_owned(), about, life, written })
}

/// Removes the files of processes that are long gone. Only for a folder of one's own.
pub fn clean(folder: &Path) {
    let (mut dead, alive): (Vec<Entry>, Vec<Entry>) =
        list(folder).into_iter().partition(|entry| matches!(entry.life, Life::Dead | Life::Reused));
    clean_traces(folder, &alive);
    dead.sort_by_key(|entry| std::cmp::Reverse(entry.written));
    for (place, entry) in dead.iter().enumerate() {
        let old = entry.written.elapsed().is_ok_and(|age| age > DEAD_AGE);
        let socket = entry.path.with_extension("sock");
        if socket.exists() {
            let _gone = fs::remove_file(socket);
        }
        if place >= DEAD_KEPT || old || !ran_a_loop(&entry.path) {
            let _gone = fs::remove_file(&entry.path);
        }
    }
}

/// Removes what was recorded of processes that are gone: whoever asked for it got no answer.
fn clean_traces(folder: &Path, alive: &[Entry]) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let is_trace = path.extension().is_some_and(|extension| extension == TRACE);
        let ring = path.with_extension("ring");
        if is_trace && alive.iter().all(|entry| entry.path != ring) {
            let _gone = fs::remove_file(path);
        }
    }
}

/// Whether a loop was running when the file was last written to.
fn ran_a_loop(path: &Path) -> bool {
    let Ok(reader) = Reader::open(path) else { return false };
    let loops = reader.loops().unwrap_or(0);
    (0..loops).any(|number| {
        let words = reader.counters(number).unwrap_or_default();
        Phase::of(words.get(word::PHASE).copied().unwrap_or(0)) != Phase::NotRunning
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_do_not_confuse() {
        let mut text = String::from("7 (a) R 1 (b) S");
        for field in 4..=30 {
            text.push_str(&format!(" {field}"));
        }
        let stat = parse_stat(&text).expect("read");
        assert_eq!((stat.state, stat.start_time, stat.cpu), ('S', 22, 29));
        assert_eq!(parse_stat("7 (a"), None);
        assert_eq!(parse_stat("7 (a) "), None);
    }

    #[test]
    fn this_process_runs_and_its_number_was_not_another_s() {
        let pid = std::process::id();
        let start_time = stat(pid).expect("it runs").start_time;
        let about = About { pid, start_time, ..About::default() };
        assert_eq!(life(&about), Life::Running);
        assert_eq!(life(&About { start_time: start_time + 1, ..about }), Life::Reused);
    }

    #[test]
    fn a_runtime_folder_of_another_user_is_not_taken() {
        let own = rustix::process::geteuid().as_raw();
        let runtime = Some(std::env::temp_dir().into_os_string());
        let other = folder(None, runtime, own.wrapping_add(12_345));
        assert_eq!(other, PathBuf::from(format!("/tmp/vivace-{}", own.wrapping_add(12_345))));
        assert_eq!(folder(Some(Path::new("/x")), None, 0), Path::new("/x"));
    }
}
