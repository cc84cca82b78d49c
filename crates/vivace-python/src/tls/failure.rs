//! Errors: which end the connection, which are reported, and to whom.

use super::protocol::TlsProtocol;
use super::state::State;
use crate::event_loop::report::Parties;
use crate::ffi::slot::Counted;
use crate::ffi::{Builtin, Instance, Object, Owned, Raised, Result, error, imports, names, text};

/// The exception, if it is an `Exception`; anything else goes on its way.
pub(super) fn ordinary(raised: Raised) -> Result<Owned> {
    if raised.matches(Builtin::Exception.object()) { Ok(raised.fetch()) } else { Err(raised) }
}

impl Instance<TlsProtocol> {
    /// Closes what is below, at once.
    pub(super) fn force_close_lower(&self, exception: Option<&Object>) -> Result<()> {
        let Some(lower) = self.lower.get() else { return Ok(()) };
        match lower.getattr_opt(&names().force_close)? {
            Some(force_close) => force_close.call(&[exception.unwrap_or(text::none_ref())]),
            // A transport of somebody else's has only the public method.
            None => lower.call_method(&names().abort, &[]),
        }
        .map(drop)
    }

    /// Ends the connection without a word to the peer.
    pub(super) fn abort(&self, exception: Option<&Object>) -> Result<()> {
        self.state.set(State::Unwrapped);
        self.force_close_lower(exception)
    }

    /// An error that ends the connection: reported unless it is the network's or TLS's.
    pub(super) fn fatal_error(&self, exception: &Object, message: &str) -> Result<()> {
        let lower = self.lower.get_or_none();
        self.force_close_lower((!exception.is_none()).then_some(exception))?;
        let Some(event_loop) = self.event_loop.get() else { return Ok(()) };
        if error::is_exception_of(exception, Builtin::Os.object()) {
            return event_loop.log_network_error(self.object(), exception, message);
        }
        if error::is_exception_of(exception, &imports().cancelled_error) {
            return Ok(());
        }
        let connection = Parties { transport: &lower, protocol: self.object() };
        event_loop.report_connection(message, exception, connection)
    }

    /// The handshake of a connection that a server has accepted failed.
    pub(super) fn report_failed_accept(&self, exception: &Object) -> Result<()> {
        let transport = self.app_transport.get();
        if let Some(transport) = &transport {
            transport.set_closed();
        }
        let transport = transport.as_ref().map(Counted::as_object);
        let protocol = self.app_protocol.get();
        self.event_loop()?.report_failed_accept(exception, protocol.as_deref(), transport)
    }

    /// Settles an error of reading or writing: an `Exception` ends the connection.
    pub(super) fn settle(&self, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => Ok(()),
            Err(raised) => {
                let exception = ordinary(raised)?;
                self.fatal_error(&exception, "Fatal error on SSL protocol")
            }
        }
    }
}
