//! What Python can call on a stream connection, and read of it.

use std::mem::offset_of;

use super::address;
use super::socket::Socket;
use super::stream::{Origin, Stream, make};
use super::stream_write::{flush, tell_protocol, write, write_eof, write_lines};
use crate::event_loop::Loop;
use crate::event_loop::fds::Watch;
use crate::ffi::bytes::Bytes;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Result, imports, names, raise, text,
};

type This = Instance<Stream>;

fn none(outcome: Result<()>) -> Result<Owned> {
    outcome.map(|()| text::none())
}

/// `sockname`, `peername`, `socket`, or what was given when the connection was made.
fn extra_info(this: &This, name: &Object) -> Result<Option<Owned>> {
    if let Some(extra) = this.extra.get() {
        if let Some(value) = text::dict_get(&extra, name)? {
            return Ok(Some(value));
        }
    }
    let address = |address: &std::cell::RefCell<Option<rustix::net::SocketAddrAny>>| {
        let address = address.borrow().clone();
        address.as_ref().map_or(Ok(None), address::to_python)
    };
    if name.equals(&names().sockname)? {
        return address(&this.local);
    }
    if name.equals(&names().peername)? {
        return address(&this.peer);
    }
    if name.equals(&names().socket)? {
        let facade = this.socket.facade()?;
        return Ok((!facade.is_none()).then_some(facade));
    }
    Ok(None)
}

fn get_extra_info(this: &This, args: &Args<'_>) -> Result<Owned> {
    let [name, default] = args.parse("get_extra_info", ["name", "default"], 1, 2)?;
    let Some(name) = name else { return Ok(text::none()) };
    Ok(match extra_info(this, name)? {
        Some(value) => value,
        None => default.map_or_else(text::none, Object::new_ref),
    })
}

/// Everything that `get_extra_info` knows, as the dictionary that asyncio's transports have.
fn extra(this: &This) -> Result<Owned> {
    if !this.extra.is_some() {
        this.extra.set(text::dict()?);
    }
    let extra = this.extra.get_or_none();
    for name in [&names().sockname, &names().peername, &names().socket] {
        if text::dict_get(&extra, name)?.is_none() {
            if let Some(value) = extra_info(this, name)? {
                text::dict_set(&extra, name, &value)?;
            }
        }
    }
    Ok(extra)
}

fn writelines(this: &This, pieces: &Object) -> Result<Owned> {
    let mut collected = Vec::new();
    for piece in text::iterate(pieces)? {
        collected.push(Bytes::from_data(&piece)?);
    }
    none(write_lines(this, &collected))
}

fn pause_reading(this: &This) -> Result<Owned> {
    if this.is_reading() {
        this.incoming.paused.set(true);
        this.hold()?;
    }
    Ok(text::none())
}

fn resume_reading(this: &This) -> Result<Owned> {
    if this.phase.closing.get() || !this.incoming.paused.replace(false) {
        return Ok(text::none());
    }
    this.hold()?;
    if this.incoming.readable.get() && this.phase.started.get() {
        let event_loop = this.event_loop()?;
        this.queue(&event_loop);
    }
    Ok(text::none())
}

fn set_write_buffer_limits(this: &This, args: &Args<'_>) -> Result<Owned> {
    let [high, low] = args.parse("set_write_buffer_limits", ["high", "low"], 0, 2)?;
    let number = |value: Option<&Object>| match value.filter(|value| !value.is_none()) {
        Some(value) => text::to_i64(value).map(Some),
        None => Ok(None),
    };
    let (high, low) = (number(high)?, number(low)?);
    let outcome = this.outgoing.flow.borrow_mut().set_limits(high, low);
    if let Err(bad) = outcome {
        return Err(raise(
            Builtin::Value,
            &format!("high ({}) must be >= low ({}) must be >= 0", bad.high, bad.low),
        ));
    }
    let size = this.outgoing.queue.borrow().size();
    let tell = this.outgoing.flow.borrow_mut().grown(size);
    none(tell_protocol(this, tell))
}

fn get_write_buffer_limits(this: &This) -> Result<Owned> {
    let (low, high) = this.outgoing.flow.borrow().limits();
    text::tuple(&[&*text::integer(low as i64)?, &*text::integer(high as i64)?])
}

/// What was written and the kernel has not taken: asked for, it is offered first.
fn get_write_buffer_size(this: &This) -> Result<Owned> {
    if this.outgoing.writable.get() {
        flush(this)?;
    }
    text::integer(this.outgoing.queue.borrow().size() as i64)
}

