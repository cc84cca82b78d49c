//! Accepting connections.
//!
//! A listening socket stays an object of its `Server`; the engine watches its descriptor and
//! takes the connections. Each gets a context of its own, a copy of the one in which the server
//! was started: what a protocol factory sets there, the other connections do not see.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use rustix::net::SocketAddrAny;
use vivace_sys::Errno;
use vivace_sys::socket::accept;

use super::address;
use super::socket::Socket;
use super::stream::{Origin, make};
use crate::event_loop::Loop;
use crate::event_loop::fds::Watch;
use crate::ffi::{
    Args, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Ref, Result, Slot, Visitor,
    allocate, context, error, names, text,
};
use crate::tls::creation::{self, Side, Waiter};
use crate::tls::protocol::TlsProtocol;
use crate::tls::state::Told;

/// A listening socket that is being served.
pub(crate) struct Listener {
    fd: Cell<i32>,
    /// The `socket.socket`, which its `Server` closes.
    socket: Slot,
    factory: Slot,
    server: Slot,
    context: Slot,
    /// `(sslcontext, handshake_timeout, shutdown_timeout)`, or empty.
    tls: Slot,
    backlog: Cell<usize>,
}

impl Listener {
    /// In one list, so that neither the collector nor `clear` forgets one.
    fn slots(&self) -> [&Slot; 5] {
        [&self.socket, &self.factory, &self.server, &self.context, &self.tls]
    }

    /// Whether other processes accept from the same socket: it takes one connection at a time.
    pub(crate) fn shares(&self) -> bool {
        self.backlog.get() == 1
    }
}

impl Class for Listener {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(0);
        &CELL
    }
    fn empty() -> Self {
        Self {
            fd: Cell::new(-1),
            socket: Slot::empty(),
            factory: Slot::empty(),
            server: Slot::empty(),
            context: Slot::empty(),
            tls: Slot::empty(),
            backlog: Cell::new(1),
        }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.slots().iter().for_each(|slot| visitor.slot(slot));
    }
    fn clear(&self) {
        self.slots().iter().for_each(|slot| slot.clear());
    }
}

/// Connections are waiting: takes up to a backlog of them.
pub(crate) fn run(this: &Instance<Loop>, listener: &Instance<Listener>) -> Result<()> {
    for _ in 0..listener.backlog.get() {
        let fd = listener.fd.get();
        // Closed by a callback of a connection just accepted.
        let Some(borrowed) = crate::ffi::descriptor::borrow(fd) else { return Ok(()) };
        if !this.descriptors.is_owned_by(fd, listener.object()) {
            return Ok(());
        }
        match accept(borrowed) {
            Ok((accepted, peer)) => {
                if listener.shares() {
                    // The others are asked first now, so that all get equally many.
                    this.descriptors.queue_up_again(this, fd);
                }
                connected(this, listener, accepted, peer)?;
            }
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(()),
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                return back_off(this, listener, errno);
            }
            Err(errno) => return failed(this, errno),
        }
    }
    Ok(())
}

fn connected(
    this: &Instance<Loop>,
    listener: &Instance<Listener>,
    accepted: OwnedFd,
    peer: Option<SocketAddrAny>,
) -> Result<()> {
    let Some(factory) = listener.factory.get() else { return Ok(()) };
    let Some(context) = listener.context.get() else { return Ok(()) };
    let socket = Socket::from_fd(accepted);
    if this.debug() {
        log(this, listener, &socket, peer.as_ref())?;
    }
    let mut protocol = None;
    let outcome = context::run_in(&*context::copy(&context)?, || {
        let made = protocol.insert(factory.call(&[])?);
        match listener.tls.get() {
            None => connect(this, listener, socket, peer, made),
            Some(tls) => {
                let tls = with_tls(this, &tls, made)?;
                connect(this, listener, socket, peer, tls.object())
            }
        }
    });
    // A failure costs its own connection, nothing else.
    outcome.or_else(|raised| {
        this.report_failed_accept(&*raised.fetch_for_report()?, protocol.as_deref(), None)
    })
}

/// Debug mode: a line in asyncio's log.
#[cold]
fn log(
    this: &Instance<Loop>,
    listener: &Instance<Listener>,
    socket: &Socket,
    peer: Option<&SocketAddrAny>,
) -> Result<()> {
    let peer = peer.map_or(Ok(None), address::to_python)?.unwrap_or_else(text::none);
    let args = [&*listener.server.get_or_none(), &peer, &*socket.object()?];
    this.object().call_method(&names().log_accepted, &args).map(drop)
}

