//! Bytes from a client in, messages and control frames out.
//!
//! ```text
//!            head complete                  payload complete, more frames follow
//!  head ────────────────────▶ payload ────────────────────────────────────▶ head
//!                                │ payload complete: an event, then head
//!                                ▼
//!              close frame, or a rule broken: ended, and nothing is read any more
//! ```
//!
//! What comes out does not depend on how the bytes were split. A rule that is broken is reported
//! with the byte that breaks it: invalid UTF-8 in the middle of a message, a frame that will
//! become too long with its head. Memory holds what has arrived of a message, decompressed, and
//! never more than the limit; a length in a head allocates nothing.

use super::close_frame::CloseFrame;
use super::deflate::{InflateError, Inflation, Parameters, Pool};
use super::failure::Failure;
use super::frame::{MAX_CONTROL_PAYLOAD, MAX_MASKED_HEAD, Opcode, Payload, Position, ReceivedHead};
use super::mask::Mask;
use super::message::{Kind, Message};
use super::text;

const TOO_BIG: Failure = Failure::too_big("message is too long");

/// Memory for messages that a connection keeps while it waits for the next one.
const MAX_IDLE_CAPACITY: usize = 1024;

/// Compressed bytes that are unmasked at once.
const INFLATE_BLOCK: usize = 16 * 1024;

/// Room for a message that arrives in pieces: at least so much is asked for at once.
const MIN_ROOM: usize = 4096;

/// What a client sent. Messages and payloads are borrowed from the decoder until it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A ping: its payload is to be sent back in a pong.
    Ping(&'a [u8]),
    /// A pong: the answer to a ping, or a sign of life nobody asked for.
    Pong(&'a [u8]),
    /// A close frame. It is the last event.
    Close(CloseFrame),
}

/// Reads the frames of one client.
#[derive(Debug)]
pub struct Decoder {
    max_message: usize,
    /// With permessage-deflate agreed on.
    inflation: Option<Inflation>,
    head: PartialHead,
    frame: Option<Frame>,
    message: Option<PartialMessage>,
    /// What has arrived of `message`; or all of the one that was given out last.
    payload: Vec<u8>,
    /// The payload of the last control frame. They may come between the frames of a message.
    control: Control,
    ended: bool,
}

/// A frame whose payload is not complete.
#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    position: Position,
    mask: Mask,
    remaining: u64,
}

/// A message that is not complete.
#[derive(Debug)]
struct PartialMessage {
    kind: Kind,
    payload: Payload,
    progress: text::Progress,
}

/// An event without what it borrows.
enum Ready {
    Message(Kind),
    Control(Opcode),
}

impl Decoder {
    /// A decoder for messages of up to `max_message` bytes, decompressed.
    pub fn new(max_message: usize, deflate: Option<&Parameters>) -> Self {
        Self {
            max_message,
            inflation: deflate.map(Inflation::new),
            head: PartialHead::default(),
            frame: None,
            message: None,
            payload: Vec::new(),
            control: Control::default(),
            ended: false,
        }
    }

