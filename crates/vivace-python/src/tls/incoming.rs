//! Bytes in: from the lower transport through the engine to the program's protocol.
//!
//! Ciphertext is read into memory that all connections share; what the engine keeps of it is
//! the one copy held. Plaintext is decrypted into new `bytes`, or straight into the buffer of a
//! `BufferedProtocol`. The engine is only asked for what it is known to have.

use vivace_core::stream::flow_control::Marks;

use super::engine::{Engine, Read};
use super::protocol::{Kind, TlsProtocol};
use super::state::State;
use crate::ffi::bytes::Bytes;
use crate::ffi::memory::{Memory, copy_into};
use crate::ffi::{Builtin, Instance, Result, names, raise, text};

/// More than one record brings: a read with this much room is known to use it up.
const ROOM: usize = 16 * 1024 + 512;

/// What came of decrypting for one callback.
struct Decrypted<T> {
    data: Option<T>,
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing more can be decrypted now.
    Drained,
    /// There may be more.
    More,
    /// The peer has closed.
    Closed,
}

impl Instance<TlsProtocol> {
    /// Ciphertext has come.
    pub(crate) fn received(&self, ciphertext: &mut Memory, count: usize) -> Result<()> {
        self.engine.feed(ciphertext, count)
    }

    /// Ciphertext has come, as an object.
    pub(super) fn received_bytes(&self, ciphertext: &Bytes) -> Result<()> {
        self.engine.feed_bytes(ciphertext)
    }

    /// Does what can be done now, with what has come.
    pub(crate) fn advance(&self) -> Result<()> {
        match self.state.get() {
            State::Handshake => self.do_handshake(),
            State::Wrapped => self.do_read(),
            State::Flushing => self.do_flush(),
            State::Shutdown => self.do_shutdown(),
            State::Unwrapped => Ok(()),
        }
    }

    /// Delivers what can be decrypted, sends what waits.
    pub(super) fn do_read(&self) -> Result<()> {
        if !matches!(self.state.get(), State::Wrapped | State::Flushing) {
            return Ok(());
        }
        self.settle(self.read_and_write())
    }

    fn read_and_write(&self) -> Result<()> {
        if !self.flow.app_reading_paused.get() {
            self.deliver()?;
        }
        let later = self.unsent.get() && self.state.get() == State::Wrapped;
        if later || self.backlog.borrow().is_empty() {
            self.send_output()?;
        } else {
            self.encrypt()?;
        }
        self.control_lower_reading()
    }

    fn deliver(&self) -> Result<()> {
        loop {
            let then = match self.kind.get() {
                Kind::Buffered => self.deliver_into_buffer()?,
                Kind::Plain | Kind::Tls => self.deliver_bytes()?,
            };
            match then {
                Then::Drained => return Ok(()),
                Then::Closed => {
                    self.tell_eof()?;
                    return self.start_shutdown();
                }
                Then::More => {}
            }
            // The callback may have paused, closed or aborted.
            let open = matches!(self.state.get(), State::Wrapped | State::Flushing);
            if !open || self.flow.app_reading_paused.get() {
                return Ok(());
            }
        }
    }

    fn deliver_bytes(&self) -> Result<Then> {
        let decrypted = self.decrypt()?;
        if let (Some(data), Some(protocol)) = (decrypted.data, self.app_protocol.get()) {
            match protocol.exact::<TlsProtocol>().filter(|_| self.kind.get() == Kind::Tls) {
                Some(inner) => {
                    inner.received_bytes(&data)?;
                    drop(data);
                    inner.advance()?;
                }
                None => {
                    protocol.call_method(&names().data_received, &[data.object()])?;
                }
            }
        }
        Ok(decrypted.then)
    }

