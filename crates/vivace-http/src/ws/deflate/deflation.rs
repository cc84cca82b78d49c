//! What a connection remembers of the messages it sent compressed.

use flate2::{FlushCompress, Status};

use super::Parameters;
use super::history::History;
use super::parameters::WindowBits;
use super::pool::{Pool, Stamp};

/// Bytes sent to which a message may refer back. More of them cost more time for each message
/// (4 KiB: 2.6 µs) and save hardly anything: similar messages are near.
const HISTORY: usize = 1024;

/// With what a flushed block ends, and what the receiver adds itself (RFC 7692 section 7.2.1).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The sending side of a connection.
#[derive(Debug)]
pub(in crate::ws) struct Deflation {
    bits: WindowBits,
    /// `None`: no context takeover.
    history: Option<History>,
    /// The last use of a compressor. If it is that compressor's last use, too, all that we sent
    /// is in its window still.
    last: Option<Stamp>,
}

impl Deflation {
    pub(in crate::ws) fn new(parameters: &Parameters) -> Self {
        let bits = parameters.server_max_window_bits;
        let history = (!parameters.server_no_context_takeover)
            .then(|| History::new(bits.window_size().min(HISTORY)));
        Self { bits, history, last: None }
    }

    /// `payload`, compressed; `None` if that saves nothing. Then it must be sent as it is.
    pub(in crate::ws) fn compress<'pool>(
        &mut self,
        payload: &[u8],
        pool: &'pool mut Pool,
    ) -> Option<&'pool [u8]> {
        let (compressor, out) = pool.compressor(self.bits);
        let previous = std::mem::take(&mut compressor.last);
        let goes_on = self.history.is_some() && self.last.is_some() && self.last == previous;
        self.last = None;
        if !goes_on {
            compressor.compress.reset();
            if let Some(history) = self.history.as_ref().filter(|history| !history.is_empty()) {
                compressor.compress.set_dictionary(history.bytes()).ok()?;
            }
        }
        deflate(&mut compressor.compress, payload, out)?;
        if out.len() >= payload.len() {
            return None;
        }
        if let Some(history) = &mut self.history {
            history.push(payload);
            let stamp = Stamp::new();
            self.last = Some(stamp);
            compressor.last = Some(stamp);
        }
        Some(out)
    }
}

/// Compresses `input` as one message to the end of `out`. `None` is a bug in the compressor.
fn deflate(compress: &mut flate2::Compress, mut input: &[u8], out: &mut Vec<u8>) -> Option<()> {
    loop {
        // Twice as much as usual; should it not suffice, there is another round.
        out.reserve(input.len() / 2 + 64);
        let before = compress.total_in();
        let status = compress.compress_vec(input, out, FlushCompress::Sync).ok()?;
        let used = usize::try_from(compress.total_in() - before).ok()?;
        input = &input[used..];
        // Room left: all has come out, with the tail at its end.
        if input.is_empty() && out.len() < out.capacity() {
            break;
        }
        if status == Status::StreamEnd {
            return None;
        }
    }
    let end = out.len().checked_sub(TAIL.len())?;
    (out[end..] == TAIL).then(|| out.truncate(end))
}