    /// Reads from the front of `input`, which becomes what is left, until there is an event.
    ///
    /// `Ok(None)`: everything was read. After an error or a close frame all that follows is
    /// thrown away.
    pub fn next_event<'a>(
        &'a mut self,
        input: &mut &[u8],
        pool: &mut Pool,
    ) -> Result<Option<Event<'a>>, Failure> {
        let ready = match self.advance(input, pool) {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                self.rest();
                return Ok(None);
            }
            Err(failure) => {
                self.end();
                return Err(failure);
            }
        };
        match ready {
            Ready::Message(Kind::Binary) => {
                Ok(Some(Event::Message(Message::Binary(&self.payload))))
            }
            Ready::Message(Kind::Text) => match text::complete(&self.payload) {
                Ok(text) => Ok(Some(Event::Message(Message::Text(text)))),
                Err(failure) => {
                    self.ended = true;
                    Err(failure)
                }
            },
            Ready::Control(Opcode::Ping) => Ok(Some(Event::Ping(self.control.payload()))),
            Ready::Control(Opcode::Pong) => Ok(Some(Event::Pong(self.control.payload()))),
            Ready::Control(_) => {
                let frame = CloseFrame::read(self.control.payload());
                self.end();
                Ok(Some(Event::Close(frame?)))
            }
        }
    }

    fn advance(&mut self, input: &mut &[u8], pool: &mut Pool) -> Result<Option<Ready>, Failure> {
        if self.ended {
            *input = &[];
            return Ok(None);
        }
        if self.message.is_none() {
            // The last one was given out, and has been looked at.
            self.payload.clear();
        }
        loop {
            if self.frame.is_none() {
                let compression = match self.inflation {
                    Some(_) => Payload::Compressed,
                    None => Payload::Plain,
                };
                let Some(head) = self.head.read(input, compression)? else { return Ok(None) };
                self.begin(head)?;
            }
            let Some(frame) = &mut self.frame else { return Ok(None) };
            let len =
                usize::try_from(frame.remaining).map_or(input.len(), |len| len.min(input.len()));
            let (piece, rest) = input.split_at(len);
            *input = rest;
            frame.remaining -= len as u64;
            let complete = frame.remaining == 0;
            let (opcode, position) = (frame.opcode, frame.position);
            if opcode.is_control() {
                self.control.push(piece, &mut frame.mask);
            } else if complete && position == Position::Last {
                self.receive(piece, pool)?;
                self.finish_message(pool)?;
            } else {
                self.receive(piece, pool)?;
                self.check_text()?;
            }
            if !complete {
                return Ok(None);
            }
            self.frame = None;
            if opcode.is_control() {
                return Ok(Some(Ready::Control(opcode)));
            }
            if position == Position::Last {
                return Ok(self.message.take().map(|message| Ready::Message(message.kind)));
            }
        }
    }

    /// A frame begins: does it fit to those before it, and into the limit?
    fn begin(&mut self, head: ReceivedHead) -> Result<(), Failure> {
        let kind = match (head.opcode, &self.message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                self.control.clear();
                None
            }
            (Opcode::Continuation, Some(_)) => None,
            (Opcode::Continuation, None) => {
                return Err(Failure::protocol("continuation of no message"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Failure::protocol("message begins before the last one has ended"));
            }
            (Opcode::Text, None) => Some(Kind::Text),
            (Opcode::Binary, None) => Some(Kind::Binary),
        };
        if let Some(kind) = kind {
            let progress = text::Progress::default();
            self.message = Some(PartialMessage { kind, payload: head.payload, progress });
        }
        let is_plain =
            self.message.as_ref().is_some_and(|message| message.payload == Payload::Plain);
        let room = self.max_message.saturating_sub(self.payload.len());
        if !head.opcode.is_control() && is_plain && head.len > room as u64 {
            return Err(TOO_BIG);
        }
        self.frame = Some(Frame {
            opcode: head.opcode,
            position: head.position,
            mask: Mask::new(head.key),
            remaining: head.len,
        });
        Ok(())
    }

    /// Adds `piece` of the current frame to the message.
    fn receive(&mut self, piece: &[u8], pool: &mut Pool) -> Result<(), Failure> {
        let (Some(frame), Some(message)) = (&mut self.frame, &self.message) else { return Ok(()) };
        let inflation = match (message.payload, &mut self.inflation) {
            (Payload::Compressed, Some(inflation)) => inflation,
            _ => {
                reserve(&mut self.payload, piece.len(), frame.remaining);
                frame.mask.append(piece, &mut self.payload);
                return Ok(());
            }
        };
        let mut scratch = std::mem::take(&mut pool.scratch);
        let result = piece.chunks(INFLATE_BLOCK).try_for_each(|block| {
            scratch.clear();
            frame.mask.append(block, &mut scratch);
            inflation.feed(&scratch, &mut self.payload, self.max_message, pool)
        });
        pool.scratch = scratch;
        result.map_err(|error| self.why(error))
    }

    /// All of the message has arrived.
    fn finish_message(&mut self, pool: &mut Pool) -> Result<(), Failure> {
        let payload = self.message.as_ref().map(|message| message.payload);
        if let (Some(Payload::Compressed), Some(inflation)) = (payload, &mut self.inflation) {
            inflation
                .finish(&mut self.payload, self.max_message, pool)
                .map_err(|error| self.why(error))?;
        }
        Ok(())
    }

    /// What to tell of data that cannot be decompressed: what comes first in it. Otherwise it
    /// would depend on how much of it arrived at once.
    fn why(&mut self, error: InflateError) -> Failure {
        self.payload.truncate(self.max_message);
        match (self.check_text(), error) {
            (Err(failure), _) => failure,
            (Ok(()), InflateError::TooBig) => TOO_BIG,
            (Ok(()), InflateError::Invalid) => {
                Failure::invalid_data("compressed data is not valid")
            }
        }
    }

    /// If the message is text: can what has arrived of it be the beginning of one?
    fn check_text(&mut self) -> Result<(), Failure> {
        match &mut self.message {
            Some(message) if message.kind == Kind::Text => message.progress.check(&self.payload),
            _ => Ok(()),
        }
    }

    /// All was read: if no message is in progress, the next one may be long in coming.
    fn rest(&mut self) {
        if self.message.is_none() && self.payload.capacity() > MAX_IDLE_CAPACITY {
            self.payload = Vec::new();
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.message = None;
        self.payload = Vec::new();
        self.inflation = None;
    }
}

