//! Reading this process's own memory at addresses that may be gone meanwhile.
//!
//! The kernel copies, so that an address that is not mapped is an answer and no fault. What is
//! read may be changed by other threads at the same time: whoever reads has to check.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Fills `into` from an address; whether all of it could be read.
pub fn read(address: usize, into: &mut [u8]) -> bool {
    if address == 0 || into.is_empty() {
        return false;
    }
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
    let pid = std::process::id() as libc::pid_t;
    // SAFETY: the kernel writes at most `into.len()` bytes into `into`; the other address is only
    // a number, which the kernel checks.
    let copied =
        unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if copied == into.len() as isize {
        return true;
    }
    let refused = std::io::Error::last_os_error().raw_os_error();
    if copied < 0 && matches!(refused, Some(libc::ENOSYS | libc::EPERM)) {
        return read_by_file(address, into);
    }
    false
}

/// Where the call is not there or is forbidden (old filters of system calls): a file.
fn read_by_file(address: usize, into: &mut [u8]) -> bool {
    File::open("/proc/self/mem").is_ok_and(|file| file.read_exact_at(into, address as u64).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_read_and_what_is_not_is_refused() {
        let number = 0x1122_3344_5566_7788_u64;
        let address = std::ptr::from_ref(&number) as usize;
        for reader in [read, read_by_file] {
            let mut bytes = [0; 8];
            assert!(reader(address, &mut bytes));
            assert_eq!(u64::from_ne_bytes(bytes), number);
            assert!(!reader(8, &mut bytes));
        }
        assert!(!read(0, &mut [0; 8]));
    }
}
