//! When to send a ping, and when a peer that does not answer is given up.
//!
//! Time is a number that the caller passes: how long it is since any fixed moment.

use std::time::Duration;

/// Pings of one connection.
#[derive(Debug)]
pub struct Keepalive {
    interval: Duration,
    /// `None`: pings are sent, and nobody minds if they are not answered.
    timeout: Option<Duration>,
    /// When the last ping was sent; at first, when the connection was made.
    sent: Duration,
    awaits_pong: bool,
    count: u32,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this moment.
    Wait(Duration),
    /// Send a ping with this payload, and ask again.
    Ping([u8; 4]),
    /// The peer did not answer in time: close with 1011, as `websockets` does, and give it up.
    TimedOut,
}

impl Keepalive {
    /// The first ping comes `interval` after `now`, the next ones each so long after the one
    /// before, or when that is answered, if that takes longer.
    pub fn new(interval: Duration, timeout: Option<Duration>, now: Duration) -> Self {
        Self { interval, timeout, sent: now, awaits_pong: false, count: 0 }
    }

    /// What is to be done at `now`.
    pub fn step(&mut self, now: Duration) -> Step {
        if let (true, Some(timeout)) = (self.awaits_pong, self.timeout) {
            let end = self.sent.saturating_add(timeout);
            return if now < end { Step::Wait(end) } else { Step::TimedOut };
        }
        let next = self.sent.saturating_add(self.interval);
        if now < next {
            return Step::Wait(next);
        }
        self.sent = now;
        self.awaits_pong = true;
        self.count = self.count.wrapping_add(1);
        Step::Ping(self.count.to_be_bytes())
    }

    /// A pong arrived; one with another payload than the last ping's is no answer. Ask for the
    /// next step.
    pub fn pong(&mut self, payload: &[u8]) {
        if payload == self.count.to_be_bytes() {
            self.awaits_pong = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn answered_pings_follow_each_other() {
        let mut keepalive = Keepalive::new(at(20), Some(at(5)), at(100));
        assert_eq!(keepalive.step(at(100)), Step::Wait(at(120)));
        assert_eq!(keepalive.step(at(119)), Step::Wait(at(120)));
        assert_eq!(keepalive.step(at(121)), Step::Ping([0, 0, 0, 1]));
        assert_eq!(keepalive.step(at(121)), Step::Wait(at(126)));
        keepalive.pong(&[0, 0, 0, 1]);
        assert_eq!(keepalive.step(at(122)), Step::Wait(at(141)));
        assert_eq!(keepalive.step(at(141)), Step::Ping([0, 0, 0, 2]));
    }

    #[test]
    fn no_answer_or_a_wrong_one() {
        let mut keepalive = Keepalive::new(at(20), Some(at(5)), at(0));
        assert_eq!(keepalive.step(at(20)), Step::Ping([0, 0, 0, 1]));
        keepalive.pong(b"");
        keepalive.pong(&[0, 0, 0, 9]);
        assert_eq!(keepalive.step(at(24)), Step::Wait(at(25)));
        assert_eq!(keepalive.step(at(25)), Step::TimedOut);
    }

    #[test]
    fn a_late_answer_delays_the_next_ping() {
        let mut keepalive = Keepalive::new(at(20), Some(at(50)), at(0));
        assert_eq!(keepalive.step(at(20)), Step::Ping([0, 0, 0, 1]));
        assert_eq!(keepalive.step(at(45)), Step::Wait(at(70)));
        keepalive.pong(&[0, 0, 0, 1]);
        assert_eq!(keepalive.step(at(46)), Step::Ping([0, 0, 0, 2]));
    }

    #[test]
    fn without_a_timeout_answers_do_not_matter() {
        let mut keepalive = Keepalive::new(at(20), None, at(0));
        assert_eq!(keepalive.step(at(20)), Step::Ping([0, 0, 0, 1]));
        assert_eq!(keepalive.step(at(21)), Step::Wait(at(40)));
        assert_eq!(keepalive.step(at(40)), Step::Ping([0, 0, 0, 2]));
    }
}
