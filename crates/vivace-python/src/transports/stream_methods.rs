//! What Python can call on a stream connection, and read of it: the interface of a stream
//! transport, and the private methods and attributes that asyncio's own has.

use std::mem::offset_of;

use vivace_core::stream::flow_control::{DEFAULT_HIGH, Marks};

use super::address;
use super::interface::{StreamTransport, fatal_error_given, with_interface};
use super::socket::Socket;
use super::stream::{Origin, Stream, make};
use super::stream_write::{flush, send_before_abort, tell_protocol, write, write_eof, write_lines};
use crate::event_loop::Loop;
use crate::event_loop::fds::Watch;
use crate::ffi::bytes::Bytes;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Ref, Result, imports, names, raise, text,
};

type This = Instance<Stream>;

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

impl StreamTransport for Stream {
    const CAN_WRITE_EOF: bool = true;
    const WRITE_HIGH: usize = DEFAULT_HIGH;

    #[inline(always)]
    fn write(this: &This, data: &Object) -> Result<()> {
        write(this, data)
    }

    fn write_lines(this: &This, pieces: Vec<Bytes>) -> Result<()> {
        write_lines(this, &pieces)
    }

    fn write_eof(this: &This) -> Result<()> {
        write_eof(this)
    }

    fn close(this: &This) -> Result<()> {
        this.close()
    }

    fn force_close(this: &This, exception: Option<&Object>) -> Result<()> {
        if exception.is_none() {
            send_before_abort(this);
        }
        this.force_close(exception)
    }

    fn is_closing(this: &This) -> bool {
        this.phase.closing.get()
    }

    fn is_reading(this: &This) -> Result<bool> {
        Ok(this.is_reading())
    }

    fn pause_reading(this: &This) -> Result<()> {
        if this.is_reading() {
            this.incoming.paused.set(true);
            this.hold()?;
        }
        Ok(())
    }

    fn resume_reading(this: &This) -> Result<()> {
        if this.phase.closing.get() || !this.incoming.paused.replace(false) {
            return Ok(());
        }
        this.hold()?;
        if this.incoming.readable.get() && this.phase.started.get() {
            let event_loop = this.event_loop()?;
            this.queue(&event_loop);
        }
        Ok(())
    }

    fn protocol(this: &This) -> Owned {
        this.protocol.get_or_none()
    }

    fn set_protocol(this: &This, protocol: &Object) -> Result<()> {
        this.set_protocol(protocol)
    }

    fn event_loop(this: &This) -> Option<Ref<Loop>> {
        this.event_loop.get()
    }

    fn extra_info(this: &This, name: &Object, default: &Object) -> Result<Owned> {
        Ok(extra_info(this, name)?.unwrap_or_else(|| default.new_ref()))
    }

    fn set_write_marks(this: &This, marks: Marks) -> Result<()> {
        this.outgoing.flow.borrow_mut().set_marks(marks);
        let size = Self::write_buffer_size(this)?;
        let tell = this.outgoing.flow.borrow_mut().grown(size);
        tell_protocol(this, tell)
    }

    fn write_marks(this: &This) -> Result<Marks> {
        Ok(this.outgoing.flow.borrow().marks())
    }

    /// What was written and the kernel has not taken: asked for, it is offered first.
    fn write_buffer_size(this: &This) -> Result<usize> {
        if this.outgoing.writable.get() {
            flush(this)?;
        }
        Ok(this.outgoing.queue.borrow().size())
    }

    fn is_writing_paused(this: &This) -> Result<bool> {
        Ok(this.outgoing.flow.borrow().is_paused())
    }
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
fn lend_fd(this: &This) -> Result<()> {
    let event_loop = this.event_loop()?;
    event_loop.descriptors.disown(&event_loop, this.socket.fd());
    Ok(())
}

fn take_fd_back(this: &This) -> Result<()> {
    if let Some(event_loop) = this.event_loop.get().filter(|_| this.socket.is_open()) {
        let watch = Watch::Stream(this.counted());
        event_loop.descriptors.own(&event_loop, this.socket.fd(), watch)?;
        // What became of it meanwhile was reported to somebody else.
        this.incoming.readable.set(true);
        this.outgoing.writable.set(true);
    }
    Ok(())
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

/// Makes the class.
pub(crate) fn make_class() -> Result<Owned> {
    with_interface(ClassBuilder::<Stream>::new(
        c"vivace.StreamTransport",
        c"A stream connection; an asyncio.Transport.",
    ))
    .with_dict(offset_of!(Stream, extras))
    .repr(repr)
    .finalizer()
    .noargs(c"_make_empty_waiter", c"A future done when all is sent.", make_empty_waiter)
    .noargs(c"_reset_empty_waiter", c"Ends _make_empty_waiter().", |this: &This| {
        this.outgoing.empty_waiter.clear();
    })
    .noargs(c"_lend_fd", c"Lets somebody else watch the descriptor.", lend_fd)
    .noargs(c"_take_fd_back", c"Ends _lend_fd().", take_fd_back)
    .keywords(c"_fatal_error", c"Reports an error and closes.", |this: &This, args: &Args<'_>| {
        let (exception, message) = fatal_error_given(args)?;
        this.fatal_error(exception, &message)
    })
    .onearg(c"_call_connection_lost", c"The last callback.", |this: &This, exc: &Object| {
        this.call_connection_lost(exc)
    })
    .property(c"_extra", extra, |this: &This, value: Option<&Object>| {
        drop(this.extra.replace(value.map(Object::new_ref)));
        Ok(())
    })
    .getter(c"_server", |this: &This| this.server.get())
    .getter(c"_sock", |this: &This| this.socket.object())
    .getter(c"_sock_fd", |this: &This| text::integer(i64::from(this.socket.fd())))
    .getter(c"_closing", |this: &This| this.phase.closing.get())
    .getter(c"_conn_lost", |this: &This| this.phase.lost.get() as usize)
    .getter(c"_eof", |this: &This| this.outgoing.eof.get())
    .getter(c"_paused", |this: &This| this.incoming.paused.get())
    .getter(c"_sendfile_compatible", |_this: &This| imports().sendfile_native.clone())
    .getter(c"max_size", |_this: &This| super::READ_SIZE)
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
