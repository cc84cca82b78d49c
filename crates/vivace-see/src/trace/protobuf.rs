//! As much of Protocol Buffers' encoding as the Perfetto writer needs.

/// A message that is being written.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    fn varint(&mut self, value: u64) {
        let mut value = value;
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    /// `uint32`, `uint64`, `enum`; also `int64` of what is not negative.
    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.key(field, 0);
        self.varint(value);
        self
    }

    /// `fixed64`.
    pub(super) fn fixed(&mut self, field: u32, value: u64) -> &mut Self {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// `double`.
    pub(super) fn double(&mut self, field: u32, value: f64) -> &mut Self {
        self.fixed(field, value.to_bits())
    }

    /// `string`, `bytes`.
    pub(super) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message inside this one.
    pub(super) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        // The examples of the specification: 150 in field 1, "testing" in field 2.
        let mut message = Message::default();
        message.number(1, 150).text(2, "testing");
        assert_eq!(message.0, b"\x08\x96\x01\x12\x07testing");
        let mut outer = Message::default();
        outer.message(3, &message).fixed(19, 1);
        assert_eq!(outer.0[..2], [0x1a, 12]);
        assert_eq!(outer.0[14..], [0x99, 0x01, 1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
