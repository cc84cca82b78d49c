//! What the kernel tells of a thread of this process that does not go on: `/proc/self/task/…` and the
//! thread's clock.

use std::fs;

use crate::own_memory;
use crate::socket;
use crate::thread::processor_time;

/// What the kernel says of a thread.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// `R` runs or could, `S` and `D` wait, `T` and `t` are stopped.
    pub state: char,
    /// What it waits in.
    pub call: Option<Call>,
    /// How often it gave the processor away by itself.
    pub switches: u64,
}

/// A system call that has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// The descriptor that it works on.
    pub descriptor: Option<i32>,
    /// What the descriptor is, or whom it is about: `tcp 10.0.0.5:5432`.
    pub about: Option<String>,
}

impl Call {
    /// Whether it waits for another thread.
    pub fn is_futex(&self) -> bool {
        self.number == libc::SYS_futex
    }

    /// `recvfrom(fd 9 -> tcp 10.0.0.5:5432)`.
    pub fn text(&self) -> String {
        match (self.descriptor, &self.about) {
            (Some(fd), Some(about)) => format!("{}(fd {fd} -> {about})", self.name),
            (Some(fd), None) => format!("{}(fd {fd})", self.name),
            (None, Some(about)) => format!("{}({about})", self.name),
            (None, None) => self.name.clone(),
        }
    }
}

/// What the first argument of a system call is.
enum First {
    Descriptor,
    Polled,
    Address,
    Child,
    Other,
}

/// The calls that programs block in.
fn known(number: i64) -> Option<(&'static str, First)> {
    use First::{Address, Child, Descriptor, Other, Polled};
    Some(match number {
        libc::SYS_read => ("read", Descriptor),
        libc::SYS_write => ("write", Descriptor),
        libc::SYS_readv => ("readv", Descriptor),
        libc::SYS_writev => ("writev", Descriptor),
        libc::SYS_pread64 => ("pread64", Descriptor),
        libc::SYS_pwrite64 => ("pwrite64", Descriptor),
        libc::SYS_recvfrom => ("recvfrom", Descriptor),
        libc::SYS_recvmsg => ("recvmsg", Descriptor),
        libc::SYS_sendto => ("sendto", Descriptor),
        libc::SYS_sendmsg => ("sendmsg", Descriptor),
        libc::SYS_accept4 => ("accept4", Descriptor),
        libc::SYS_accept => ("accept", Descriptor),
        libc::SYS_connect => ("connect", Address),
        libc::SYS_fsync => ("fsync", Descriptor),
        libc::SYS_fdatasync => ("fdatasync", Descriptor),
        libc::SYS_flock => ("flock", Descriptor),
        libc::SYS_fcntl => ("fcntl", Descriptor),
        libc::SYS_ioctl => ("ioctl", Descriptor),
        libc::SYS_sendfile => ("sendfile", Descriptor),
        libc::SYS_getdents64 => ("getdents64", Descriptor),
        libc::SYS_epoll_pwait => ("epoll_pwait", Descriptor),
        libc::SYS_ppoll => ("ppoll", Polled),
        libc::SYS_pselect6 => ("pselect6", Other),
        libc::SYS_clock_nanosleep => ("clock_nanosleep", Other),
        libc::SYS_nanosleep => ("nanosleep", Other),
        libc::SYS_futex => ("futex", Other),
        libc::SYS_wait4 => ("wait4", Child),
        libc::SYS_waitid => ("waitid", Other),
        libc::SYS_openat => ("openat", Other),
        libc::SYS_unlinkat => ("unlinkat", Other),
        libc::SYS_statx => ("statx", Other),
        libc::SYS_newfstatat => ("newfstatat", Other),
        libc::SYS_execve => ("execve", Other),
        libc::SYS_semop => ("semop", Other),
        libc::SYS_rt_sigtimedwait => ("rt_sigtimedwait", Other),
        libc::SYS_rt_sigsuspend => ("rt_sigsuspend", Other),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => ("poll", Polled),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => ("select", Other),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => ("epoll_wait", Descriptor),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause => ("pause", Other),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => ("open", Other),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_stat => ("stat", Other),
        _ => return None,
    })
}

/// What a descriptor is.
fn descriptor(number: i32) -> Option<String> {
    let link = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    let link = link.to_string_lossy().into_owned();
    if link.starts_with("socket:") {
        return Some(socket::peer_of_number(number).unwrap_or_else(|| "socket".to_owned()));
    }
    Some(if link.starts_with("pipe:") { "pipe".to_owned() } else { link })
}

fn call(text: &str) -> Option<Call> {
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let mut argument = || {
        let text = words.next()?.strip_prefix("0x")?;
        usize::from_str_radix(text, 16).ok()
    };
    let Some((name, first)) = known(number) else {
        return Some(Call {
            number,
            name: format!("system call {number}"),
            descriptor: None,
            about: None,
        });
    };
    let (one, two, three) = (argument()?, argument()?, argument()?);
    let (descriptor_number, about) = match first {
        First::Descriptor => (Some(one as i32), descriptor(one as i32)),
        First::Address => {
            let mut bytes = vec![0; three.min(128)];
            let address = own_memory::read(two, &mut bytes).then(|| socket::address_text(&bytes));
            (Some(one as i32), address.flatten().or_else(|| descriptor(one as i32)))
        }
        First::Polled => {
            let mut bytes = [0; 4];
            let number =
                (two > 0 && own_memory::read(one, &mut bytes)).then(|| i32::from_ne_bytes(bytes));
            (number, number.and_then(descriptor))
        }
        First::Child => {
            let pid = one as i32;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            (None, Some(format!("child {pid} {}", name.trim()).trim().to_owned()))
        }
        First::Other => (None, None),
    };
    Some(Call { number, name: name.to_owned(), descriptor: descriptor_number, about })
}

/// Asks the kernel about a thread of this process.
pub fn ask(thread: u32) -> Kernel {
    let read = |file: &str| {
        fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).unwrap_or_default()
    };
    let stat = read("stat");
    // The name in parentheses may hold anything.
    let state = stat.rfind(") ").and_then(|at| stat[at + 2..].chars().next());
    let switches = read("status")
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok());
    Kernel {
        state: state.unwrap_or('?'),
        call: call(&read("syscall")),
        switches: switches.unwrap_or(0),
    }
}

/// Which of some threads computes most: their processor time now and a moment later.
pub fn busiest(threads: &[u32]) -> Option<u32> {
    let times = || threads.iter().map(|thread| processor_time(*thread)).collect::<Vec<_>>();
    let before = times();
    std::thread::sleep(std::time::Duration::from_millis(4));
    let used = times().into_iter().zip(before).map(|(now, before)| Some(now? - before?));
    let (used, thread) = used.zip(threads).filter_map(|(used, t)| Some((used?, *t))).max()?;
    (used > 100_000).then_some(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_with_its_descriptor() {
        let found = call("0 0x7fffffff 0x0 0x0 0x0 0x0 0x0 0x7ffe 0x7f00");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(found.map(|call| call.text()).as_deref(), Some("read(fd 2147483647)"));
        assert_eq!(call("running"), None);
        assert_eq!(call(""), None);
    }
}
