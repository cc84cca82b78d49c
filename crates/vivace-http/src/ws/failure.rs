//! Why a connection must be failed (RFC 6455 section 7.1.7), and with which close code.

use std::fmt;

use super::close_frame::CloseCode;

/// The peer broke a rule: send a close frame with this code and reason, then drop the connection.
///
/// [`Closing::fail`](super::Closing::fail) writes that frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The close code to send.
    pub code: CloseCode,
    /// What was wrong, for the peer and for the log. Shorter than a close frame allows.
    pub reason: &'static str,
}

impl Failure {
    pub(super) const fn protocol(reason: &'static str) -> Self {
        Self { code: CloseCode::PROTOCOL_ERROR, reason }
    }

    pub(super) const fn invalid_data(reason: &'static str) -> Self {
        Self { code: CloseCode::INVALID_DATA, reason }
    }

    pub(super) const fn too_big(reason: &'static str) -> Self {
        Self { code: CloseCode::MESSAGE_TOO_BIG, reason }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.code.value())
    }
}

impl std::error::Error for Failure {}
