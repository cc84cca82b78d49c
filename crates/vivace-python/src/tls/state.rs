//! The states of a TLS connection and what may follow what.
//!
//! ```text
//!                      connection_made        handshake done
//!      UNWRAPPED ──────────────────> DO_HANDSHAKE ──────────> WRAPPED
//!          ^                              │                      │ close(), close_notify
//!          │                              │                      │ or end of the peer
//!          │       closed, lost, failed   v                      v
//!          └──────────────<───────────────┴───── SHUTDOWN <── FLUSHING
//!                     (from every state)       our close_notify
//!                                              is on its way
//! ```
//!
//! - *UNWRAPPED*: no TLS yet, or no more.
//! - *DO_HANDSHAKE*: what the program writes waits.
//! - *WRAPPED*: bytes go both ways.
//! - *FLUSHING*: the program writes no more; what it wrote is encrypted, what came is delivered.
//! - *SHUTDOWN*: `close_notify` is said; the peer's is waited for.
//!
//! Beside it the program's protocol has a life of its own: each callback comes once, in order.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unwrapped,
    Handshake,
    Wrapped,
    Flushing,
    Shutdown,
}

impl State {
    /// Whether `next` may follow.
    pub(super) fn allows(self, next: Self) -> bool {
        matches!(
            (self, next),
            (_, Self::Unwrapped)
                | (Self::Unwrapped, Self::Handshake)
                | (Self::Handshake, Self::Wrapped)
                | (Self::Wrapped, Self::Flushing)
                | (Self::Flushing, Self::Shutdown)
        )
    }

    /// asyncio's name of it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unwrapped => "SSLProtocolState.UNWRAPPED",
            Self::Handshake => "SSLProtocolState.DO_HANDSHAKE",
            Self::Wrapped => "SSLProtocolState.WRAPPED",
            Self::Flushing => "SSLProtocolState.FLUSHING",
            Self::Shutdown => "SSLProtocolState.SHUTDOWN",
        }
    }

    /// Whether the program can write no more.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Flushing | Self::Shutdown | Self::Unwrapped)
    }
}

/// What the program's protocol has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// `connection_made`.
    Made,
    /// `eof_received`.
    Eof,
    /// `connection_lost`.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::State;

    const ALL: [State; 5] =
        [State::Unwrapped, State::Handshake, State::Wrapped, State::Flushing, State::Shutdown];

    #[test]
    fn goes_forward_one_step_or_back_to_the_beginning() {
        for (index, state) in ALL.into_iter().enumerate() {
            for (next_index, next) in ALL.into_iter().enumerate() {
                let expected = next_index == 0 || next_index == index + 1;
                assert_eq!(state.allows(next), expected, "{state:?} -> {next:?}");
            }
        }
    }
}
