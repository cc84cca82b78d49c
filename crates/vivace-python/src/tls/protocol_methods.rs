//! What Python can call on a `vivace.SSLProtocol` and read of it, and the method of the loop
//! that makes one.
//!
//! The callbacks of an `asyncio.BufferedProtocol` are for lower transports that are not ours,
//! and for what happens seldom on those that are. The private attributes are those of asyncio's
//! own `SSLProtocol`, for libraries that look at them.

use std::mem::offset_of;

use super::engine::Engine;
use super::memory_bio::MemoryBio;
use super::protocol::TlsProtocol;
use super::state::Told;
use super::transport::Transport;
use crate::event_loop::Loop;
use crate::ffi::bytes::{Bytes, WritableBuffer, initialised, new_buffer};
use crate::ffi::tls_imports::tls_imports;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, Slot, allocate, imports, names,
    raise, text,
};
use crate::transports::interface::fatal_error_given;

type This = Instance<TlsProtocol>;

/// What a transport that is not ours reads at once, at most.
const FOREIGN_BUFFER: usize = 64 * 1024;

/// asyncio's `SSL_HANDSHAKE_TIMEOUT` and `SSL_SHUTDOWN_TIMEOUT`, in seconds.
const HANDSHAKE_TIMEOUT: f64 = 60.0;
const SHUTDOWN_TIMEOUT: f64 = 30.0;

fn given(value: &Object) -> Option<&Object> {
    (!value.is_none()).then_some(value)
}

fn get_buffer(this: &This, _hint: &Object) -> Result<Owned> {
    if let Some(buffer) = this.buffer.get() {
        return Ok(buffer);
    }
    let buffer = new_buffer(FOREIGN_BUFFER)?;
    this.buffer.set(buffer.clone());
    Ok(buffer)
}

fn buffer_updated(this: &This, count: &Object) -> Result<()> {
    let count = text::to_i64(count)?;
    if let Some(owner) = this.buffer.get() {
        let mut buffer = WritableBuffer::of(&owner)?;
        if count < 0 || count as usize > buffer.len() {
            return Err(raise(Builtin::Value, "more bytes than the buffer holds"));
        }
        this.received(initialised(&buffer.memory()[..count as usize]))?;
    }
    this.advance()
}

fn data_received(this: &This, data: &Object) -> Result<()> {
    let data = Bytes::from_data(data)?;
    this.received(data.as_slice())?;
    this.advance()
}

fn extra_info(this: &This, args: &Args<'_>) -> Result<Owned> {
    let [name, default] = args.parse("_get_extra_info", ["name", "default"], 1, 2)?;
    let none = text::none_ref();
    this.extra_info(name.unwrap_or(none), default.unwrap_or(none))
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    let builder = ClassBuilder::<TlsProtocol>::new(
        c"vivace.SSLProtocol",
        c"TLS over a transport; an asyncio.BufferedProtocol.",
    );
    with_attributes(with_callbacks(builder))
        .with_dict(offset_of!(TlsProtocol, extras))
        .noargs(c"_check_handshake_timeout", c"A timer's callback.", |this: &This| {
            this.check_handshake_timeout()
        })
        .noargs(c"_check_shutdown_timeout", c"A timer's callback.", |this: &This| {
            this.check_shutdown_timeout()
        })
        .noargs(c"_advance", c"Goes on after a pause.", |this: &This| this.advance_resumed())
        .onearg(c"_abort", c"Ends the connection at once.", |this: &This, exc: &Object| {
            this.abort(given(exc))
        })
        .keywords(
            c"_fatal_error",
            c"Reports an error and closes.",
            |this: &This, args: &Args<'_>| {
                let (exception, message) = fatal_error_given(args)?;
                this.fatal_error(exception, &message)
            },
        )
        .keywords(c"_get_extra_info", c"What is known of the connection.", extra_info)
        .build(Some(&imports().buffered_protocol_class))
}

