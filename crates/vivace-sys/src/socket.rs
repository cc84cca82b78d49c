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
