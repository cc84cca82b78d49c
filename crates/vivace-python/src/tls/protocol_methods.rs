//! What Python can call on a `vivace.SSLProtocol` and read of it.
//!
//! The callbacks of an `asyncio.BufferedProtocol` are for lower transports that are not ours,
//! and for what happens seldom on those that are. The private attributes are those of asyncio's
//! own `SSLProtocol`, for libraries that look at them.

use std::mem::offset_of;

use super::engine::Engine;
use super::protocol::TlsProtocol;
use crate::ffi::bytes::{Bytes, new_buffer};
use crate::ffi::memory::Memory;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, imports, raise, text,
};
use crate::transports::interface::fatal_error_given;

type This = Instance<TlsProtocol>;

/// What a transport that is not ours reads at once, at most.
const FOREIGN_BUFFER: usize = 64 * 1024;

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
        let mut buffer = Memory::lent_by(&owner)?;
        if count < 0 || count as usize > buffer.len() {
            return Err(raise(Builtin::Value, "more bytes than the buffer holds"));
        }
        this.received(&mut buffer, count as usize)?;
    }
    this.advance()
}

fn data_received(this: &This, data: &Object) -> Result<()> {
    this.received_bytes(&Bytes::from_data(data)?)?;
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
