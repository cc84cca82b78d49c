//! Masking (RFC 6455 section 5.3): each byte from a client is XORed with one of four.

/// Bytes copied before they are unmasked: few enough to be in the first cache still, and a
/// multiple of four.
const BLOCK: usize = 8 * 1024;

/// How many bytes are XORed at once: the compiler makes vector instructions of it.
const LANE: usize = 32;

/// The masking key of a frame, turned so that its first byte is for the next byte of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    key: [u8; 4],
}

impl Mask {
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Appends the next `payload` of the frame to `out`, unmasked.
    pub(super) fn append(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(payload.len());
        for block in payload.chunks(BLOCK) {
            let start = out.len();
            out.extend_from_slice(block);
            self.unmask(&mut out[start..]);
        }
    }

    /// Unmasks the next `payload` of the frame in place.
    pub(super) fn unmask(&mut self, payload: &mut [u8]) {
        let mut lane = [0; LANE];
        for part in lane.chunks_exact_mut(4) {
            part.copy_from_slice(&self.key);
        }
        let mut chunks = payload.chunks_exact_mut(LANE);
        for chunk in &mut chunks {
            for (byte, key) in chunk.iter_mut().zip(&lane) {
                *byte ^= key;
            }
        }
        let rest = chunks.into_remainder();
        for (byte, key) in rest.iter_mut().zip(&lane) {
            *byte ^= key;
        }
        // A lane is a multiple of four: only the rest turns the key.
        self.key.rotate_left(rest.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x11, 0x2a, 0xf3, 0x84];

    fn plainly(payload: &[u8]) -> Vec<u8> {
        payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    #[test]
    fn any_length_and_any_split_give_what_the_rfc_says() {
        // Two lanes and what is left; under Miri less, as each byte takes its time there.
        let longest = if cfg!(miri) { 40 } else { 100 };
        let payload: Vec<u8> = (0..longest).collect();
        for len in 0..payload.len() {
            let payload = &payload[..len];
            for split in 0..=len {
                let mut mask = Mask::new(KEY);
                let mut out = vec![];
                mask.append(&payload[..split], &mut out);
                mask.append(&payload[split..], &mut out);
                assert_eq!(out, plainly(payload), "{len} bytes, split at {split}");
            }
        }
    }

    #[test]
    fn blocks_follow_each_other() {
        let payload: Vec<u8> = (0..3 * BLOCK + 7).map(|index| (index * 31 % 251) as u8).collect();
        let mut out = b"before".to_vec();
        let mut mask = Mask::new(KEY);
        mask.append(&payload[..BLOCK + 1], &mut out);
        mask.append(&payload[BLOCK + 1..], &mut out);
        assert_eq!(&out[..6], b"before");
        assert_eq!(out[6..], plainly(&payload));
    }
}