/// Makes room for `len` bytes, of a frame of which `remaining` more will come.
fn reserve(payload: &mut Vec<u8>, len: usize, remaining: u64) {
    if payload.capacity() - payload.len() < len {
        // Double it, but not beyond what will come: most messages are one frame.
        let all = usize::try_from(remaining).map_or(usize::MAX, |more| len.saturating_add(more));
        payload.reserve_exact(len.max(payload.len()).max(MIN_ROOM).min(all));
    }
}

/// The head of a frame that is split.
#[derive(Debug, Default)]
struct PartialHead {
    bytes: [u8; MAX_MASKED_HEAD],
    len: u8,
}

impl PartialHead {
    /// Takes the head from the front of `input`; if it is not complete, all of `input`.
    fn read(
        &mut self,
        input: &mut &[u8],
        compression: Payload,
    ) -> Result<Option<ReceivedHead>, Failure> {
        let had = usize::from(self.len);
        if had == 0 {
            if let Some((head, used)) = ReceivedHead::read(input, compression)? {
                *input = &input[used..];
                return Ok(Some(head));
            }
        }
        let added = input.len().min(MAX_MASKED_HEAD - had);
        self.bytes[had..had + added].copy_from_slice(&input[..added]);
        match ReceivedHead::read(&self.bytes[..had + added], compression)? {
            Some((head, used)) => {
                *input = &input[used - had..];
                self.len = 0;
                Ok(Some(head))
            }
            None => {
                // With all its bytes there it would have been complete.
                *input = &[];
                self.len = (had + added) as u8;
                Ok(None)
            }
        }
    }
}

/// The payload of a control frame.
#[derive(Debug)]
struct Control {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    len: u8,
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; MAX_CONTROL_PAYLOAD], len: 0 }
    }
}

impl Control {
    fn clear(&mut self) {
        self.len = 0;
    }

    /// The head was checked: it never becomes too long.
    fn push(&mut self, piece: &[u8], mask: &mut Mask) {
        let start = usize::from(self.len);
        let place = &mut self.bytes[start..start + piece.len()];
        place.copy_from_slice(piece);
        mask.unmask(place);
        self.len += piece.len() as u8;
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary message of zeros; the key has no bits, and so the mask changes nothing.
    fn message(len: u16) -> Vec<u8> {
        let mut bytes = vec![0x82, 0xfe];
        bytes.extend(len.to_be_bytes());
        bytes.resize(bytes.len() + 4 + usize::from(len), 0);
        bytes
    }

    #[test]
    fn memory_is_for_what_has_arrived_only() {
        let (mut decoder, mut pool) = (Decoder::new(1 << 20, None), Pool::default());
        let bytes = message(60_000);
        let (first, second) = bytes.split_at(10_000);
        let mut input = first;
        assert_eq!(decoder.next_event(&mut input, &mut pool), Ok(None));
        assert!(decoder.payload.capacity() < 20_000, "{}", decoder.payload.capacity());
        input = second;
        assert!(matches!(decoder.next_event(&mut input, &mut pool), Ok(Some(Event::Message(_)))));
        assert_eq!(decoder.payload.capacity(), 60_000);
        // Nothing follows: the connection is idle.
        assert_eq!(decoder.next_event(&mut input, &mut pool), Ok(None));
        assert_eq!(decoder.payload.capacity(), 0);
    }

    #[test]
    fn messages_that_arrive_together_share_their_memory() {
        let (mut decoder, mut pool) = (Decoder::new(1 << 20, None), Pool::default());
        let bytes = [message(5000), message(3000)].concat();
        let mut input = &bytes[..];
        let mut address = None;
        for len in [5000, 3000] {
            let Ok(Some(Event::Message(message))) = decoder.next_event(&mut input, &mut pool)
            else {
                panic!("no message");
            };
            assert_eq!(message.payload().len(), len);
            assert_eq!(
                *address.get_or_insert(message.payload().as_ptr()),
                message.payload().as_ptr()
            );
        }
    }
}
