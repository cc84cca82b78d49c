//! The beginning: the handshake, its time limit, and what is known after it.

use super::engine::{Engine, Progress};
use super::failure::ordinary;
use super::protocol::TlsProtocol;
use super::state::{State, Told};
use crate::ffi::tls_imports::tls_imports;
use crate::ffi::{Builtin, Instance, Object, Owned, Raised, Result, error, imports, names, text};

impl Instance<TlsProtocol> {
    pub(super) fn start_handshake(&self) -> Result<()> {
        if self.debug() {
            self.log_debug("%r starts SSL handshake", &[])?;
            let event_loop = self.event_loop()?;
            let now = text::to_f64(&*event_loop.object().call_method(&names().time, &[])?)?;
            self.waits.started.set(Some(now));
        }
        self.set_state(State::Handshake)?;
        let waits = &self.waits;
        let timeout = &self.request.handshake_timeout;
        self.start_timer(&waits.handshake_timer, timeout, &names().check_handshake_timeout)?;
        self.do_handshake()
    }

    /// The time is up.
    pub(super) fn check_handshake_timeout(&self) -> Result<()> {
        if self.state.get() != State::Handshake {
            return Ok(());
        }
        let timeout = text::str_of(&self.request.handshake_timeout.get_or_none())?;
        let timeout = text::to_string_lossy(&timeout);
        let message = format!(
            "SSL handshake is taking longer than {timeout} seconds: aborting the connection"
        );
        let class = Builtin::ConnectionAborted.object();
        let exception = class.call(&[&*text::string(&message)?])?;
        self.fatal_error(&exception, "Fatal error on transport")
    }

    pub(super) fn do_handshake(&self) -> Result<()> {
        match self.engine.handshake() {
            Ok(Progress::Waiting) => self.send_output(),
            Ok(Progress::Done) => self.handshake_complete(None),
            Err(raised) if raised.matches(&tls_imports()?.ssl_error) => {
                let exception = raised.fetch();
                self.handshake_complete(Some(exception))
            }
            Err(raised) => Err(raised),
        }
    }

    /// The handshake is over, for better or worse.
    pub(super) fn handshake_complete(&self, exception: Option<Owned>) -> Result<()> {
        self.cancel_timer(&self.waits.handshake_timer)?;
        let certificate = match exception {
            Some(exception) => Err(error::raise_instance(exception)),
            None => self
                .set_state(State::Wrapped)
                .and_then(|()| self.engine.ssl_object().call_method(&names().getpeercert, &[])),
        };
        match certificate {
            Ok(certificate) => self.handshake_succeeded(&certificate),
            Err(raised) => self.handshake_failed(raised),
        }
    }

    fn handshake_failed(&self, raised: Raised) -> Result<()> {
        let exception = ordinary(raised)?;
        self.state.set(State::Unwrapped);
        let verifying = error::is_exception_of(&exception, &tls_imports()?.certificate_error);
        let message = if verifying {
            "SSL handshake failed on verifying the certificate"
        } else {
            "SSL handshake failed"
        };
        self.fatal_error(&exception, message)?;
        self.wake_waiter(Some(&exception))
    }

    fn handshake_succeeded(&self, certificate: &Object) -> Result<()> {
        if let Some(started) = self.waits.started.get() {
            let event_loop = self.event_loop()?;
            let now = text::to_f64(&*event_loop.object().call_method(&names().time, &[])?)?;
            let taken = text::float((now - started) * 1e3)?;
            self.log_debug("%r: SSL handshake took %.1f ms", &[&taken])?;
        }
        let ssl_object = self.engine.ssl_object();
        let extra = self.extra.get_or_none();
        let (names, set) = (names(), text::dict_set);
        set(&extra, &names.peercert, certificate)?;
        set(&extra, &names.cipher, &*ssl_object.call_method(&names.cipher, &[])?)?;
        set(&extra, &names.compression, &*ssl_object.call_method(&names.compression, &[])?)?;
        set(&extra, &names.ssl_object, &ssl_object)?;
        if self.told.get() == Told::Nothing {
            self.told.set(Told::Made);
            if let (Some(protocol), Some(transport)) =
                (self.app_protocol.get(), self.app_transport.get())
            {
                protocol.call_method(&names.connection_made, &[transport.object()])?;
            }
        }
        self.wake_waiter(None)?;
        self.do_read()
    }

    /// A line in asyncio's log, about this protocol.
    pub(super) fn log_debug(&self, format: &str, args: &[&Object]) -> Result<()> {
        let format = text::string(format)?;
        let mut all = vec![&*format, self.object()];
        all.extend(args);
        imports().logger.getattr(&*text::interned("debug")?)?.call(&all).map(drop)
    }
}