fn with_callbacks(builder: ClassBuilder<TlsProtocol>) -> ClassBuilder<TlsProtocol> {
    builder
        .onearg(c"connection_made", c"Begins the handshake.", |this: &This, lower: &Object| {
            this.connection_made(lower)
        })
        .onearg(c"connection_lost", c"Ends everything.", |this: &This, exc: &Object| {
            this.connection_lost(given(exc))
        })
        .onearg(c"get_buffer", c"Memory for ciphertext.", get_buffer)
        .onearg(c"buffer_updated", c"Ciphertext has come.", buffer_updated)
        .onearg(c"data_received", c"Ciphertext has come.", data_received)
        .noargs(c"eof_received", c"The peer has ended.", |this: &This| {
            this.lower_eof().map(|stay_open| stay_open.then_some(true))
        })
        .noargs(c"pause_writing", c"Keeps ciphertext back.", |this: &This| {
            this.lower_pause_writing();
        })
        .noargs(c"resume_writing", c"Sends ciphertext again.", |this: &This| {
            this.lower_resume_writing()
        })
}

fn with_attributes(builder: ClassBuilder<TlsProtocol>) -> ClassBuilder<TlsProtocol> {
    builder
        .getter(c"_app_transport", |this: &This| this.app_transport.get())
        .getter(c"_loop", |this: &This| this.event_loop.get())
        .getter(c"_app_protocol", |this: &This| this.app_protocol.get())
        .getter(c"_protocol", |this: &This| this.app_protocol.get())
        .getter(c"_transport", |this: &This| this.lower.get())
        .getter(c"_extra", |this: &This| this.extra.get())
        .getter(c"_waiter", |this: &This| this.waits.waiter.get())
        .getter(c"_sslcontext", |this: &This| this.request.context.get())
        .getter(c"_sslobj", |this: &This| this.engine.ssl_object())
        .getter(c"_incoming", |this: &This| this.engine.incoming())
        .getter(c"_outgoing", |this: &This| this.engine.outgoing())
        .getter(c"_server_side", |this: &This| this.request.server_side.get())
        .getter(c"_server_hostname", |this: &This| this.request.server_hostname.get())
        .getter(c"_ssl_handshake_timeout", |this: &This| this.request.handshake_timeout.get())
        .getter(c"_ssl_shutdown_timeout", |this: &This| this.request.shutdown_timeout.get())
}

/// A time limit as it was given, or the default.
fn timeout(value: &Object, name: &str, default: f64) -> Result<Owned> {
    let Some(value) = given(value) else { return text::float(default) };
    if text::to_f64(value)? > 0.0 {
        return Ok(value.new_ref());
    }
    let text = text::to_string_lossy(&*text::str_of(value)?);
    Err(raise(Builtin::Value, &format!("{name} should be a positive number, got {text}")))
}

/// `_make_tls(protocol, sslcontext, waiter, server_side, server_hostname,
/// call_connection_made, ssl_handshake_timeout, ssl_shutdown_timeout)`: a protocol for the
/// lower transport; its `_app_transport` is for the program.
fn make_tls(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let &[protocol, context, waiter, server_side, hostname, made, handshake, shutdown] =
        args.positional()
    else {
        return Err(raise(Builtin::Type, "_make_tls() takes 8 arguments"));
    };
    let handshake = timeout(handshake, "ssl_handshake_timeout", HANDSHAKE_TIMEOUT)?;
    let shutdown = timeout(shutdown, "ssl_shutdown_timeout", SHUTDOWN_TIMEOUT)?;
    let context = if context.is_true()? {
        context.new_ref()
    } else {
        tls_imports()?.default_context.call(&[server_side, hostname])?
    };
    let server_side = server_side.is_true()?;
    let named = hostname.is_true()? && !server_side;
    let hostname = if named { hostname.new_ref() } else { text::none() };
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
    if let Some(waiter) = given(waiter) {
        body.waits.waiter.set(waiter.new_ref());
    }
    if !made.is_true()? {
        body.told.set(Told::Made);
    }
    let tls = allocate(body)?;
    tls.set_app_protocol(protocol)?;
    tls.app_transport.set(allocate(Transport::of(&tls))?);
    Ok(tls.into_owned())
}

pub(super) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder.keywords(c"_make_tls", c"TLS for a transport.", make_tls)
}