fn make_empty_waiter(this: &This) -> Result<Owned> {
    if this.outgoing.empty_waiter.is_some() {
        return Err(raise(Builtin::Runtime, "Empty waiter is already set"));
    }
    let event_loop = this.event_loop()?;
    let waiter = event_loop.object().call_method(&names().create_future, &[])?;
    flush(this)?;
    if this.outgoing.queue.borrow().is_empty() {
        waiter.call_method(&names().set_result, &[text::none_ref()])?;
    }
    this.outgoing.empty_waiter.set(waiter.clone());
    Ok(waiter)
}

/// `_lend_fd()`: the loop may watch the descriptor for somebody else (`sendfile`).
fn lend_fd(this: &This) -> Result<Owned> {
    let event_loop = this.event_loop()?;
    event_loop.descriptors.disown(&event_loop, this.socket.fd());
    Ok(text::none())
}

fn take_fd_back(this: &This) -> Result<Owned> {
    if let Some(event_loop) = this.event_loop.get().filter(|_| this.socket.is_open()) {
        let watch = Watch::Stream(this.counted());
        event_loop.descriptors.own(&event_loop, this.socket.fd(), watch)?;
        // What became of it meanwhile was reported to somebody else.
        this.incoming.readable.set(true);
        this.outgoing.writable.set(true);
    }
    Ok(text::none())
}

fn repr(this: &This) -> Result<Owned> {
    let mut info = vec!["StreamTransport".to_owned()];
    if !this.socket.is_open() {
        info.push("closed".to_owned());
    } else if this.phase.closing.get() {
        info.push("closing".to_owned());
    }
    info.push(format!("fd={}", this.socket.fd()));
    if this.socket.is_open() && this.event_loop.is_some() {
        let reading = this.is_reading() && this.phase.started.get() && !this.incoming.eof.get();
        info.push(format!("read={}", if reading { "polling" } else { "idle" }));
        let size = this.outgoing.queue.borrow().size();
        let state = if size > 0 { "polling" } else { "idle" };
        info.push(format!("write=<{state}, bufsize={size}>"));
    }
    text::string(&format!("<{}>", info.join(" ")))
}

fn fatal_error(this: &This, args: &Args<'_>) -> Result<Owned> {
    let [exception, message] = args.parse("_fatal_error", ["exc", "message"], 1, 2)?;
    let Some(exception) = exception else { return Ok(text::none()) };
    let message =
        message.map_or_else(|| "Fatal error on transport".to_owned(), text::to_string_lossy);
    none(this.fatal_error(exception, &message))
}

