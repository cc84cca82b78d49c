//! The closing handshake (RFC 6455 section 7), from either side.
//!
//! ```text
//!            begin                      receive
//!  Open ───────────────▶ Waiting ──────────────────▶ Done
//!   │                                                 ▲
//!   └─ receive (and answer), fail ────────────────────┘
//! ```
//!
//! When it is done, what was written is to be sent and the connection to be closed, by the server
//! first (section 7.1.1). While it waits, how long is the caller's matter.

use super::close_frame::{CloseCode, CloseFrame, fitting};
use super::encoder::control;
use super::failure::Failure;
use super::frame::Opcode;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Messages may be sent.
    #[default]
    Open,
    /// Our close frame was sent, and the peer's is waited for. Nothing more may be sent.
    Waiting,
    /// Close the connection.
    Done,
}

/// The closing handshake of one connection.
#[derive(Debug, Default)]
pub struct Closing {
    phase: Phase,
    received: Option<CloseFrame>,
    restarts: bool,
}

/// What an application hears of the end: ASGI's `websocket.disconnect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// The peer's code; 1005 if its frame had none, 1006 if there was no frame. 1012 if there
    /// was none because the server restarts.
    pub code: u16,
    /// The peer's reason.
    pub reason: &'a str,
}

impl Disconnect<'_> {
    const NO_STATUS: u16 = 1005;
    const ABNORMAL: u16 = 1006;
}

impl Closing {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The application closes: appends a close frame, unless one was sent. A reason that is too
    /// long is cut; without a code there is none.
    pub fn begin(&mut self, code: Option<CloseCode>, reason: &str, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            write(code, reason, out);
            self.phase = Phase::Waiting;
        }
    }

    /// The server restarts: closes with 1012, which the application hears, too.
    pub fn restart(&mut self, out: &mut Vec<u8>) {
        self.restarts = true;
        self.begin(Some(CloseCode::SERVICE_RESTART), "", out);
    }

    /// The peer broke a rule: says so, unless a close frame was sent.
    pub fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.begin(Some(failure.code), failure.reason, out);
        self.phase = Phase::Done;
    }

    /// The peer's close frame: answers it with the same, unless it was an answer itself.
    pub fn receive(&mut self, frame: CloseFrame, out: &mut Vec<u8>) {
        self.begin(frame.code, &frame.reason, out);
        self.received = Some(frame);
        self.phase = Phase::Done;
    }

    /// What the application hears: call it when the handshake is done, or the connection lost.
    pub fn disconnect(&self) -> Disconnect<'_> {
        match &self.received {
            Some(frame) => Disconnect {
                code: frame.code.map_or(Disconnect::NO_STATUS, CloseCode::value),
                reason: &frame.reason,
            },
            None if self.restarts => {
                Disconnect { code: CloseCode::SERVICE_RESTART.value(), reason: "" }
            }
            None => Disconnect { code: Disconnect::ABNORMAL, reason: "" },
        }
    }
}

fn write(code: Option<CloseCode>, reason: &str, out: &mut Vec<u8>) {
    let mut payload = vec![];
    if let Some(code) = code {
        payload.extend_from_slice(&code.value().to_be_bytes());
        payload.extend_from_slice(fitting(reason).as_bytes());
    }
    control(Opcode::Close, &payload, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(code: u16, reason: &str) -> CloseFrame {
        CloseFrame { code: CloseCode::new(code), reason: reason.into() }
    }

    #[test]
    fn the_peer_closes() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.receive(frame(4009, "late"), &mut out);
        assert_eq!(out, b"\x88\x06\x0f\xa9late");
        assert_eq!(closing.phase(), Phase::Done);
        assert_eq!(closing.disconnect(), Disconnect { code: 4009, reason: "late" });
        closing.begin(Some(CloseCode::NORMAL), "", &mut out);
        assert_eq!(out.len(), 8, "one close frame");
    }

    #[test]
    fn the_peer_closes_without_a_code() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.receive(CloseFrame::default(), &mut out);
        assert_eq!(out, b"\x88\x00");
        assert_eq!(closing.disconnect(), Disconnect { code: 1005, reason: "" });
    }

    #[test]
    fn the_application_closes() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.begin(Some(CloseCode::NORMAL), &"x".repeat(200), &mut out);
        assert_eq!(out[..4], *b"\x88\x7d\x03\xe8");
        assert_eq!(out.len(), 127);
        assert_eq!(closing.phase(), Phase::Waiting);
        assert_eq!(closing.disconnect().code, 1006);
        closing.receive(frame(1000, ""), &mut out);
        assert_eq!(out.len(), 127, "an answer is not answered");
        assert_eq!(closing.phase(), Phase::Done);
        assert_eq!(closing.disconnect(), Disconnect { code: 1000, reason: "" });
    }

    #[test]
    fn a_reason_needs_a_code() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.begin(None, "why", &mut out);
        assert_eq!(out, b"\x88\x00");
    }

    #[test]
    fn the_connection_is_lost() {
        let closing = Closing::default();
        assert_eq!(closing.phase(), Phase::Open);
        assert_eq!(closing.disconnect(), Disconnect { code: 1006, reason: "" });
    }

    #[test]
    fn the_server_restarts() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.restart(&mut out);
        assert_eq!(out, b"\x88\x02\x03\xf4");
        assert_eq!(closing.phase(), Phase::Waiting);
        assert_eq!(closing.disconnect(), Disconnect { code: 1012, reason: "" });
        closing.receive(frame(1001, "page left"), &mut out);
        assert_eq!(closing.disconnect(), Disconnect { code: 1001, reason: "page left" });
    }

    #[test]
    fn a_restart_after_our_own_close_frame_says_nothing_more() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.begin(Some(CloseCode::NORMAL), "", &mut out);
        closing.restart(&mut out);
        assert_eq!(out, b"\x88\x02\x03\xe8");
        assert_eq!(closing.disconnect().code, 1012);
    }

    #[test]
    fn a_broken_rule_ends_it_at_once() {
        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.fail(&Failure::protocol("reserved opcode"), &mut out);
        assert_eq!(out, b"\x88\x11\x03\xeareserved opcode");
        assert_eq!(closing.phase(), Phase::Done);
        assert_eq!(closing.disconnect().code, 1006);

        let (mut closing, mut out) = (Closing::default(), vec![]);
        closing.begin(Some(CloseCode::NORMAL), "", &mut out);
        closing.fail(&Failure::protocol("reserved opcode"), &mut out);
        assert_eq!(out, b"\x88\x02\x03\xe8", "after a close frame nothing may follow");
        assert_eq!(closing.phase(), Phase::Done);
    }
}
