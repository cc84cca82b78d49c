//! Addresses such as `tcp:127.0.0.1:4000` (or `tls:`), `unix:/tmp/echo` and
//! `udp:127.0.0.1:4000`, and the sockets behind them.
//!
//! Only loopback addresses are accepted: these tools measure servers of the
//! same machine and must not be able to load any other.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// A stream of bytes over the loopback device.
    Tcp(SocketAddr),
    /// A stream of bytes over a socket file.
    Unix(PathBuf),
    /// Datagrams over the loopback device.
    Udp(SocketAddr),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) =
            text.split_once(':').ok_or_else(|| format!("endpoint {text:?} has no kind"))?;
        match kind {
            // The bytes differ, the socket does not.
            "tcp" | "tls" => loopback(rest).map(Self::Tcp),
            "udp" => loopback(rest).map(Self::Udp),
            "unix" => Ok(Self::Unix(rest.into())),
            other => Err(format!("no endpoint kind {other:?}")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{address} is not on this machine"))
    }
}

/// A bound socket: one that accepts, or one that has no connections.
#[derive(Debug)]
pub enum Bound {
    /// `accept` yields connections.
    Stream(Acceptor),
    /// Answers go to the sender of each datagram.
    Datagram(UdpSocket),
}

/// The listening socket of a stream endpoint, non-blocking.
#[derive(Debug)]
pub enum Acceptor {
    /// Accepts with Nagle's algorithm off, as event loops do.
    Tcp(TcpListener),
    /// Accepts on a socket file.
    Unix(UnixListener),
}

impl Endpoint {
    /// Binds, and tells the endpoint a client has to use (port 0 is replaced).
    pub fn bind(&self) -> io::Result<(Bound, Self)> {
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let bound = Self::Tcp(listener.local_addr()?);
                Ok((Bound::Stream(Acceptor::Tcp(listener)), bound))
            }
            Self::Unix(path) => {
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok((Bound::Stream(Acceptor::Unix(listener)), self.clone()))
            }
            Self::Udp(address) => {
                let socket = UdpSocket::bind(address)?;
                socket.set_nonblocking(true)?;
                let bound = Self::Udp(socket.local_addr()?);
                Ok((Bound::Datagram(socket), bound))
            }
        }
    }

    /// Connects; the socket returned does not block.
    pub fn connect(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(stream.into())
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_nonblocking(true)?;
                Ok(stream.into())
            }
            Self::Udp(address) => {
                let socket = UdpSocket::bind((address.ip(), 0))?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(socket.into())
            }
        }
    }
}

impl Acceptor {
    /// The next connection, or `None` when nobody waits.
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Ok(OwnedFd::from(stream))
            }),
            Self::Unix(listener) => listener.accept().and_then(|(stream, _)| {
                stream.set_nonblocking(true)?;
                Ok(OwnedFd::from(stream))
            }),
        };
        match accepted {
            Ok(connection) => Ok(Some(connection)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_back_as_written() {
        for text in ["tcp:127.0.0.1:80", "udp:[::1]:9", "unix:/tmp/echo"] {
            let endpoint: Endpoint = text.parse().expect("a well-formed endpoint");
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn other_machines_are_refused() {
        let error = "tcp:192.0.2.1:80".parse::<Endpoint>().expect_err("not loopback");
        assert!(error.contains("not on this machine"), "{error}");
        assert!("tcp:127.0.0.1".parse::<Endpoint>().is_err());
        assert!("127.0.0.1".parse::<Endpoint>().is_err());
    }
}