    /// Everything that has come, as one `bytes`.
    fn decrypt(&self) -> Result<Decrypted<Bytes>> {
        let available = self.engine.available()?;
        if available == 0 {
            return Ok(Decrypted { data: None, then: Then::Drained });
        }
        if available > ROOM {
            return self.decrypt_many(available, None);
        }
        let first = match self.engine.read(available)? {
            Read::Data(first) => first,
            Read::Nothing => return Ok(Decrypted { data: None, then: Then::Drained }),
            Read::Closed => return Ok(Decrypted { data: None, then: Then::Closed }),
        };
        match self.engine.available()? {
            0 => Ok(Decrypted { data: Some(first), then: Then::Drained }),
            more => self.decrypt_many(first.as_slice().len() + more, Some(&first)),
        }
    }

    /// Several records, put together without a copy in between.
    fn decrypt_many(&self, room: usize, first: Option<&Bytes>) -> Result<Decrypted<Bytes>> {
        let mut memory = Memory::new(room)?;
        let start = first.map_or(&[][..], Bytes::as_slice);
        copy_into(memory.as_mut(), start);
        let (count, then) = self.fill(&mut memory, start.len())?;
        let data = Bytes::from_bytes(memory.into_bytes(count)?)?;
        let data = (!data.as_slice().is_empty()).then_some(data);
        Ok(Decrypted { data, then })
    }

    /// Decrypts into `memory` behind the first `filled` bytes; answers how many are filled.
    fn fill(&self, memory: &mut Memory, mut filled: usize) -> Result<(usize, Then)> {
        while filled < memory.len() {
            let end = memory.len().min(filled + ROOM);
            match self.engine.read_into(memory, filled..end)? {
                Read::Nothing => return Ok((filled, Then::Drained)),
                Read::Closed => return Ok((filled, Then::Closed)),
                Read::Data(count) => {
                    filled += count;
                    if self.engine.available()? == 0 {
                        return Ok((filled, Then::Drained));
                    }
                }
            }
        }
        Ok((filled, Then::More))
    }

    fn deliver_into_buffer(&self) -> Result<Then> {
        let Some(protocol) = self.app_protocol.get() else { return Ok(Then::Drained) };
        let available = self.engine.available()?;
        if available == 0 {
            return Ok(Then::Drained);
        }
        let hint = text::integer(available as i64)?;
        let owner = protocol.call_method(&names().get_buffer, &[&hint])?;
        let mut memory = Memory::lent_by(&owner)?;
        if memory.is_empty() {
            return Err(raise(Builtin::Runtime, "get_buffer() returned an empty buffer"));
        }
        let (count, then) = self.fill(&mut memory, 0)?;
        drop(memory);
        if count > 0 {
            let count = text::integer(count as i64)?;
            protocol.call_method(&names().buffer_updated, &[&count])?;
        }
        Ok(then)
    }

    pub(super) fn pause_reading(&self) {
        self.flow.app_reading_paused.set(true);
    }

    /// Reading goes on in the next turn, with what has come meanwhile.
    pub(super) fn resume_reading(&self) -> Result<()> {
        if !self.flow.app_reading_paused.replace(false) {
            return Ok(());
        }
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        event_loop.check_open()?;
        event_loop.call_soon(&*self.object().getattr(&names().advance)?, &[])
    }

    /// The call that `resume_reading` queued.
    pub(super) fn advance_resumed(&self) -> Result<()> {
        if self.state.get() == State::Handshake { Ok(()) } else { self.advance() }
    }

    /// Pauses or resumes the lower transport by how much ciphertext is held.
    pub(super) fn control_lower_reading(&self) -> Result<()> {
        let paused = self.flow.lower_reading_paused.get();
        if !paused && !self.flow.app_reading_paused.get() {
            // All that came was used, or is less than a record.
            return Ok(());
        }
        let Some(lower) = self.lower.get() else { return Ok(()) };
        let size = self.engine.pending_input()?;
        let Marks { low, high } = self.flow.read_marks.get();
        if size >= high && !paused {
            self.flow.lower_reading_paused.set(true);
            lower.call_method(&names().pause_reading, &[])?;
        } else if size <= low && paused {
            self.flow.lower_reading_paused.set(false);
            lower.call_method(&names().resume_reading, &[])?;
        }
        Ok(())
    }
}
