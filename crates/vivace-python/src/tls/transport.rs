//! `vivace.SSLTransport`: what the program's protocol is given for a TLS connection.
//!
//! It has the surface of asyncio's own TLS transport, the private attributes that libraries
//! look at included. (They tell a TLS transport by "ssl" in the name of its class.)
//!
//! A program that calls `close()` when the connection is closing already is done with it: then
//! nothing of TLS is kept once the connection is lost, however long the program keeps this.

use std::cell::Cell;
use std::mem::offset_of;

use super::engine::Engine;
use super::protocol::{READ_HIGH, TlsProtocol, WRITE_HIGH};
use crate::ffi::bytes::{Bytes, is_bytes_like};
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Extras, Instance, Object, Owned, Ref, Result,
    Slot, Visitor, error, imports, raise, text,
};

/// See the module.
pub(crate) struct Transport {
    extras: Extras,
    protocol: Slot<Ref<TlsProtocol>>,
    closed: Cell<bool>,
    /// Closed once more: see the module.
    done_with: Cell<bool>,
}

impl Transport {
    pub(super) fn of(protocol: &Instance<TlsProtocol>) -> Self {
        Self {
            extras: Extras::default(),
            protocol: Slot::new(protocol.counted()),
            closed: Cell::new(false),
            done_with: Cell::new(false),
        }
    }

    pub(super) fn set_closed(&self) {
        self.closed.set(true);
    }

    /// The connection is lost.
    pub(super) fn set_lost(&self) {
        self.closed.set(true);
        if self.done_with.get() {
            self.protocol.clear();
        }
    }

    fn protocol(&self) -> Result<Ref<TlsProtocol>> {
        self.protocol.get().ok_or_else(|| raise(Builtin::Runtime, "the transport is gone"))
    }
}

impl Class for Transport {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(16);
        &CELL
    }
    fn empty() -> Self {
        Self {
            extras: Extras::default(),
            protocol: Slot::empty(),
            closed: Cell::new(true),
            done_with: Cell::new(true),
        }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.extras.traverse(visitor);
        visitor.slot(&self.protocol);
    }
    fn clear(&self) {
        self.extras.clear();
        self.protocol.clear();
    }
    fn wants_finalize(this: &Instance<Self>) -> bool {
        !this.closed.get()
    }
    fn finalize(this: &Instance<Self>) {
        this.closed.set(true);
        let outcome =
            error::warn_resource("unclosed transport <vivace.SSLTransport object>", this.object());
        crate::future::core::ignore(outcome, this.object());
    }
}

type This = Instance<Transport>;

fn none(outcome: Result<()>) -> Result<Owned> {
    outcome.map(|()| text::none())
}

fn get_extra_info(this: &This, args: &Args<'_>) -> Result<Owned> {
    let [name, default] = args.parse("get_extra_info", ["name", "default"], 1, 2)?;
    let Some(name) = name else { return Ok(text::none()) };
    let default = default.unwrap_or(text::none_ref());
    match this.protocol.get() {
        Some(protocol) => protocol.extra_info(name, default),
        None => Ok(default.new_ref()),
    }
}

fn close(this: &This) -> Result<Owned> {
    let Some(protocol) = this.protocol.get() else { return Ok(text::none()) };
    if this.closed.replace(true) {
        this.done_with.set(true);
        if protocol.is_lost() {
            this.protocol.clear();
        }
        return Ok(text::none());
    }
    none(protocol.start_shutdown())
}

fn force_close(this: &This, exception: Option<&Object>) -> Result<Owned> {
    this.closed.set(true);
    match this.protocol.get() {
        Some(protocol) => none(protocol.abort(exception)),
        None => Ok(text::none()),
    }
}

fn write(this: &This, data: &Object) -> Result<Owned> {
    if !is_bytes_like(data) {
        let name = data.class().getattr(&*text::interned("__name__")?)?;
        let name = text::to_string_lossy(&name);
        let message = format!("data: expecting a bytes-like instance, got {name}");
        return Err(raise(Builtin::Type, &message));
    }
    let data = Bytes::from_data(data)?;
    if data.as_slice().is_empty() {
        return Ok(text::none());
    }
    match this.protocol.get() {
        Some(protocol) => none(protocol.write_app_data([data])),
        None => Ok(text::none()),
    }
}

