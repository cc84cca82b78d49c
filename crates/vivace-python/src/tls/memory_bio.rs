//! The engine over `ssl.SSLContext.wrap_bio`: an `ssl.SSLObject` between two `ssl.MemoryBIO`.
//!
//! Reading and writing go past `ssl.SSLObject`'s methods, which are Python code that only pass
//! the call on, to the C object behind it. They are given our memory through a window, so that
//! no `bytes` or `memoryview` is made on the way in. A context with a `sslobject_class` of its own
//! has its methods called instead, with `bytes`.
//!
//! What a read would bring is known beforehand, from the ends of the records that were fed and
//! from what the incoming BIO still holds: a read in vain costs an exception.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use vivace_core::stream::tls_records::TlsRecords;

use super::engine::{Engine, Progress, Read};
use crate::ffi::bytes::Bytes;
use crate::ffi::memory::{Memory, copy_into, initialised};
use crate::ffi::tls_imports::tls_imports;
use crate::ffi::window::{self, Access};
use crate::ffi::{Builtin, Object, Owned, Raised, Result, Slot, Visitor, names, raise, text};

/// See the module.
pub(super) struct MemoryBio {
    ssl_object: Slot,
    /// What reads and writes: the C object, or the `ssl.SSLObject` itself.
    channel: Slot,
    /// Whether it is the C object.
    direct: bool,
    incoming: Slot,
    outgoing: Slot,
    records: RefCell<TlsRecords>,
    /// Up to here all complete records have been read.
    read_up_to: Cell<u64>,
    /// The last read filled all the room it had: there may be more of the record.
    left_over: Cell<bool>,
}

/// The most plaintext that one record carries.
const RECORD: usize = 16 * 1024;

impl MemoryBio {
    /// The engine of a connection that was never made, or is gone.
    pub(super) fn none() -> Self {
        Self {
            ssl_object: Slot::empty(),
            channel: Slot::empty(),
            direct: false,
            incoming: Slot::empty(),
            outgoing: Slot::empty(),
            records: RefCell::default(),
            read_up_to: Cell::new(0),
            left_over: Cell::new(false),
        }
    }

    pub(super) fn incoming(&self) -> Owned {
        self.incoming.get_or_none()
    }

    pub(super) fn outgoing(&self) -> Owned {
        self.outgoing.get_or_none()
    }
}

#[cold]
fn gone() -> Raised {
    raise(Builtin::Runtime, "the TLS connection is gone")
}

/// Whether the engine only waits for the peer; any other error stays set.
fn is_waiting(raised: Raised) -> Result<()> {
    let imports = tls_imports()?;
    if raised.matches(&imports.want_read) || raised.matches(&imports.syscall_error) {
        raised.clear();
        Ok(())
    } else {
        Err(raised)
    }
}

fn progress(outcome: Result<Owned>) -> Result<Progress> {
    match outcome {
        Ok(_) => Ok(Progress::Done),
        Err(raised) => is_waiting(raised).map(|()| Progress::Waiting),
    }
}

fn pending(bio: &Slot) -> Result<usize> {
    let bio = bio.get().ok_or_else(gone)?;
    Ok(text::to_i64(&*bio.getattr(&names().pending)?)? as usize)
}

impl Engine for MemoryBio {
    fn new(context: &Object, server_side: bool, server_hostname: &Object) -> Result<Self> {
        let imports = tls_imports()?;
        let incoming = imports.memory_bio.call(&[])?;
        let outgoing = imports.memory_bio.call(&[])?;
        let keywords = text::tuple(&[&names().server_side, &names().server_hostname])?;
        let wrap = context.getattr(&names().wrap_bio)?;
        let side = text::boolean(server_side);
        let args = [&*incoming, &*outgoing, &*side, server_hostname];
        let ssl_object = wrap.call_keywords(&args, 2, &keywords)?;
        let behind = if ssl_object.class().is(&imports.ssl_object) {
            ssl_object.getattr_opt(&names().channel)?
        } else {
            None
        };
        let direct = behind.filter(|behind| behind.class().is(&imports.channel));
        Ok(Self {
            direct: direct.is_some(),
            channel: Slot::new(direct.unwrap_or_else(|| ssl_object.clone())),
            ssl_object: Slot::new(ssl_object),
            incoming: Slot::new(incoming),
            outgoing: Slot::new(outgoing),
            records: RefCell::default(),
            read_up_to: Cell::new(0),
            left_over: Cell::new(false),
        })
    }

    fn feed(&self, ciphertext: &mut Memory, count: usize) -> Result<()> {
        let incoming = self.incoming.get().ok_or_else(gone)?;
        self.records.borrow_mut().feed(initialised(&ciphertext.as_mut()[..count]));
        window::lend(ciphertext, 0..count, Access::Read, |window| {
            incoming.call_method(&names().write, &[window]).map(drop)
        })
    }

