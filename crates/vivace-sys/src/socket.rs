//! Sockets: what a connection and a listener call.
//!
//! "Would block" is `Errno::AGAIN`; interrupted calls are made again here.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
pub use rustix::net::SocketAddrAny;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, acceptfrom_with, getsockname,
    recv, send, sendmsg, shutdown,
};

/// Pieces that one vectored send takes at most (the kernel's UIO_MAXIOV is 1024).
pub const MAX_PIECES: usize = 64;

/// Takes one waiting connection, non-blocking and not inherited by child programs.
pub fn accept(listener: BorrowedFd<'_>) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    retry_on_intr(|| acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC))
}

/// Receives into memory that need not be initialised; 0 bytes is the end of the stream.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    retry_on_intr(|| {
        let (filled, _rest) = recv(socket, &mut *buffer, RecvFlags::empty())?.0;
        Ok(filled.len())
    })
}

/// Sends what it can of one piece, without SIGPIPE.
pub fn send_one(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    retry_on_intr(|| send(socket, bytes, SendFlags::NOSIGNAL))
}

/// Sends what it can of several pieces in one call, without SIGPIPE.
pub fn send_many(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> Result<usize, Errno> {
    retry_on_intr(|| {
        sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
    })
}

/// Says that no more will be written (half-close).
pub fn shut_write(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    shutdown(socket, Shutdown::Write)
}

/// The address of this end.
pub fn local_address(socket: BorrowedFd<'_>) -> Result<SocketAddrAny, Errno> {
    getsockname(socket)
}

/// The address of the other end.
pub fn peer_address(socket: BorrowedFd<'_>) -> Result<Option<SocketAddrAny>, Errno> {
    rustix::net::getpeername(socket)
}

/// Who is at the other end of a socket known by its number, for reports: `tcp 10.0.0.5:5432`.
/// None if the number is closed, no socket, or not connected.
pub fn peer_of_number(number: i32) -> Option<String> {
    if number < 0 {
        return None;
    }
    // SAFETY: lent for these calls only, which answer EBADF if nobody has it open.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let address = rustix::net::getpeername(socket).ok()??;
    let Ok(address) = std::net::SocketAddr::try_from(address.clone()) else {
        return Some(unix_text(&address));
    };
    let kind = match rustix::net::sockopt::socket_type(socket) {
        Ok(rustix::net::SocketType::DGRAM) => "udp",
        _ => "tcp",
    };
    Some(format!("{kind} {address}"))
}

fn unix_text(address: &SocketAddrAny) -> String {
    let path = rustix::net::SocketAddrUnix::try_from(address.clone()).ok();
    match path.as_ref().and_then(|address| address.path()) {
        Some(path) if !path.is_empty() => format!("unix {}", path.to_string_lossy()),
        _ => "unix socket".to_owned(),
    }
}

/// A socket address in the kernel's form, for reports.
pub fn address_text(bytes: &[u8]) -> Option<String> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    match i32::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(format!("{}:{}", std::net::Ipv4Addr::from(address), port()?))
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(format!("[{}]:{}", std::net::Ipv6Addr::from(address), port()?))
        }
        libc::AF_UNIX => {
            let path = bytes.get(2..)?.split(|byte| *byte == 0).next()?;
            Some(format!("unix {}", String::from_utf8_lossy(path)))
        }
        _ => None,
    }
}

/// Sends small writes at once instead of waiting for more (TCP_NODELAY).
pub fn set_no_delay<Fd: AsFd>(socket: Fd) -> Result<(), Errno> {
    rustix::net::sockopt::set_tcp_nodelay(socket, true)
}

/// Lets closing reset the connection instead of ending it (SO_LINGER of no time).
pub fn set_reset_on_close<Fd: AsFd>(socket: Fd) -> Result<(), Errno> {
    rustix::net::sockopt::set_socket_linger(socket, Some(std::time::Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("socketpair")
    }

    #[test]
    fn pieces_arrive_in_order_and_the_end_is_zero() {
        let (a, b) = pair();
        let pieces = [IoSlice::new(b"head "), IoSlice::new(b"body")];
        assert_eq!(send_many(a.as_fd(), &pieces), Ok(9));
        let mut buffer = [MaybeUninit::uninit(); 16];
        assert_eq!(receive(b.as_fd(), &mut buffer), Ok(9));
        assert_eq!(receive(b.as_fd(), &mut buffer), Err(Errno::AGAIN));
        shut_write(a.as_fd()).expect("connected");
        assert_eq!(receive(b.as_fd(), &mut buffer), Ok(0));
        drop(b);
        assert_eq!(send_one(a.as_fd(), b"x"), Err(Errno::PIPE));
    }
}
