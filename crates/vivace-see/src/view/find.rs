//! From what somebody wrote on a command line to the file of a process; and what is wrong if there
//! is none, in one sentence.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::ring::layout::header;
use crate::ring::places::{self, Entry, Life};
use crate::ring::reader::Reader;

/// A file that was opened.
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// To be read.
    pub reader: Reader<File>,
    /// What has become of its process.
    pub life: Life,
    /// The device and the number of the file.
    identity: (u64, u64),
}

impl Found {
    /// Where the process answers.
    pub fn socket(&self) -> PathBuf {
        self.path.with_extension("sock")
    }

    /// Tells the process that somebody looks, so that it writes its tasks down more often. `now`
    /// is CLOCK_MONOTONIC in nanoseconds. Whoever may only read is not told.
    pub fn touch(&self, now: u64) {
        if !matches!(self.life, Life::Running) {
            return;
        }
        let follow_no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let opened = File::options().write(true).custom_flags(follow_no_link).open(&self.path);
        let same = |file: &File| {
            let about = file.metadata().ok()?;
            Some((about.dev(), about.ino()) == self.identity)
        };
        if let Some(file) = opened.ok().filter(|file| same(file) == Some(true)) {
            let _unseen = file.write_all_at(&now.to_le_bytes(), header::WATCHED as u64 * 8);
        }
    }
}

/// Opens a file by its path.
pub fn by_path(path: &Path) -> Result<Found, String> {
    let name = super::words::shown(&path.display().to_string());
    let reader = Reader::open(path).map_err(|problem| format!("{name}: {problem}"))?;
    let about = reader.about().map_err(|problem| format!("{name}: {problem}"))?;
    Ok(Found {
        path: path.to_owned(),
        identity: identity(&reader),
        reader,
        life: places::life(&about),
    })
}

/// Opens the file of a process by its number. `own` is the folder that this process would use.
pub fn by_pid(pid: u32, own: &Path) -> Result<Found, String> {
    let owner = fs::metadata(format!("/proc/{pid}")).ok().map(|about| about.uid());
    let inside = number_inside(pid);
    let mut denied = false;
    let mut stale = None;
    for folder in folders(pid, owner, own) {
        let path = folder.join(places::file_name(inside));
        match Reader::open(&path) {
            Ok(reader) => {
                let Ok(about) = reader.about() else { continue };
                let kept_by = reader.owner().ok();
                // A file that somebody else put there tells nothing about this process.
                let believable = kept_by == Some(about.uid)
                    && owner.is_none_or(|owner| kept_by == Some(owner) || kept_by == Some(0));
                if !believable {
                    continue;
                }
                let life = if inside == pid { places::life(&about) } else { Life::Running };
                // A copy under another number is nobody's.
                if life == Life::Reused || about.pid != inside {
                    stale = Some(path);
                    continue;
                }
                return Ok(Found { path, identity: identity(&reader), reader, life });
            }
            Err(super::Problem::Io(error)) => {
                denied |= error.kind() == io::ErrorKind::PermissionDenied;
            }
            Err(super::Problem::Foreign(text)) => {
                return Err(format!("{}: {text}", path.display()));
            }
        }
    }
    let us = rustix::process::geteuid().as_raw();
    match owner {
        None => Err(format!("no process {pid}, and none of this number has left a file")),
        Some(owner) if owner != us && us != 0 => {
            Err(format!("process {pid} belongs to user {owner}: become that user, or root"))
        }
        Some(_) if denied => Err(format!("the file of process {pid} may not be read")),
        Some(_) => {
            let command = command_of(pid);
            let mut text =
                format!("process {pid} ({command}) runs no loop of vivace, or with VIVACE_DIAG=0");
            if let Some(path) = stale {
                text.push_str(&format!(
                    "; an earlier process of this number has left {}",
                    path.display()
                ));
            }
            Err(text)
        }
    }
}

fn identity(reader: &Reader<File>) -> (u64, u64) {
    reader.metadata().map_or((0, 0), |about| (about.dev(), about.ino()))
}

/// The processes that can be looked at, and those that have died.
pub fn all(own: &Path) -> Vec<Entry> {
    places::list(own)
}

fn command_of(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    let mut command = super::words::command(&words);
    if command.chars().count() > 60 {
        command = command.chars().take(59).chain(['…']).collect();
    }
    command
}

/// Where the file of a process may lie: our folder, that of its user, that of its environment; and
/// the same as it sees them, if it runs in a container.
fn folders(pid: u32, owner: Option<u32>, own: &Path) -> Vec<PathBuf> {
    let mut folders = vec![own.to_owned()];
    let Some(owner) = owner else { return folders };
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variable = |name: &str| {
        environment.split(|byte| *byte == 0).find_map(|line| {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            (!value.is_empty()).then(|| OsString::from_vec(value.to_vec()))
        })
    };
    let configured = variable("VIVACE_DIAG_DIR").map(PathBuf::from);
    folders.push(places::folder(configured.as_deref(), variable("XDG_RUNTIME_DIR"), owner));
    folders.push(places::folder(None, None, owner));
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let same = |path: &Path| fs::metadata(path).ok().map(|about| (about.dev(), about.ino()));
    if same(&root) != same(Path::new("/")) {
        let inside: Vec<PathBuf> = folders[1..]
            .iter()
            .filter_map(|folder| folder.strip_prefix("/").ok().map(|folder| root.join(folder)))
            .collect();
        folders.extend(inside);
    }
    folders.retain(|folder| folder.is_absolute());
    folders
}

/// The number that a process has in its own namespace.
fn number_inside(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .and_then(|numbers| numbers.split_ascii_whitespace().last())
        .and_then(|number| number.parse().ok())
        .unwrap_or(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let folder = Path::new("/nonexistent");
        let gone = by_pid(u32::MAX - 1, folder).err().expect("no such process");
        assert!(gone.starts_with("no process 4294967294"), "{gone}");
        let foreign = by_pid(std::process::id(), folder).err().expect("no loop here");
        assert!(foreign.contains("runs no loop of vivace"), "{foreign}");
        let problem = by_path(Path::new("/etc/passwd")).err().expect("something else");
        assert_eq!(problem, "/etc/passwd: it was not made by vivace");
    }
}
