//! Making a TLS connection: for `start_tls` and the connections that the Python half of the loop
//! makes, and for those that a server accepts.

use super::engine::Engine;
use super::memory_bio::MemoryBio;
use super::protocol::TlsProtocol;
use super::state::Told;
use super::transport::Transport;
use crate::event_loop::Loop;
use crate::ffi::tls_imports::tls_imports;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Ref, Result, Slot, allocate, names,
    raise, text,
};

/// asyncio's `SSL_HANDSHAKE_TIMEOUT` and `SSL_SHUTDOWN_TIMEOUT`, in seconds.
const HANDSHAKE_TIMEOUT: f64 = 60.0;
const SHUTDOWN_TIMEOUT: f64 = 30.0;

/// What a TLS connection is made of; what need not be given may be `None`.
pub(crate) struct Origin<'a> {
    pub(crate) protocol: &'a Object,
    /// An `ssl.SSLContext`.
    pub(crate) context: &'a Object,
    pub(crate) side: Side<'a>,
    pub(crate) waiter: Waiter<'a>,
    /// Whether the protocol has had its `connection_made`.
    pub(crate) told: Told,
    pub(crate) handshake_timeout: &'a Object,
    pub(crate) shutdown_timeout: &'a Object,
}

#[derive(Clone, Copy)]
pub(crate) enum Side<'a> {
    Server,
    Client { hostname: &'a Object },
}

/// Who is told of the end of the handshake.
#[derive(Clone, Copy)]
pub(crate) enum Waiter<'a> {
    /// A future, or `None`.
    Future(&'a Object),
    /// Nobody: a server has accepted the connection. A failure is reported.
    Server,
}

/// A time limit as it was given, or the default.
fn timeout(value: &Object, name: &str, default: f64) -> Result<Owned> {
    if value.is_none() {
        return text::float(default);
    }
    if text::to_f64(value)? > 0.0 {
        return Ok(value.new_ref());
    }
    let text = text::to_string_lossy(&*text::str_of(value)?);
    Err(raise(Builtin::Value, &format!("{name} should be a positive number, got {text}")))
}

/// A protocol for the lower transport; its `_app_transport` is for the program.
pub(crate) fn make(this: &Instance<Loop>, origin: Origin<'_>) -> Result<Ref<TlsProtocol>> {
    let handshake = timeout(origin.handshake_timeout, "ssl_handshake_timeout", HANDSHAKE_TIMEOUT)?;
    let shutdown = timeout(origin.shutdown_timeout, "ssl_shutdown_timeout", SHUTDOWN_TIMEOUT)?;
    let (server_side, hostname) = match origin.side {
        Side::Server => (true, text::none()),
        Side::Client { hostname } if hostname.is_true()? => (false, hostname.new_ref()),
        Side::Client { .. } => (false, text::none()),
    };
    let context = if origin.context.is_true()? {
        origin.context.new_ref()
    } else {
        tls_imports()?.default_context.call(&[&*text::boolean(server_side), &hostname])?
    };
    let mut body = TlsProtocol::with_engine(MemoryBio::new(&context, server_side, &hostname)?);
    let extra = text::dict()?;
    text::dict_set(&extra, &names().tls_context, &context)?;
    body.event_loop = Slot::new(this.counted());
    body.extra = Slot::new(extra);
    body.request.context = Slot::new(context);
    body.request.server_side.set(server_side);
    body.request.server_hostname = Slot::new(hostname);
    body.request.handshake_timeout = Slot::new(handshake);
    body.request.shutdown_timeout = Slot::new(shutdown);
    match origin.waiter {
        Waiter::Future(future) if future.is_none() => {}
        Waiter::Future(future) => body.waits.waiter.set(future.new_ref()),
        Waiter::Server => body.waits.accepted.set(true),
    }
    body.told.set(origin.told);
    let tls = allocate(body)?;
    tls.set_app_protocol(origin.protocol)?;
    tls.app_transport.set(allocate(Transport::of(&tls))?);
    Ok(tls)
}

/// `_make_tls(protocol, sslcontext, waiter, server_side, server_hostname,
/// call_connection_made, ssl_handshake_timeout, ssl_shutdown_timeout)`.
fn make_tls(this: &Instance<Loop>, args: &Args<'_>) -> Result<Ref<TlsProtocol>> {
    let &[protocol, context, waiter, server_side, hostname, made, handshake, shutdown] =
        args.positional()
    else {
        return Err(raise(Builtin::Type, "_make_tls() takes 8 arguments"));
    };
    let origin = Origin {
        protocol,
        context,
        side: if server_side.is_true()? { Side::Server } else { Side::Client { hostname } },
        waiter: Waiter::Future(waiter),
        told: if made.is_true()? { Told::Nothing } else { Told::Made },
        handshake_timeout: handshake,
        shutdown_timeout: shutdown,
    };
    make(this, origin)
}

pub(super) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder.keywords(c"_make_tls", c"TLS for a transport.", make_tls)
}
