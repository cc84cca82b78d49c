//! The event loop of vivace without Python, clock or system calls.
//!
//! A turn of the loop, which the embedder drives, goes through these files in this order:
//!
//! 1. `poll_budget`: is it time to look at the file descriptors, and may that wait?
//! 2. `fd_table`: who is to hear of a descriptor that became ready;
//! 3. `timers`: which deadlines have passed, and `wake_spacing`: when to wake up for the next;
//! 4. `inbox`: what other threads have asked for;
//! 5. `ready`: the callbacks to run in this turn, and only those that were there when it began.
//!
//! `fuzz_schedule` permutes the order of tasks, in tests of programs.
//!
//! `stream` holds what a connection needs besides: bytes not yet sent and flow control.
//!
//! Nothing here calls the embedder's code. What must be dropped (and may then run code of the
//! embedder) is handed back instead.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod fd_table;
pub mod fuzz_schedule;
pub mod inbox;
pub mod poll_budget;
pub mod ready;
pub mod stream;
mod sync;
pub mod timers;
pub mod wake_spacing;
