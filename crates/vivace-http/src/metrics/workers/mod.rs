//! The numbers of workers, brought to their parent over a UNIX socket.
//!
//! The parent listens at a name that no file stands for (Linux's abstract namespace), so nothing
//! is left behind by a process that is killed. Each side checks that the other is of its own user.
//! The parent sends a byte for each snapshot that it wants; `frame` is how a worker answers. `collector` and `thread`
//! are the parent's side, `reporter` is the worker's.

mod collector;
mod frame;
mod reporter;
mod thread;

pub use collector::Collector;
pub use reporter::Reporter;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// How long a scrape waits for workers that do not answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// How often workers are asked while nobody else asks, for the sake of one that gets killed.
pub const PULL_INTERVAL: Duration = Duration::from_secs(2);

/// The number of a question that the parent asks its workers; none has the number 0.
type Question = u64;

/// Refuses a process of another user at the other end.
fn check_peer(stream: impl AsFd) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.uid == rustix::process::geteuid() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the process at the other end of the socket belongs to another user",
    ))
}
