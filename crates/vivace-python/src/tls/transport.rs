//! `vivace.SSLTransport`: what the program's protocol is given for a TLS connection.
//!
//! It has the surface of asyncio's own TLS transport, the private attributes that libraries
//! look at included. (They tell a TLS transport by "ssl" in the name of its class.)
//!
//! A program that calls `close()` when the connection is closing already is done with it: then
//! nothing of TLS is kept once the connection is lost, however long the program keeps this.

use std::cell::Cell;
use std::mem::offset_of;

use vivace_core::stream::flow_control::Marks;

use super::engine::Engine;
use super::protocol::{READ_HIGH, TlsProtocol, WRITE_HIGH};
use crate::event_loop::Loop;
use crate::ffi::bytes::{Bytes, is_bytes_like};
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Extras, Instance, Object, Owned, Raised, Ref,
    Result, Slot, Visitor, error, imports, raise, text,
};
use crate::transports::interface::{StreamTransport, marks_given, with_interface};

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

impl StreamTransport for Transport {
    const CAN_WRITE_EOF: bool = false;
    const WRITE_HIGH: usize = WRITE_HIGH;

    #[inline(always)]
    fn write(this: &This, data: &Object) -> Result<()> {
        if !is_bytes_like(data) {
            let name = data.class().getattr(&*text::interned("__name__")?)?;
            let name = text::to_string_lossy(&name);
            let message = format!("data: expecting a bytes-like instance, got {name}");
            return Err(raise(Builtin::Type, &message));
        }
        let data = Bytes::from_data(data)?;
        match this.protocol.get() {
            Some(protocol) if !data.as_slice().is_empty() => protocol.write_app_data([data]),
            _ => Ok(()),
        }
    }

    fn write_lines(this: &This, pieces: Vec<Bytes>) -> Result<()> {
        this.protocol.get().map_or(Ok(()), |protocol| protocol.write_app_data(pieces))
    }

    /// TLS has no half-closed connections.
    fn write_eof(_this: &This) -> Result<()> {
        Err(raise(Builtin::NotImplemented, ""))
    }

    fn close(this: &This) -> Result<()> {
        let Some(protocol) = this.protocol.get() else { return Ok(()) };
        if this.closed.replace(true) {
            this.done_with.set(true);
            if protocol.is_lost() {
                this.protocol.clear();
            }
            return Ok(());
        }
        protocol.start_shutdown()
    }

    fn force_close(this: &This, exception: Option<&Object>) -> Result<()> {
        this.closed.set(true);
        let Some(protocol) = this.protocol.get() else { return Ok(()) };
        if exception.is_none() {
            // What was written in this turn is dropped only if the kernel does not take it.
            protocol.encrypt_now()?;
        }
        protocol.abort(exception)
    }

    fn is_closing(this: &This) -> bool {
        this.closed.get()
    }

    fn is_reading(this: &This) -> Result<bool> {
        Ok(!this.protocol()?.flow.app_reading_paused.get())
    }

    fn pause_reading(this: &This) -> Result<()> {
        if let Some(protocol) = this.protocol.get() {
            protocol.pause_reading();
        }
        Ok(())
    }

    fn resume_reading(this: &This) -> Result<()> {
        this.protocol.get().map_or(Ok(()), |protocol| protocol.resume_reading())
    }

    fn protocol(this: &This) -> Owned {
        this.protocol.get().map_or_else(text::none, |protocol| protocol.app_protocol.get_or_none())
    }

    fn set_protocol(this: &This, protocol: &Object) -> Result<()> {
        this.protocol()?.set_app_protocol(protocol)
    }

    fn event_loop(this: &This) -> Option<Ref<Loop>> {
        this.protocol.get().and_then(|protocol| protocol.event_loop.get())
    }

    fn extra_info(this: &This, name: &Object, default: &Object) -> Result<Owned> {
        match this.protocol.get() {
            Some(protocol) => protocol.extra_info(name, default),
            None => Ok(default.new_ref()),
        }
    }

    fn set_write_marks(this: &This, marks: Marks) -> Result<()> {
        let protocol = this.protocol()?;
        protocol.flow.write_marks.set(marks);
        protocol.control_app_writing()
    }

    fn write_marks(this: &This) -> Result<Marks> {
        Ok(this.protocol()?.flow.write_marks.get())
    }

    /// What waits here; not what waits in the lower transport.
    fn write_buffer_size(this: &This) -> Result<usize> {
        this.protocol()?.write_buffer_size()
    }

    fn is_writing_paused(this: &This) -> Result<bool> {
        Ok(this.protocol()?.flow.app_writing_paused.get())
    }
}

fn set_read_buffer_limits(this: &This, args: &Args<'_>) -> Result<()> {
    let protocol = this.protocol()?;
    protocol.flow.read_marks.set(marks_given(args, "set_read_buffer_limits", READ_HIGH)?);
    protocol.control_lower_reading()
}

/// Puts data into the backlog without encrypting it: asyncio's tests fill the backlog this way.
fn append_backlog(this: &This, data: &Object) -> Result<()> {
    let data = Bytes::from_data(data)?;
    let emptied = this.protocol()?.backlog.borrow_mut().push(data);
    drop(emptied);
    Ok(())
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    with_interface(ClassBuilder::<Transport>::new(
        c"vivace.SSLTransport",
        c"The app side of a TLS connection; an asyncio.Transport.",
    ))
    .with_dict(offset_of!(Transport, extras))
    .finalizer()
    .keywords(
        c"set_read_buffer_limits",
        c"set_read_buffer_limits($self, /, high=None, low=None)\n--\n\n\
          When to pause and to resume what is below, in bytes of ciphertext.",
        set_read_buffer_limits,
    )
    .noargs(c"get_read_buffer_limits", c"(low, high), in bytes.", |this: &This| {
        let marks = this.protocol()?.flow.read_marks.get();
        Ok::<_, Raised>((marks.low, marks.high))
    })
    .noargs(c"get_read_buffer_size", c"Bytes of ciphertext held.", |this: &This| {
        this.protocol()?.engine.pending_input()
    })
    .onearg(c"_test__append_write_backlog", c"For tests.", append_backlog)
    .getter(c"_ssl_protocol", |this: &This| this.protocol.get())
    .getter(c"_closed", |this: &This| this.closed.get())
    .getter(c"_sendfile_compatible", |_this: &This| imports().sendfile_fallback.clone())
    .build(Some(&imports().transport_class))
}
