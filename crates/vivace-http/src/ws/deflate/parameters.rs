//! What is agreed on about compression (RFC 7692 section 7.1).

use std::fmt::Write;

use super::super::handshake::Extension;

/// The size of a window as the power of two that the RFC counts in, from 8 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 32 KiB, which is meant where nothing is said.
    pub const MAX: Self = Self(15);

    /// How many kinds of compressors there are: [`Self::index`] is below.
    pub(super) const COUNT: usize = 7;

    /// `bits`, if it is from 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// As a parameter says it: a number without leading zeros.
    fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [b'0', ..] => None,
            digits if digits.iter().all(u8::is_ascii_digit) => Self::new(value.parse().ok()?),
            _ => None,
        }
    }

    /// The bits for zlib, which has no window of 8. With 9 it refers back by 250 bytes at most,
    /// as it keeps away from the end of its window: a window of 8 suffices to read that.
    pub(super) const fn value(self) -> u8 {
        if self.0 < 9 { 9 } else { self.0 }
    }

    pub(super) const fn index(self) -> usize {
        self.value() as usize - 9
    }

    pub(super) const fn window_size(self) -> usize {
        1 << self.0
    }
}

/// What the server wants of compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Messages to the client never refer to earlier ones.
    pub server_no_context_takeover: bool,
    /// Messages from the client must not refer to earlier ones.
    pub client_no_context_takeover: bool,
    /// How far messages to the client refer back at most.
    pub server_max_window_bits: WindowBits,
    /// How far messages from the client may refer back, if it can be told so.
    pub client_max_window_bits: WindowBits,
}

impl Default for Settings {
    /// As the `websockets` library, and so uvicorn, answers.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits(12),
            client_max_window_bits: WindowBits(12),
        }
    }
}

/// What client and server agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Messages to the client do not refer to earlier ones.
    pub server_no_context_takeover: bool,
    /// Messages from the client do not refer to earlier ones.
    pub client_no_context_takeover: bool,
    /// How far messages to the client may refer back.
    pub server_max_window_bits: WindowBits,
    /// How far messages from the client may refer back.
    pub client_max_window_bits: WindowBits,
}

/// What one offer of a client says.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// The outer one: whether the client understands the parameter.
    client_max_window_bits: Option<Option<WindowBits>>,
}

const NAME: &str = "permessage-deflate";

/// Accepts the first offer that can be met: what is agreed on, and the value of the response's
/// `Sec-WebSocket-Extensions`. Offers with parameters that are unknown, twice there or invalid
/// are declined (section 7.1).
pub(in crate::ws) fn negotiate(
    offers: &[Extension],
    settings: &Settings,
) -> Option<(Parameters, String)> {
    let offers = offers.iter().filter(|extension| extension.name == NAME);
    offers.filter_map(Offer::read).map(|offer| offer.accept(settings)).next()
}

impl Offer {
    fn read(extension: &Extension) -> Option<Self> {
        let mut offer = Self::default();
        for (name, value) in &extension.parameters {
            match (name.as_str(), value.as_deref()) {
                ("server_no_context_takeover", None) if !offer.server_no_context_takeover => {
                    offer.server_no_context_takeover = true;
                }
                ("client_no_context_takeover", None) if !offer.client_no_context_takeover => {
                    offer.client_no_context_takeover = true;
                }
                ("server_max_window_bits", Some(bits))
                    if offer.server_max_window_bits.is_none() =>
                {
                    offer.server_max_window_bits = Some(WindowBits::parse(bits)?);
                }
                ("client_max_window_bits", bits) if offer.client_max_window_bits.is_none() => {
                    offer.client_max_window_bits = Some(match bits {
                        Some(bits) => Some(WindowBits::parse(bits)?),
                        None => None,
                    });
                }
                _ => return None,
            }
        }
        Some(offer)
    }

    fn accept(self, settings: &Settings) -> (Parameters, String) {
        let server_bits =
            self.server_max_window_bits.map_or(settings.server_max_window_bits, |bits| {
                bits.min(settings.server_max_window_bits)
            });
        // A client that does not name the parameter cannot be told its value.
        let client_bits = self.client_max_window_bits.map_or(WindowBits::MAX, |hint| {
            hint.unwrap_or(WindowBits::MAX).min(settings.client_max_window_bits)
        });
        let parameters = Parameters {
            server_no_context_takeover: self.server_no_context_takeover
                || settings.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover
                || settings.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        };
        let mut answer = NAME.to_owned();
        if parameters.server_no_context_takeover {
            answer.push_str("; server_no_context_takeover");
        }
        if parameters.client_no_context_takeover {
            answer.push_str("; client_no_context_takeover");
        }
        // Asked for, it must be in the answer.
        if self.server_max_window_bits.is_some() || server_bits < WindowBits::MAX {
            let _ = write!(answer, "; server_max_window_bits={}", server_bits.0);
        }
        if client_bits < WindowBits::MAX {
            let _ = write!(answer, "; client_max_window_bits={}", client_bits.0);
        }
        (parameters, answer)
    }
}
