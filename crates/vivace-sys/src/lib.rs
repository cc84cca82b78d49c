//! The operating system calls of vivace, each behind a safe function.
//!
//! | file | what it wraps |
//! |---|---|
//! | `poller` | epoll: which descriptors are ready, with timeouts in nanoseconds |
//! | `wake_fd` | eventfd: interrupting a wait from another thread |
//! | `alarm` | timerfd: a deadline that is kept from wait to wait |
//! | `clock` | CLOCK_MONOTONIC, as `time.monotonic()` reads it |
//! | `kernel_view` | what a thread waits in |
//! | `own_memory` | reading this process's memory without a fault |
//! | `elf` | the sections of a program or library |
//! | `thread` | threads as the kernel numbers them |
//! | `socket` | accept, receive, send in pieces, addresses |
//! | `process` | what this process was started with, and what is done at its end |
//! | `quit_signal` | SIGQUIT as a question |
//! | `shared_map` | memory that a file keeps and other processes can read |
//!
//! Everything that `rustix` offers is used from there; the few calls that it does not are the
//! only `unsafe` of this crate.
#![warn(missing_docs)]

pub mod alarm;
pub mod clock;
pub mod elf;
pub mod kernel_view;
pub mod own_memory;
pub mod poller;
pub mod process;
pub mod quit_signal;
pub mod shared_map;
pub mod socket;
pub mod thread;
pub mod wake_fd;

pub use rustix::io::Errno;