/// TLS for a connection that was just accepted.
fn with_tls(this: &Instance<Loop>, tls: &Object, protocol: &Object) -> Result<Ref<TlsProtocol>> {
    let [context, handshake_timeout, shutdown_timeout] =
        [0, 1, 2].map(|index| text::tuple_get(tls, index));
    creation::make(
        this,
        creation::Origin {
            protocol,
            context,
            side: Side::Server,
            waiter: Waiter::Server,
            told: Told::Nothing,
            handshake_timeout,
            shutdown_timeout,
        },
    )
}

fn connect(
    this: &Instance<Loop>,
    listener: &Instance<Listener>,
    socket: Socket,
    peer: Option<SocketAddrAny>,
    protocol: &Object,
) -> Result<()> {
    let server = listener.server.get();
    make(this, Origin { socket, protocol, server, extra: None, peer, waiter: None }).map(drop)
}

/// Out of descriptors or memory: accepts nothing for a second, and says so.
#[cold]
fn back_off(this: &Instance<Loop>, listener: &Instance<Listener>, errno: Errno) -> Result<()> {
    let exception = error::os_error(errno.raw_os_error())?;
    this.descriptors.disown(this, listener.fd.get());
    let socket = listener.socket.get_or_none();
    let method = &names().accept_out_of_resources;
    this.object().call_method(method, &[&exception, &socket, listener.object()]).map(drop)
}

#[cold]
fn failed(this: &Instance<Loop>, errno: Errno) -> Result<()> {
    let exception = error::os_error(errno.raw_os_error())?;
    this.report("socket.accept() failed", &[(&names().exception, &exception)])
}

/// `_listen(sock, factory, tls, server, backlog)`.
fn listen(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let names = ["sock", "factory", "tls", "server", "backlog"];
    let [socket, factory, tls, server, backlog] = args.parse("_listen", names, 5, 5)?;
    let listener = Listener::empty();
    let (Some(socket), Some(factory), Some(backlog)) = (socket, factory, backlog) else {
        return Ok(text::none());
    };
    let fd = text::to_i64(&*socket.call_method(&crate::ffi::names().fileno, &[])?)? as i32;
    listener.fd.set(fd);
    listener.socket.set(socket.new_ref());
    listener.factory.set(factory.new_ref());
    if let Some(tls) = tls.filter(|tls| !tls.is_none()) {
        listener.tls.set(tls.new_ref());
    }
    if let Some(server) = server.filter(|server| !server.is_none()) {
        listener.server.set(server.new_ref());
    }
    listener.backlog.set(usize::try_from(text::to_i64(backlog)?).unwrap_or(1).clamp(1, 100));
    listener.context.set(context::copy_current()?);
    let listener = allocate(listener)?;
    this.descriptors.own(this, fd, Watch::Listener(listener))?;
    Ok(text::none())
}

/// `_listen_again(listener)`: after a pause.
fn listen_again(this: &Instance<Loop>, listener: &Object) -> Result<Owned> {
    let Some(listener) = listener.downcast::<Listener>() else { return Ok(text::none()) };
    let socket = listener.socket.get_or_none();
    let fd = text::to_i64(&*socket.call_method(&names().fileno, &[])?)?;
    // Closed during the pause: there is nothing to come back to.
    if fd == i64::from(listener.fd.get()) && !this.descriptors.is_owned(listener.fd.get()) {
        let watch = Watch::Listener(listener.counted());
        this.descriptors.own(this, listener.fd.get(), watch)?;
    }
    Ok(text::none())
}

/// `_unlisten(fd)`: serves the socket no longer.
fn unlisten(this: &Instance<Loop>, fd: &Object) -> Result<Owned> {
    let fd = text::to_i64(fd)? as i32;
    if this.descriptors.is_listener(fd) {
        this.descriptors.disown(this, fd);
    }
    Ok(text::none())
}

pub(super) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder
        .keywords(c"_listen", c"Serves a listening socket.", listen)
        .onearg(c"_listen_again", c"Serves it again after a pause.", listen_again)
        .onearg(c"_unlisten", c"Serves it no longer.", unlisten)
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    ClassBuilder::<Listener>::new(c"vivace.Listener", c"A listening socket being served.")
        .build(None)
}
