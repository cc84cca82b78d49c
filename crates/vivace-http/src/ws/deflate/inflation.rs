//! What a connection remembers of the messages it received compressed, and the one in progress.

use flate2::{Decompress, FlushDecompress, Status};

use super::Parameters;
use super::deflation::TAIL;
use super::history::History;
use super::pool::Pool;

/// The farthest that compressed data can refer back.
const MAX_WINDOW: usize = 32 * 1024;

/// Room for output: the least and the most that is asked for at once.
const MIN_ROOM: usize = 512;
const MAX_ROOM: usize = 64 * 1024;

/// Why a message cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ws) enum InflateError {
    /// It becomes longer than the limit. The output holds the limit's worth, and some more.
    TooBig,
    /// It is not what a compressor writes.
    Invalid,
}

/// The receiving side of a connection.
#[derive(Debug)]
pub(in crate::ws) struct Inflation {
    /// `None`: no context takeover.
    history: Option<History>,
    /// Lent by the pool from the first byte of a message to its last.
    inflater: Option<Decompress>,
}

impl Inflation {
    pub(in crate::ws) fn new(parameters: &Parameters) -> Self {
        let history = (!parameters.client_no_context_takeover)
            .then(|| History::new(parameters.client_max_window_bits.window_size()));
        Self { history, inflater: None }
    }

    /// Decompresses more of a message to the end of `out`, which holds this message only.
    pub(in crate::ws) fn feed(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        pool: &mut Pool,
    ) -> Result<(), InflateError> {
        let inflater = match &mut self.inflater {
            Some(inflater) => inflater,
            none => {
                let mut inflater = pool.take_inflater();
                if let Some(history) = &self.history {
                    remember(&mut inflater, history.bytes())?;
                }
                none.insert(inflater)
            }
        };
        inflate(inflater, input, out, limit, self.history.as_ref().map_or(&[], History::bytes))
    }

    /// The message is complete.
    pub(in crate::ws) fn finish(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        pool: &mut Pool,
    ) -> Result<(), InflateError> {
        self.feed(&TAIL, out, limit, pool)?;
        if let Some(inflater) = self.inflater.take() {
            pool.put_inflater(inflater);
        }
        if let Some(history) = &mut self.history {
            history.push(out);
        }
        Ok(())
    }
}

/// Lets what follows refer back to `past`.
fn remember(inflater: &mut Decompress, past: &[u8]) -> Result<(), InflateError> {
    if !past.is_empty() {
        inflater.set_dictionary(past).map_err(|_| InflateError::Invalid)?;
    }
    Ok(())
}

fn inflate(
    inflater: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    history: &[u8],
) -> Result<(), InflateError> {
    loop {
        if out.len() == out.capacity() {
            // One byte beyond the limit shows that it is passed; no more room is ever made.
            let most = (limit - out.len()).saturating_add(1);
            let wish = out.len().max(input.len().saturating_mul(4));
            out.reserve_exact(wish.clamp(MIN_ROOM, MAX_ROOM.max(out.len())).min(most));
        }
        let (before, len_before) = (inflater.total_in(), out.len());
        let result = inflater.decompress_vec(input, out, FlushDecompress::None);
        if out.len() > limit {
            return Err(InflateError::TooBig);
        }
        let status = result.map_err(|_| InflateError::Invalid)?;
        let used = inflater.total_in() - before;
        input = &input[usize::try_from(used).map_err(|_| InflateError::Invalid)?..];
        match status {
            // A block that says it is the last one (RFC 7692 section 7.2.3.4): another stream
            // begins, which may refer to what was before.
            Status::StreamEnd => {
                let mut past = out[out.len().saturating_sub(MAX_WINDOW)..].to_vec();
                let older = &history[history.len().saturating_sub(MAX_WINDOW - past.len())..];
                past.splice(..0, older.iter().copied());
                inflater.reset(false);
                remember(inflater, &past)?;
                if input.is_empty() {
                    return Ok(());
                }
            }
            Status::Ok | Status::BufError => {
                if out.len() < out.capacity() {
                    if input.is_empty() {
                        return Ok(());
                    }
                    if used == 0 && out.len() == len_before {
                        return Err(InflateError::Invalid);
                    }
                }
            }
        }
    }
}
