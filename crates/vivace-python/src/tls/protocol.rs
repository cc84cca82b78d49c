//! `vivace.SSLProtocol`: the struct, its first and its last callback.
//!
//! It is the protocol of the lower transport (an `asyncio.BufferedProtocol`) and owns the
//! engine. The program's protocol talks to it through a `vivace.SSLTransport`. The two refer to
//! each other from the start to `connection_lost`, which cuts them apart.

use std::cell::{Cell, RefCell};

use vivace_core::stream::flow_control::Marks;
use vivace_core::stream::write_queue::WriteQueue;

use super::engine::Engine;
use super::memory_bio::MemoryBio;
use super::state::{State, Told};
use super::transport::Transport;
use crate::event_loop::Loop;
use crate::ffi::bytes::Bytes;
use crate::ffi::{
    Builtin, Class, ClassCell, Extras, Instance, Object, Owned, Ref, Result, Slot, Visitor, names,
    raise, text,
};
use crate::transports::protocol_kind::is_buffered;

/// How the program's protocol takes its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `data_received`.
    Plain,
    /// `get_buffer` and `buffer_updated`.
    Buffered,
    /// It is a `TlsProtocol` itself.
    Tls,
}

/// What the connection was asked for.
pub(super) struct Request {
    pub(super) context: Slot,
    pub(super) server_side: Cell<bool>,
    pub(super) server_hostname: Slot,
    /// In seconds, as they were given.
    pub(super) handshake_timeout: Slot,
    pub(super) shutdown_timeout: Slot,
}

/// What waits for the beginning or the end, and how long.
pub(super) struct Waits {
    /// A future, done with the handshake.
    pub(super) waiter: Slot,
    /// A server has accepted the connection, and nobody waits for the handshake.
    pub(super) accepted: Cell<bool>,
    pub(super) handshake_timer: Slot,
    pub(super) shutdown_timer: Slot,
    /// `loop.time()` at the start of the handshake; debug mode only.
    pub(super) started: Cell<Option<f64>>,
}

/// Who was asked to pause, and at how many bytes.
pub(super) struct Flow {
    /// The lower transport has asked us to pause writing.
    pub(super) lower_paused: Cell<bool>,
    /// We have paused the reading of the lower transport.
    pub(super) lower_reading_paused: Cell<bool>,
    /// The program has paused its reading.
    pub(super) app_reading_paused: Cell<bool>,
    /// We have asked the program to pause writing.
    pub(super) app_writing_paused: Cell<bool>,
    pub(super) read_marks: Cell<Marks>,
    pub(super) write_marks: Cell<Marks>,
}

/// asyncio's `FLOW_CONTROL_HIGH_WATER_SSL_READ` and `…_WRITE`.
pub(super) const READ_HIGH: usize = 256 * 1024;
pub(super) const WRITE_HIGH: usize = 512 * 1024;

/// See the module.
pub(crate) struct TlsProtocol {
    pub(super) extras: Extras,
    pub(super) event_loop: Slot<Ref<Loop>>,
    pub(super) app_protocol: Slot,
    pub(super) kind: Cell<Kind>,
    pub(super) app_transport: Slot<Ref<Transport>>,
    /// The lower transport.
    pub(super) lower: Slot,
    pub(super) request: Request,
    pub(super) extra: Slot,
    pub(super) engine: MemoryBio,
    pub(super) state: Cell<State>,
    pub(super) told: Cell<Told>,
    pub(super) waits: Waits,
    pub(super) flow: Flow,
    /// What the program wrote and the engine has not taken.
    pub(super) backlog: RefCell<WriteQueue<Bytes>>,
    /// It is in the loop's list of those whose backlog is encrypted at the end of the turn.
    pub(super) unsent: Cell<bool>,
    /// Writes after the end, to warn of them.
    pub(super) lost_writes: Cell<u32>,
    /// The lower transport has reported the end of the peer.
    pub(super) eof: Cell<bool>,
    /// What a transport that is not ours reads into.
    pub(super) buffer: Slot,
}

impl TlsProtocol {
    pub(super) fn with_engine(engine: MemoryBio) -> Self {
        Self {
            extras: Extras::default(),
            event_loop: Slot::empty(),
            app_protocol: Slot::empty(),
            kind: Cell::new(Kind::Plain),
            app_transport: Slot::empty(),
            lower: Slot::empty(),
            request: Request {
                context: Slot::empty(),
                server_side: Cell::new(false),
                server_hostname: Slot::empty(),
                handshake_timeout: Slot::empty(),
                shutdown_timeout: Slot::empty(),
            },
            extra: Slot::empty(),
            engine,
            state: Cell::new(State::Unwrapped),
            told: Cell::new(Told::Nothing),
            waits: Waits {
                waiter: Slot::empty(),
                accepted: Cell::new(false),
                handshake_timer: Slot::empty(),
                shutdown_timer: Slot::empty(),
                started: Cell::new(None),
            },
            flow: Flow {
                lower_paused: Cell::new(false),
                lower_reading_paused: Cell::new(false),
                app_reading_paused: Cell::new(false),
                app_writing_paused: Cell::new(false),
                read_marks: Cell::new(Marks::under(READ_HIGH)),
                write_marks: Cell::new(Marks::under(WRITE_HIGH)),
            },
            backlog: RefCell::default(),
            unsent: Cell::new(false),
            lost_writes: Cell::new(0),
            eof: Cell::new(false),
            buffer: Slot::empty(),
        }
    }