fn writelines(this: &This, pieces: &Object) -> Result<Owned> {
    let mut collected = Vec::new();
    for piece in text::iterate(pieces)? {
        collected.push(Bytes::from_data(&piece)?);
    }
    match this.protocol.get() {
        Some(protocol) => none(protocol.write_app_data(collected)),
        None => Ok(text::none()),
    }
}

/// `(low, high)` of a call that gives one, both or none.
fn limits(args: &Args<'_>, function: &str, default: usize) -> Result<(usize, usize)> {
    let [high, low] = args.parse(function, ["high", "low"], 0, 2)?;
    let number = |value: Option<&Object>| match value.filter(|value| !value.is_none()) {
        Some(value) => text::to_i64(value).map(Some),
        None => Ok(None),
    };
    let (high, low) = (number(high)?, number(low)?);
    let high = high.unwrap_or_else(|| low.map_or(default as i64, |low| low.saturating_mul(4)));
    let low = low.unwrap_or(high / 4);
    if !(high >= low && low >= 0) {
        let message = format!("high ({high}) must be >= low ({low}) must be >= 0");
        return Err(raise(Builtin::Value, &message));
    }
    Ok((low as usize, high as usize))
}

fn set_write_buffer_limits(this: &This, args: &Args<'_>) -> Result<Owned> {
    let protocol = this.protocol()?;
    protocol.flow.write_limits.set(limits(args, "set_write_buffer_limits", WRITE_HIGH)?);
    none(protocol.control_app_writing())
}

fn set_read_buffer_limits(this: &This, args: &Args<'_>) -> Result<Owned> {
    let protocol = this.protocol()?;
    protocol.flow.read_limits.set(limits(args, "set_read_buffer_limits", READ_HIGH)?);
    none(protocol.control_lower_reading())
}

fn pair((low, high): (usize, usize)) -> Result<Owned> {
    text::tuple(&[&*text::integer(low as i64)?, &*text::integer(high as i64)?])
}

/// Puts data into the backlog without encrypting it: asyncio's tests fill the backlog this way.
fn append_backlog(this: &This, data: &Object) -> Result<Owned> {
    let emptied = this.protocol()?.backlog.borrow_mut().push(Bytes::from_data(data)?);
    drop(emptied);
    Ok(text::none())
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    let builder = ClassBuilder::<Transport>::new(
        c"vivace.SSLTransport",
        c"The app side of a TLS connection; an asyncio.Transport.",
    );
    with_attributes(with_reading(with_writing(builder)))
        .with_dict(offset_of!(Transport, extras))
        .finalizer()
        .noargs(c"close", c"Closes once everything is sent.", close)
        .noargs(c"abort", c"Closes at once; unsent data is dropped.", |this: &This| {
            force_close(this, None)
        })
        .onearg(
            c"_force_close",
            c"Closes at once because of an error.",
            |this: &This, exc: &Object| force_close(this, (!exc.is_none()).then_some(exc)),
        )
        .noargs(c"is_closing", c"Whether it is closing or closed.", |this: &This| {
            Ok(text::boolean(this.closed.get()))
        })
        .keywords(
            c"set_protocol",
            c"set_protocol($self, /, protocol)\n--\n\nChanges the protocol.",
            |this: &This, args: &Args<'_>| match args.only("set_protocol", "protocol")? {
                Some(protocol) => none(this.protocol()?.set_app_protocol(protocol)),
                None => Ok(text::none()),
            },
        )
        .noargs(c"get_protocol", c"The protocol.", |this: &This| {
            Ok(this.protocol.get().map_or_else(text::none, |held| held.app_protocol.get_or_none()))
        })
        .keywords(
            c"get_extra_info",
            c"get_extra_info($self, /, name, default=None)\n--\n\nWhat is known of the connection.",
            get_extra_info,
        )
        .build(Some(&imports().transport_class))
}

