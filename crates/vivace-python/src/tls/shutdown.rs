//! The end: flushing, `close_notify` both ways, the time limit for it, and abrupt ends.

use super::engine::{Engine, Progress};
use super::protocol::TlsProtocol;
use super::state::{State, Told};
use crate::ffi::tls_imports::tls_imports;
use crate::ffi::{Builtin, Instance, Owned, Result, error, imports, names, text};

impl Instance<TlsProtocol> {
    /// `close()` of the app side, or the peer has closed.
    pub(super) fn start_shutdown(&self) -> Result<()> {
        if self.state.get().is_ending() {
            return Ok(());
        }
        if let Some(transport) = self.app_transport.get() {
            transport.set_closed();
        }
        if self.state.get() == State::Handshake {
            return self.abort(None);
        }
        self.set_state(State::Flushing)?;
        let timeout = &self.request.shutdown_timeout;
        let callback = &names().check_shutdown_timeout;
        self.start_timer(&self.waits.shutdown_timer, timeout, callback)?;
        self.do_flush()
    }

    /// The time is up.
    pub(super) fn check_shutdown_timeout(&self) -> Result<()> {
        if !matches!(self.state.get(), State::Flushing | State::Shutdown) {
            return Ok(());
        }
        let message = text::string("SSL shutdown timed out")?;
        let exception = Builtin::Timeout.object().call(&[&message])?;
        self.force_close_lower(Some(&exception))
    }

    /// Delivers and encrypts what there is, then says `close_notify`.
    pub(super) fn do_flush(&self) -> Result<()> {
        self.do_read()?;
        // The protocol may have ended the connection meanwhile.
        if self.state.get() != State::Flushing {
            return Ok(());
        }
        self.set_state(State::Shutdown)?;
        self.do_shutdown()
    }

    pub(super) fn do_shutdown(&self) -> Result<()> {
        let outcome = if self.eof.get() { Ok(Progress::Done) } else { self.engine.shutdown() };
        match outcome {
            Ok(Progress::Waiting) => self.send_output(),
            Ok(Progress::Done) => {
                self.send_all_output()?;
                self.tell_eof()?;
                self.shutdown_complete(None)
            }
            Err(raised) if raised.matches(&tls_imports()?.ssl_error) => {
                let exception = raised.fetch();
                self.shutdown_complete(Some(exception))
            }
            Err(raised) => Err(raised),
        }
    }

    fn shutdown_complete(&self, exception: Option<Owned>) -> Result<()> {
        self.cancel_timer(&self.waits.shutdown_timer)?;
        if let Some(exception) = exception {
            return self.fatal_error(&exception, "Fatal error on transport");
        }
        let (Some(lower), Some(event_loop)) = (self.lower.get(), self.event_loop.get()) else {
            return Ok(());
        };
        event_loop.check_open()?;
        event_loop.call_soon(&*lower.getattr(&names().close)?, &[])
    }

    /// `eof_received()` of the program's protocol, once. Its answer cannot be obeyed.
    pub(super) fn tell_eof(&self) -> Result<()> {
        if self.told.get() != Told::Made {
            return Ok(());
        }
        self.told.set(Told::Eof);
        let Some(protocol) = self.app_protocol.get() else { return Ok(()) };
        let answer = protocol.call_method(&names().eof_received, &[]).and_then(|keep_open| {
            if keep_open.is_true()? {
                let text = text::string(
                    "returning true from eof_received() has no effect when using ssl",
                )?;
                imports().logger.call_method(&names().warning, &[&text])?;
            }
            Ok(())
        });
        match answer {
            Ok(()) => Ok(()),
            Err(raised) => {
                let exception = raised.fetch_for_report()?;
                self.fatal_error(&exception, "Error calling eof_received()")
            }
        }
    }

    /// `eof_received()` of the lower transport; answers whether it must stay open.
    pub(super) fn lower_eof(&self) -> Result<bool> {
        self.eof.set(true);
        let outcome = self.lower_eof_inner();
        let Err(raised) = outcome else { return outcome };
        if !raised.matches(Builtin::Exception.object()) {
            return Err(raised);
        }
        let exception = raised.fetch();
        if let Some(lower) = self.lower.get() {
            lower.call_method(&names().close, &[])?;
        }
        Err(error::raise_instance(exception))
    }

    fn lower_eof_inner(&self) -> Result<bool> {
        if self.debug() {
            self.log_debug("%r received EOF", &[])?;
        }
        match self.state.get() {
            State::Handshake => {
                let exception = Builtin::ConnectionReset.object().call(&[])?;
                self.handshake_complete(Some(exception))?;
            }
            State::Wrapped => {
                self.set_state(State::Flushing)?;
                if self.flow.app_reading_paused.get() {
                    // What has come is delivered when the program goes on reading.
                    return Ok(true);
                }
                self.do_flush()?;
            }
            State::Flushing => {
                self.encrypt()?;
                self.set_state(State::Shutdown)?;
                self.do_shutdown()?;
            }
            State::Shutdown => self.do_shutdown()?,
            State::Unwrapped => {}
        }
        Ok(false)
    }
}
