//! Where the records of a TLS stream end, as far as it has come.
//!
//! A TLS library that is asked for plaintext while less than a record is there answers with an
//! error, and making it costs more than decrypting a small record. The five bytes before each
//! record tell its length, so that nobody has to ask in vain.
//!
//! A stream that does not look like records (it is broken, or starts with the greeting of a
//! protocol before TLS) is not followed any further: then any byte may be of interest.

/// Bytes before each record: type, version (two), length (two).
const HEADER: usize = 5;

/// The longest record that a library would take: its plaintext and room for the encryption.
const LONGEST: usize = 16 * 1024 + 2048;

/// Follows a stream of records; positions count from its beginning.
#[derive(Default)]
pub struct TlsRecords {
    fed: u64,
    /// The end of the last record that is complete.
    complete: u64,
    header: [u8; HEADER],
    header_length: usize,
    /// What is missing of the current record's body.
    missing: usize,
    lost: bool,
}

impl TlsRecords {
    /// More of the stream has come.
    pub fn feed(&mut self, mut data: &[u8]) {
        self.fed += data.len() as u64;
        while !self.lost && !data.is_empty() {
            if self.header_length < HEADER {
                let count = data.len().min(HEADER - self.header_length);
                let (taken, rest) = data.split_at(count);
                self.header[self.header_length..][..count].copy_from_slice(taken);
                self.header_length += count;
                data = rest;
                if self.header_length == HEADER {
                    self.read_header();
                }
            } else {
                let count = data.len().min(self.missing);
                self.missing -= count;
                data = &data[count..];
            }
            if self.header_length == HEADER && self.missing == 0 {
                self.header_length = 0;
                self.complete = self.fed - data.len() as u64;
            }
        }
    }

    fn read_header(&mut self) {
        let [kind, major, _, high, low] = self.header;
        self.missing = usize::from(u16::from_be_bytes([high, low]));
        let known = (20..=24).contains(&kind) && major == 3;
        self.lost = !known || self.missing > LONGEST || self.missing == 0;
    }

    /// Bytes of the stream so far.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// The end of the last record that is complete; of a stream that is not followed, all.
    pub fn complete(&self) -> u64 {
        if self.lost { self.fed } else { self.complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![kind, 3, 3, high, low];
        bytes.resize(HEADER + usize::from(length), 0);
        bytes
    }

    /// However the stream is cut, a record counts from its last byte on and not before.
    #[test]
    fn every_cut_finds_the_same_ends() {
        let records = [record(22, 1), record(20, 1), record(23, 300), record(23, 17)];
        let stream = records.concat();
        let mut ends = vec![0];
        for record in &records {
            ends.push(ends[ends.len() - 1] + record.len());
        }
        for step in 1..=stream.len() {
            let mut followed = TlsRecords::default();
            let mut at = 0;
            for piece in stream.chunks(step) {
                followed.feed(piece);
                at += piece.len();
                let expected = ends.iter().rfind(|end| **end <= at).copied().unwrap_or(0);
                assert_eq!(followed.complete(), expected as u64, "step {step} at {at}");
            }
            assert_eq!(followed.fed(), stream.len() as u64);
        }
    }

    #[test]
    fn what_is_no_record_is_not_followed() {
        let streams: [&[u8]; 4] =
            [b"GET / HTTP/1.1\r\n", &[23, 3, 3, 0xff, 0xff], &[23, 2, 0, 0, 1], &[23, 3, 3, 0, 0]];
        for stream in streams {
            let mut followed = TlsRecords::default();
            followed.feed(stream);
            assert_eq!(followed.complete(), stream.len() as u64);
            followed.feed(b"x");
            assert_eq!(followed.complete(), stream.len() as u64 + 1);
        }
    }
}
