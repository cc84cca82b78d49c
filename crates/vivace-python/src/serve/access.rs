//! The access log: a line for each response.

use super::exchange::Exchange;
use crate::ffi::{Instance, Result};

/// The response is complete.
pub(super) fn log(exchange: &Instance<Exchange>) -> Result<()> {
    let Some(line) = exchange.line.borrow_mut().take() else { return Ok(()) };
    exchange.service()?.log_access(exchange, &line)
}

/// The connection or the application has ended before the response did.
pub(super) fn log_aborted(exchange: &Instance<Exchange>) -> Result<()> {
    if exchange.response.status.get() == 0 {
        return Ok(());
    }
    log(exchange)
}
