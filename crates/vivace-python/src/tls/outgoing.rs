//! Bytes out: from the program through the engine to the lower transport.
//!
//! What is written in a turn is encrypted at its end, small pieces together in one record.

use vivace_core::stream::flow_control::{Marks, Tell};
use vivace_core::stream::write_queue::Piece;

use super::engine::Engine;
use super::protocol::TlsProtocol;
use super::state::State;
use crate::event_loop::Loop;
use crate::event_loop::report::Parties;
use crate::ffi::bytes::Bytes;
use crate::ffi::memory::{Memory, copy_into};
use crate::ffi::{Answer, Instance, Result, imports, names, text};
use crate::transports::stream::Stream;
use crate::transports::{Unsent, flow, write_to};

/// Writes after the end before the log is told of them, as in asyncio.
const WARN_AFTER: u32 = 5;

/// What fits one TLS record: small pieces are encrypted together, up to this.
const RECORD: usize = 16 * 1024;

/// Ciphertext that the engine collects before it is handed on: an engine does not give back
/// the memory that it once needed.
const KEEP: usize = 256 * 1024;

impl Instance<TlsProtocol> {
    /// `write` and `writelines` of the app side.
    pub(super) fn write_app_data(&self, pieces: impl IntoIterator<Item = Bytes>) -> Result<()> {
        if self.state.get().is_ending() {
            let lost = self.lost_writes.get();
            if lost >= WARN_AFTER {
                let text = text::string("SSL connection is closed")?;
                imports().logger.call_method(&names().warning, &[&text])?;
            }
            self.lost_writes.set(lost.saturating_add(1));
            return Ok(());
        }
        for piece in pieces {
            let emptied = self.backlog.borrow_mut().push(piece);
            drop(emptied);
        }
        if self.state.get() != State::Wrapped {
            // The handshake comes first.
            return Ok(());
        }
        match self.event_loop.get().filter(|event_loop| self.can_wait(event_loop)) {
            Some(event_loop) => {
                if !self.unsent.replace(true) {
                    event_loop.transports.add_unsent(Unsent::Tls(self.counted()));
                }
                Ok(())
            }
            None => self.encrypt_now(),
        }
    }

    /// Whether what was written can wait for the end of the turn, when it is encrypted together
    /// with what comes until then. It cannot if it fills a record, nor if anybody has asked to
    /// pause: then flow control must see what asyncio's would.
    fn can_wait(&self, event_loop: &Instance<Loop>) -> bool {
        let size = self.backlog.borrow().size();
        size < RECORD
            && size < self.flow.write_marks.get().high
            && !self.flow.lower_paused.get()
            && !self.flow.app_writing_paused.get()
            && event_loop.is_running()
    }

    /// The end of the turn.
    pub(crate) fn flush_turn(&self) -> Result<()> {
        self.unsent.set(false);
        self.encrypt_now()
    }

    /// Encrypts and sends what waits, if the state of the connection allows it.
    pub(super) fn encrypt_now(&self) -> Result<()> {
        let open = matches!(self.state.get(), State::Wrapped | State::Flushing);
        if open && !self.backlog.borrow().is_empty() { self.settle(self.encrypt()) } else { Ok(()) }
    }

    /// Encrypts what waits, sends what came of it.
    pub(super) fn encrypt(&self) -> Result<()> {
        let mut kept = 0;
        while let Some(data) = self.next_piece()? {
            let taken = self.engine.write(&data)?;
            let Some(count) = taken else { break };
            self.encrypted(count);
            kept += count;
            if kept >= KEEP {
                kept = 0;
                self.send_output()?;
            }
        }
        self.send_output()
    }

    fn encrypted(&self, count: usize) {
        let mut done = self.backlog.borrow_mut().advance(count);
        while let Some(piece) = done {
            drop(piece);
            done = self.backlog.borrow_mut().advance(0);
        }
    }

    /// What to encrypt next: one piece, or several small ones together.
    fn next_piece(&self) -> Result<Option<Bytes>> {
        let backlog = self.backlog.borrow();
        let (Some(piece), Some(rest)) = (backlog.iter().next(), backlog.slices().next()) else {
            return Ok(None);
        };
        let whole = rest.len() == piece.bytes().len();
        if whole && (backlog.pieces() == 1 || rest.len() >= RECORD) {
            return Ok(Some(piece.clone()));
        }
        let mut joined = Memory::new(backlog.size().min(RECORD))?;
        let mut filled = 0;
        for slice in backlog.slices() {
            let room = &mut joined.as_mut()[filled..];
            let count = slice.len().min(room.len());
            copy_into(room, &slice[..count]);
            filled += count;
            if filled == joined.len() {
                break;
            }
        }
        Bytes::from_bytes(joined.into_bytes(filled)?).map(Some)
    }

    /// Hands ciphertext to the lower transport, unless it has asked us to wait.
    pub(super) fn send_output(&self) -> Result<()> {
        if !self.flow.lower_paused.get() {
            self.send_all_output()?;
        }
        self.control_app_writing()
    }

    /// Hands ciphertext to the lower transport in any case: nothing comes after it.
    pub(super) fn send_all_output(&self) -> Result<()> {
        let Some(output) = self.engine.take_output()? else { return Ok(()) };
        let Some(lower) = self.lower.get() else { return Ok(()) };
        if let Some(stream) = lower.exact::<Stream>() {
            return write_to(stream, output.object());
        }
        lower.call_method(&names().write, &[output.object()]).map(drop)
    }

    /// Bytes that wait here, and could not be handed to the lower transport: what waits for the
    /// end of the turn only is handed on first.
    pub(super) fn write_buffer_size(&self) -> Result<usize> {
        if self.unsent.get() {
            self.encrypt_now()?;
        }
        self.held()
    }

    fn held(&self) -> Result<usize> {
        Ok(self.engine.pending_output()? + self.backlog.borrow().size())
    }

    /// Tells the program to pause or to go on, if it is time.
    pub(super) fn control_app_writing(&self) -> Result<()> {
        let paused = self.flow.app_writing_paused.get();
        if !paused && !self.flow.lower_paused.get() && self.backlog.borrow().is_empty() {
            // All was handed on.
            return Ok(());
        }
        let size = self.held()?;
        let Marks { low, high } = self.flow.write_marks.get();
        let tell = if size >= high && size > 0 && !paused {
            Tell::Pause
        } else if size <= low && paused {
            Tell::Resume
        } else {
            return Ok(());
        };
        self.flow.app_writing_paused.set(tell == Tell::Pause);
        let (Some(protocol), Some(event_loop)) = (self.app_protocol.get(), self.event_loop.get())
        else {
            return Ok(());
        };
        let transport = self.app_transport.get().into_python()?;
        // As in asyncio, a report names the TLS protocol.
        let connection = Parties { transport: &transport, protocol: self.object() };
        flow::tell(&event_loop, &protocol, tell, connection)
    }

    /// `pause_writing()` of the lower transport.
    pub(super) fn lower_pause_writing(&self) {
        self.flow.lower_paused.set(true);
    }

    /// `resume_writing()` of the lower transport.
    pub(super) fn lower_resume_writing(&self) -> Result<()> {
        self.flow.lower_paused.set(false);
        self.send_output()
    }
}
