//! Where lines go.
//!
//! Workers share one standard output, so lines are written in pieces that the kernel does not let
//! others into: up to `PIPE_BUF` bytes for a pipe, any number for a file opened for appending.
//! Each piece ends with a line, unless a single line is longer.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::{Errno, retry_on_intr};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a pipe takes in one piece.
const PIPE_PIECE: usize = rustix::pipe::PIPE_BUF;

/// What a file gets in one piece: whatever there is, but for the sake of a bound.
const FILE_PIECE: usize = 1 << 20;

/// How often a thread that waits for room looks whether it is to give up.
const ROOM_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// An open destination. Used by one thread at a time.
pub(super) struct Sink {
    descriptor: Descriptor,
    kind: Kind,
    /// The last line that was written has no end: writing failed in its middle.
    torn: AtomicBool,
}

enum Descriptor {
    Stdout,
    Stderr,
    Owned(OwnedFd),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is always room, or never.
    RegularFile,
    /// A pipe, a terminal, a socket: somebody has to make room.
    Stream,
}

impl Sink {
    pub(super) fn stdout() -> io::Result<Self> {
        Self::new(Descriptor::Stdout)
    }

    pub(super) fn stderr() -> io::Result<Self> {
        Self::new(Descriptor::Stderr)
    }

    pub(super) fn descriptor(fd: OwnedFd) -> io::Result<Self> {
        Self::new(Descriptor::Owned(fd))
    }

    /// Opens a file for appending, and creates it if there is none.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Self::new(Descriptor::Owned(file.into()))
    }

    fn new(descriptor: Descriptor) -> io::Result<Self> {
        let mut sink = Self { descriptor, kind: Kind::Stream, torn: AtomicBool::new(false) };
        let mode = rustix::fs::fstat(sink.fd())?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::RegularFile {
            sink.kind = Kind::RegularFile;
        }
        Ok(sink)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // Whatever has these numbers at the moment: a program may redirect its output while it
        // runs.
        match &self.descriptor {
            Descriptor::Stdout => rustix::stdio::stdout(),
            Descriptor::Stderr => rustix::stdio::stderr(),
            Descriptor::Owned(fd) => fd.as_fd(),
        }
    }

    /// Writes lines, and waits for room unless `give_up` says so. What could not be written comes
    /// back, and begins with the rest of a line if that one was torn.
    pub(super) fn write_lines<'a>(
        &self,
        lines: &'a [u8],
        give_up: impl Fn() -> bool,
    ) -> Result<(), &'a [u8]> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.torn.load(Ordering::Relaxed) {
            self.write_all(b"\n", &give_up).map_err(|_| lines)?;
            self.torn.store(false, Ordering::Relaxed);
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.piece_of(rest));
            if let Err(written) = self.write_all(piece, &give_up) {
                let unwritten = &rest[written..];
                let whole_lines = written == 0 || rest[written - 1] == b'\n';
                self.torn.store(!whole_lines, Ordering::Relaxed);
                return Err(unwritten);
            }
            rest = after;
        }
        Ok(())
    }

    /// How much of the lines goes in one piece.
    fn piece_of(&self, lines: &[u8]) -> usize {
        let most = match self.kind {
            Kind::RegularFile => FILE_PIECE,
            Kind::Stream => PIPE_PIECE,
        };
        if lines.len() <= most {
            return lines.len();
        }
        let newline = |&byte: &u8| byte == b'\n';
        match lines[..most].iter().rposition(newline) {
            Some(end) => end + 1,
            None => lines.iter().position(newline).map_or(lines.len(), |end| end + 1),
        }
    }

    /// Writes everything, or returns how much was written.
    fn write_all(&self, bytes: &[u8], give_up: &impl Fn() -> bool) -> Result<(), usize> {
        let mut written = 0;
        while written < bytes.len() {
            if !self.wait_for_room(give_up) {
                return Err(written);
            }
            match retry_on_intr(|| rustix::io::write(self.fd(), &bytes[written..])) {
                Ok(0) => return Err(written),
                Ok(count) => written += count,
                Err(Errno::AGAIN) => {}
                Err(_) => return Err(written),
            }
        }
        Ok(())
    }

    /// Waits until a write would not block, as one into a full pipe could not be ended. Whether
    /// it is worth trying.
    fn wait_for_room(&self, give_up: &impl Fn() -> bool) -> bool {
        if self.kind == Kind::RegularFile {
            return true;
        }
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.fd(), PollFlags::OUT)];
            match retry_on_intr(|| poll(&mut fds, Some(&ROOM_CHECK))) {
                Ok(0) if give_up() => return false,
                Ok(0) => {}
                // An error of the descriptor is for `write` to tell.
                _ => return true,
            }
        }
    }
}