    /// In one list, so that neither the collector nor `clear` forgets one.
    fn slots(&self) -> [&Slot; 11] {
        [
            &self.app_protocol,
            &self.lower,
            &self.request.context,
            &self.request.server_hostname,
            &self.request.handshake_timeout,
            &self.request.shutdown_timeout,
            &self.extra,
            &self.waits.waiter,
            &self.waits.handshake_timer,
            &self.waits.shutdown_timer,
            &self.buffer,
        ]
    }
}

impl Class for TlsProtocol {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(16);
        &CELL
    }
    fn empty() -> Self {
        Self::with_engine(MemoryBio::none())
    }
    fn traverse(&self, visitor: &mut Visitor) {
        self.extras.traverse(visitor);
        visitor.slot(&self.event_loop);
        visitor.slot(&self.app_transport);
        self.slots().iter().for_each(|slot| visitor.slot(slot));
        self.engine.traverse(visitor);
    }
    fn clear(&self) {
        self.extras.clear();
        self.event_loop.clear();
        self.app_transport.clear();
        self.slots().iter().for_each(|slot| slot.clear());
        self.engine.clear();
    }
}

impl Instance<TlsProtocol> {
    pub(super) fn event_loop(&self) -> Result<Ref<Loop>> {
        self.event_loop.get().ok_or_else(|| raise(Builtin::Runtime, "the TLS connection is gone"))
    }

    pub(super) fn debug(&self) -> bool {
        self.event_loop.get().is_some_and(|event_loop| event_loop.debug())
    }

    pub(super) fn set_state(&self, next: State) -> Result<()> {
        let state = self.state.get();
        if !state.allows(next) {
            let (from, to) = (state.name(), next.name());
            let message = format!("cannot switch state from {from} to {to}");
            return Err(raise(Builtin::Runtime, &message));
        }
        self.state.set(next);
        Ok(())
    }

    /// Changes the program's protocol, also in mid-stream.
    pub(super) fn set_app_protocol(&self, protocol: &Object) -> Result<()> {
        let kind = if protocol.exact::<TlsProtocol>().is_some() {
            Kind::Tls
        } else if is_buffered(protocol)? {
            Kind::Buffered
        } else {
            Kind::Plain
        };
        self.kind.set(kind);
        self.app_protocol.set(protocol.new_ref());
        Ok(())
    }

    /// Tells whoever awaits the handshake.
    pub(super) fn wake_waiter(&self, exception: Option<&Object>) -> Result<()> {
        if self.waits.accepted.replace(false) {
            return exception.map_or(Ok(()), |exception| self.report_failed_accept(exception));
        }
        let Some(waiter) = self.waits.waiter.take() else { return Ok(()) };
        if waiter.call_method(&names().cancelled, &[])?.is_true()? {
            return Ok(());
        }
        match exception {
            Some(exception) => waiter.call_method(&names().set_exception, &[exception]),
            None => waiter.call_method(&names().set_result, &[text::none_ref()]),
        }
        .map(drop)
    }

    /// `connection_made(transport)` of the lower transport: the handshake begins.
    pub(super) fn connection_made(&self, transport: &Object) -> Result<()> {
        self.lower.set(transport.new_ref());
        self.start_handshake()
    }

    /// `connection_lost(exc)` of the lower transport: everything is cut apart.
    pub(super) fn connection_lost(&self, exception: Option<&Object>) -> Result<()> {
        let unsent = self.backlog.borrow_mut().take();
        drop(unsent);
        drop(self.engine.take_output()?);
        self.lost_writes.set(self.lost_writes.get().saturating_add(1));
        if let Some(transport) = self.app_transport.get() {
            transport.set_lost();
        }
        let told = matches!(self.told.get(), Told::Made | Told::Eof);
        if told && self.state.get() != State::Handshake {
            self.told.set(Told::Lost);
            if let (Some(protocol), Some(event_loop)) =
                (self.app_protocol.get(), self.event_loop.get())
            {
                let callback = protocol.getattr(&names().connection_lost)?;
                event_loop.check_open()?;
                event_loop.call_soon(&callback, &[exception.unwrap_or(text::none_ref())])?;
            }
        }
        self.set_state(State::Unwrapped)?;
        self.cancel_timer(&self.waits.shutdown_timer)?;
        self.cancel_timer(&self.waits.handshake_timer)?;
        let woken = self.wake_waiter(exception);
        self.lower.clear();
        self.app_transport.clear();
        self.app_protocol.clear();
        self.buffer.clear();
        woken
    }

    pub(super) fn start_timer(&self, slot: &Slot, timeout: &Slot, callback: &Object) -> Result<()> {
        let timeout = timeout.get_or_none();
        let callback = self.object().getattr(callback)?;
        let event_loop = self.event_loop()?;
        let timer = event_loop.object().call_method(&names().call_later, &[&timeout, &callback])?;
        slot.set(timer);
        Ok(())
    }

    pub(super) fn cancel_timer(&self, slot: &Slot) -> Result<()> {
        match slot.take() {
            Some(timer) => timer.call_method(&names().cancel, &[]).map(drop),
            None => Ok(()),
        }
    }

    /// Whether `connection_lost` was called.
    pub(super) fn is_lost(&self) -> bool {
        !self.app_transport.is_some()
    }

    /// What is known of the connection: of TLS, else of what is below.
    pub(super) fn extra_info(&self, name: &Object, default: &Object) -> Result<Owned> {
        if let Some(extra) = self.extra.get() {
            if let Some(value) = text::dict_get(&extra, name)? {
                return Ok(value);
            }
        }
        match self.lower.get() {
            Some(lower) => lower.call_method(&names().get_extra_info, &[name, default]),
            None => Ok(default.new_ref()),
        }
    }
}