fn with_writing(builder: ClassBuilder<Transport>) -> ClassBuilder<Transport> {
    builder
        .keywords(
            c"write",
            c"write($self, /, data)\n--\n\nEncrypts bytes; they leave at the end of the turn.",
            |this: &This, args: &Args<'_>| match args.only("write", "data")? {
                Some(data) => write(this, data),
                None => Ok(text::none()),
            },
        )
        .keywords(
            c"writelines",
            c"writelines($self, /, list_of_data)\n--\n\nEncrypts several pieces.",
            |this: &This, args: &Args<'_>| match args.only("writelines", "list_of_data")? {
                Some(pieces) => writelines(this, pieces),
                None => Ok(text::none()),
            },
        )
        .noargs(c"write_eof", c"TLS has no half-closed connections.", |_this: &This| {
            Err(raise(Builtin::NotImplemented, ""))
        })
        .noargs(c"can_write_eof", c"False.", |_this: &This| Ok(text::boolean(false)))
        .keywords(
            c"set_write_buffer_limits",
            c"set_write_buffer_limits($self, /, high=None, low=None)\n--\n\n\
              When to pause and to resume the protocol, in bytes.",
            set_write_buffer_limits,
        )
        .noargs(c"get_write_buffer_limits", c"(low, high), in bytes.", |this: &This| {
            pair(this.protocol()?.flow.write_limits.get())
        })
        .noargs(c"get_write_buffer_size", c"Bytes that wait here.", |this: &This| {
            text::integer(this.protocol()?.write_buffer_size()? as i64)
        })
        .onearg(c"_test__append_write_backlog", c"For tests.", append_backlog)
}

fn with_reading(builder: ClassBuilder<Transport>) -> ClassBuilder<Transport> {
    builder
        .noargs(c"is_reading", c"Whether incoming data is delivered.", |this: &This| {
            Ok(text::boolean(!this.protocol()?.flow.app_reading_paused.get()))
        })
        .noargs(c"pause_reading", c"Delivers nothing until resume_reading().", |this: &This| {
            if let Some(protocol) = this.protocol.get() {
                protocol.pause_reading();
            }
            Ok(text::none())
        })
        .noargs(c"resume_reading", c"Delivers incoming data again.", |this: &This| {
            this.protocol.get().map_or_else(|| Ok(text::none()), |held| none(held.resume_reading()))
        })
        .keywords(
            c"set_read_buffer_limits",
            c"set_read_buffer_limits($self, /, high=None, low=None)\n--\n\n\
              When to pause and to resume what is below, in bytes of ciphertext.",
            set_read_buffer_limits,
        )
        .noargs(c"get_read_buffer_limits", c"(low, high), in bytes.", |this: &This| {
            pair(this.protocol()?.flow.read_limits.get())
        })
        .noargs(c"get_read_buffer_size", c"Bytes of ciphertext held.", |this: &This| {
            text::integer(this.protocol()?.engine.pending_input()? as i64)
        })
}

fn with_attributes(builder: ClassBuilder<Transport>) -> ClassBuilder<Transport> {
    builder
        .getter(c"_ssl_protocol", |this: &This| {
            Ok(this.protocol.get().map_or_else(text::none, Ref::into_owned))
        })
        .getter(c"_loop", |this: &This| {
            Ok(this.protocol()?.event_loop.get().map_or_else(text::none, Ref::into_owned))
        })
        .getter(c"_protocol", |this: &This| Ok(this.protocol()?.app_protocol.get_or_none()))
        .getter(c"_closed", |this: &This| Ok(text::boolean(this.closed.get())))
        .getter(c"_protocol_paused", |this: &This| {
            Ok(text::boolean(this.protocol()?.flow.app_writing_paused.get()))
        })
        .getter(c"_start_tls_compatible", |_this: &This| Ok(text::boolean(true)))
        .getter(c"_sendfile_compatible", |_this: &This| Ok(imports().sendfile_fallback.clone()))
}