    fn feed_bytes(&self, ciphertext: &Bytes) -> Result<()> {
        let incoming = self.incoming.get().ok_or_else(gone)?;
        self.records.borrow_mut().feed(ciphertext.as_slice());
        incoming.call_method(&names().write, &[ciphertext.object()]).map(drop)
    }

    fn take_output(&self) -> Result<Option<Bytes>> {
        let Some(outgoing) = self.outgoing.get() else { return Ok(None) };
        let output = Bytes::from_bytes(outgoing.call_method(&names().read, &[])?)?;
        Ok((!output.as_slice().is_empty()).then_some(output))
    }

    fn available(&self) -> Result<usize> {
        let pending = pending(&self.incoming)?;
        let records = self.records.borrow();
        let used = records.fed().saturating_sub(pending as u64);
        let complete = records.complete();
        let left_over = if self.left_over.get() { RECORD } else { 0 };
        if used >= complete {
            self.read_up_to.set(complete);
            return Ok(left_over);
        }
        // The library may hold the beginning of the first record already.
        Ok(left_over + (complete - self.read_up_to.get()) as usize)
    }

    fn pending_input(&self) -> Result<usize> {
        pending(&self.incoming)
    }

    fn pending_output(&self) -> Result<usize> {
        pending(&self.outgoing)
    }

    fn handshake(&self) -> Result<Progress> {
        let ssl_object = self.ssl_object.get().ok_or_else(gone)?;
        progress(ssl_object.call_method(&names().do_handshake, &[]))
    }

    fn read(&self, limit: usize) -> Result<Read<Bytes>> {
        let channel = self.channel.get().ok_or_else(gone)?;
        self.left_over.set(false);
        match channel.call_method(&names().read, &[&*text::integer(limit as i64)?]) {
            Ok(data) => {
                let data = Bytes::from_bytes(data)?;
                self.left_over.set(data.as_slice().len() == limit);
                Ok(if data.as_slice().is_empty() { Read::Closed } else { Read::Data(data) })
            }
            Err(raised) => is_waiting(raised).map(|()| Read::Nothing),
        }
    }

    fn read_into(&self, memory: &mut Memory, part: Range<usize>) -> Result<Read<usize>> {
        let room = part.len();
        if !self.direct {
            return Ok(match self.read(room)? {
                Read::Data(data) => {
                    let data = data.as_slice();
                    if data.len() > room {
                        return Err(raise(Builtin::Value, "read() returned too much"));
                    }
                    copy_into(&mut memory.as_mut()[part], data);
                    Read::Data(data.len())
                }
                Read::Nothing => Read::Nothing,
                Read::Closed => Read::Closed,
            });
        }
        let channel = self.channel.get().ok_or_else(gone)?;
        let limit = text::integer(room as i64)?;
        self.left_over.set(false);
        let outcome = window::lend(memory, part, Access::Write, |window| {
            channel.call_method(&names().read, &[&limit, window])
        });
        match outcome.and_then(|count| text::to_i64(&count)) {
            Ok(0) => Ok(Read::Closed),
            Ok(count) => {
                let count = (count as usize).min(room);
                self.left_over.set(count == room);
                Ok(Read::Data(count))
            }
            Err(raised) => is_waiting(raised).map(|()| Read::Nothing),
        }
    }

    fn write(&self, data: &Bytes) -> Result<Option<usize>> {
        let channel = self.channel.get().ok_or_else(gone)?;
        let outcome = channel.call_method(&names().write, &[data.object()]);
        match outcome.and_then(|count| text::to_i64(&count)) {
            Ok(count) => Ok(Some((count.max(0) as usize).min(data.as_slice().len()))),
            Err(raised) => {
                is_waiting(raised)?;
                // In a renegotiation it may have met a record that only a read can use up.
                self.left_over.set(true);
                Ok(None)
            }
        }
    }

    fn shutdown(&self) -> Result<Progress> {
        let ssl_object = self.ssl_object.get().ok_or_else(gone)?;
        progress(ssl_object.call_method(&names().unwrap, &[]))
    }

    fn ssl_object(&self) -> Owned {
        self.ssl_object.get_or_none()
    }

    fn traverse(&self, visitor: &mut Visitor) {
        for slot in [&self.ssl_object, &self.channel, &self.incoming, &self.outgoing] {
            visitor.slot(slot);
        }
    }

    fn clear(&self) {
        for slot in [&self.ssl_object, &self.channel, &self.incoming, &self.outgoing] {
            slot.clear();
        }
    }
}
