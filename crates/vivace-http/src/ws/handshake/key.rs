//! `Sec-WebSocket-Accept`, which proves that the server has read the client's key as such.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The length of a key: 16 bytes in base64.
const KEY_LEN: usize = 24;

/// The RFC's own example of a key ends in bits that a strict reader would refuse.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The answer to `key`, if that is the base64 of 16 bytes.
pub(super) fn accept(key: &[u8]) -> Option<String> {
    if key.len() != KEY_LEN || LENIENT.decode(key).ok()?.len() != 16 {
        return None;
    }
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    Some(LENIENT.encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let accepted = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(accept(b"AQIDBAUGBwgJCgsMDQ4PEC==").is_some()); // section 4.1
    }

    #[test]
    fn keys_of_another_length_or_alphabet_are_refused() {
        for key in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ",     // no padding
            b"dGhlIHNhbXBsZSBub25jZQ=",    // too little of it
            b"dGhlIHNhbXBsZSBub25jZWU=",   // 17 bytes
            b"dGhlIHNhbXBsZSBub25jZWVl",   // 18 bytes, in as many characters as 16
            b"dGhlIHNhbXBsZSBub24=",       // 14 bytes
            b"dGhlIHNhbXBsZSBub25j_Q==",   // the alphabet for URLs
            b"dGhlIHNhbXBsZSBub25jZQ==\n", // one more byte
            b"dGhlIHNhbXBsZ Bub25jZQ==",
        ] {
            assert_eq!(accept(key), None, "{:?}", String::from_utf8_lossy(key));
        }
    }
}