fn force_close(this: &This, exception: &Object) -> Result<Owned> {
    none(this.force_close((!exception.is_none()).then_some(exception)))
}

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    ClassBuilder::<Stream>::new(
        c"vivace.StreamTransport",
        c"A stream connection; an asyncio.Transport.",
    )
    .with_dict(offset_of!(Stream, extras))
    .repr(repr)
    .finalizer()
    .keywords(
        c"write",
        c"write($self, /, data)\n--\n\nQueues bytes; they leave at the end of the turn.",
        |this: &This, args: &Args<'_>| match args.only("write", "data")? {
            Some(data) => none(write(this, data)),
            None => Ok(text::none()),
        },
    )
    .keywords(
        c"writelines",
        c"writelines($self, /, list_of_data)\n--\n\nQueues several pieces.",
        |this: &This, args: &Args<'_>| match args.only("writelines", "list_of_data")? {
            Some(pieces) => writelines(this, pieces),
            None => Ok(text::none()),
        },
    )
    .noargs(c"write_eof", c"Half-closes once everything is sent.", |this: &This| {
        none(write_eof(this))
    })
    .noargs(c"can_write_eof", c"True: sockets can be half-closed.", |_this: &This| {
        Ok(text::boolean(true))
    })
    .noargs(c"close", c"Closes once everything is sent.", |this: &This| none(this.close()))
    .noargs(c"abort", c"Closes at once; unsent data is dropped.", |this: &This| {
        none(this.force_close(None))
    })
    .noargs(c"is_closing", c"Whether it is closing or closed.", |this: &This| {
        Ok(text::boolean(this.phase.closing.get()))
    })
    .noargs(c"is_reading", c"Whether incoming data is delivered.", |this: &This| {
        Ok(text::boolean(this.is_reading()))
    })
    .noargs(c"pause_reading", c"Delivers nothing until resume_reading().", pause_reading)
    .noargs(c"resume_reading", c"Delivers incoming data again.", resume_reading)
    .keywords(
        c"set_protocol",
        c"set_protocol($self, /, protocol)\n--\n\nChanges the protocol.",
        |this: &This, args: &Args<'_>| match args.only("set_protocol", "protocol")? {
            Some(protocol) => none(this.set_protocol(protocol)),
            None => Ok(text::none()),
        },
    )
    .noargs(c"get_protocol", c"The protocol.", |this: &This| Ok(this.protocol.get_or_none()))
    .keywords(
        c"get_extra_info",
        c"get_extra_info($self, /, name, default=None)\n--\n\nWhat is known of the connection.",
        get_extra_info,
    )
    .keywords(
        c"set_write_buffer_limits",
        c"set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n\
          When to pause and to resume the protocol, in bytes.",
        set_write_buffer_limits,
    )
    .noargs(c"get_write_buffer_limits", c"(low, high), in bytes.", get_write_buffer_limits)
    .noargs(c"get_write_buffer_size", c"Bytes that wait to be sent.", get_write_buffer_size)
    .noargs(c"_make_empty_waiter", c"A future done when all is sent.", make_empty_waiter)
    .noargs(c"_reset_empty_waiter", c"Ends _make_empty_waiter().", |this: &This| {
        this.outgoing.empty_waiter.clear();
        Ok(text::none())
    })
    .noargs(c"_lend_fd", c"Lets somebody else watch the descriptor.", lend_fd)
    .noargs(c"_take_fd_back", c"Ends _lend_fd().", take_fd_back)
    .keywords(c"_fatal_error", c"Reports an error and closes.", fatal_error)
    .onearg(c"_force_close", c"Closes at once because of an error.", force_close)
    .onearg(c"_call_connection_lost", c"The last callback.", |this: &This, exc: &Object| {
        this.call_connection_lost(exc)
    })
    .property(c"_extra", extra, |this: &This, value: Option<&Object>| {
        drop(this.extra.replace(value.map(Object::new_ref)));
        Ok(())
    })
    .getter(c"_loop", |this: &This| {
        Ok(this.event_loop.get().map_or_else(text::none, |event_loop| event_loop.into_owned()))
    })
    .getter(c"_protocol", |this: &This| Ok(this.protocol.get_or_none()))
    .getter(c"_server", |this: &This| Ok(this.server.get_or_none()))
    .getter(c"_sock", |this: &This| this.socket.object())
    .getter(c"_sock_fd", |this: &This| text::integer(i64::from(this.socket.fd())))
    .getter(c"_closing", |this: &This| Ok(text::boolean(this.phase.closing.get())))
    .getter(c"_conn_lost", |this: &This| text::integer(i64::from(this.phase.lost.get())))
    .getter(c"_eof", |this: &This| Ok(text::boolean(this.outgoing.eof.get())))
    .getter(c"_paused", |this: &This| Ok(text::boolean(this.incoming.paused.get())))
    .getter(c"_protocol_paused", |this: &This| {
        Ok(text::boolean(this.outgoing.flow.borrow().is_paused()))
    })
    .getter(c"_start_tls_compatible", |_this: &This| Ok(text::boolean(true)))
    .getter(c"_sendfile_compatible", |_this: &This| Ok(imports().sendfile_native.clone()))
    .getter(c"max_size", |_this: &This| text::integer(super::READ_SIZE as i64))
    .build(Some(&imports().transport_class))
}

/// `_make_stream(sock, protocol, waiter, extra, server)`: takes the socket over.
fn make_stream(this: &Instance<Loop>, args: &Args<'_>) -> Result<Owned> {
    let names = ["sock", "protocol", "waiter", "extra", "server"];
    let [socket, protocol, waiter, extra, server] = args.parse("_make_stream", names, 2, 5)?;
    let (Some(socket), Some(protocol)) = (socket, protocol) else { return Ok(text::none()) };
    let given =
        |value: Option<&Object>| value.filter(|value| !value.is_none()).map(Object::new_ref);
    let waiter = given(waiter);
    let origin = Origin {
        socket: Socket::from_object(socket)?,
        protocol,
        server: given(server),
        extra: given(extra),
        peer: None,
        waiter: waiter.as_deref(),
    };
    Ok(make(this, origin)?.into_owned())
}

pub(super) fn with_loop_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder.keywords(c"_make_stream", c"A StreamTransport over a connected socket.", make_stream)
}
