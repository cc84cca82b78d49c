//! The bytes of one connection, plain or within TLS, without blocking.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags, recv, send};

#[cfg(feature = "tls")]
pub use tls::Security;

/// Built without TLS: no connection can be made secure.
#[cfg(not(feature = "tls"))]
#[derive(Debug)]
pub enum Security {}

#[cfg(not(feature = "tls"))]
impl Security {
    /// Refuses, since this was built without the feature `tls`.
    pub fn trusting(_certificate: &std::path::Path) -> io::Result<Self> {
        Err(io::Error::other("built without the feature tls"))
    }
}

/// A connected socket.
#[derive(Debug)]
pub enum Channel {
    /// What is sent is what the socket carries.
    Plain(OwnedFd),
    /// A TLS client whose handshake is over.
    #[cfg(feature = "tls")]
    Tls(Box<tls::Client>),
}

impl Channel {
    /// Wraps a connected socket; with `security`, does the TLS handshake first.
    pub fn open(socket: OwnedFd, security: Option<&Security>) -> io::Result<Self> {
        match security {
            None => Ok(Self::Plain(socket)),
            #[cfg(feature = "tls")]
            Some(security) => Ok(Self::Tls(Box::new(tls::Client::handshake(socket, security)?))),
            #[cfg(not(feature = "tls"))]
            Some(security) => match *security {},
        }
    }

    /// Takes some of the bytes for sending, or none (`WouldBlock`). Called with
    /// no bytes, it goes on with what was taken before.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(_) if bytes.is_empty() => Ok(0),
            Self::Plain(socket) => Ok(send(socket, bytes, SendFlags::NOSIGNAL)?),
            #[cfg(feature = "tls")]
            Self::Tls(client) => client.send(bytes),
        }
    }

    /// Receives some bytes; 0 is the end of the stream.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => Ok(recv(socket, buffer, RecvFlags::empty())?.0),
            #[cfg(feature = "tls")]
            Self::Tls(client) => client.receive(buffer),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(socket) => socket.as_fd(),
            #[cfg(feature = "tls")]
            Self::Tls(client) => client.as_fd(),
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    //! A TLS 1.3 client that trusts one certificate.

    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::path::Path;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    /// What every connection is secured with.
    #[derive(Debug)]
    pub struct Security(Arc<ClientConfig>);

    impl Security {
        /// Trusts the certificate in this PEM file, and no other.
        pub fn trusting(certificate: &Path) -> io::Result<Self> {
            let certificate =
                CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
            let mut roots = RootCertStore::empty();
            roots.add(certificate).map_err(io::Error::other)?;
            let config =
                ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
            Ok(Self(Arc::new(config)))
        }
    }

    #[derive(Debug)]
    pub struct Client {
        socket: TcpStream,
        session: ClientConnection,
    }

    impl Client {
        pub(super) fn handshake(socket: OwnedFd, security: &Security) -> io::Result<Self> {
            let mut socket = TcpStream::from(socket);
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            let mut session =
                ClientConnection::new(Arc::clone(&security.0), name).map_err(io::Error::other)?;
            // A message is taken as a whole, however large.
            session.set_buffer_limit(None);
            socket.set_nonblocking(false)?;
            while session.is_handshaking() {
                session.complete_io(&mut socket)?;
            }
            socket.set_nonblocking(true)?;
            Ok(Self { socket, session })
        }

        pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.session.writer().write(bytes)?;
            while self.session.wants_write() {
                match self.session.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(taken)
        }

        pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            loop {
                match self.session.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
                if self.session.read_tls(&mut self.socket)? == 0 {
                    return Ok(0);
                }
                self.session.process_new_packets().map_err(io::Error::other)?;
            }
        }
    }

    impl AsFd for Client {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.socket.as_fd()
        }
    }
}
