//! A decompressor (RFC 1951) that minds how far data refers back: libraries let more pass than
//! was agreed on. Slow, and as the RFC has it.

/// The context of a connection: everything that was received.
pub(crate) struct Inflate {
    output: Vec<u8>,
    window: usize,
}

impl Inflate {
    pub(crate) fn new(window_bits: u8) -> Self {
        Self { output: vec![], window: 1 << window_bits }
    }

    /// What `input`, which ends with an empty stored block, becomes.
    pub(crate) fn message(&mut self, input: &[u8]) -> Vec<u8> {
        let start = self.output.len();
        let mut bits = Bits { input, position: 0 };
        while bits.position + 8 <= input.len() * 8 {
            assert_eq!(bits.take(1), 0, "the last block of a stream");
            match bits.take(2) {
                0 => self.stored(&mut bits),
                1 => {
                    let lengths: Vec<u8> =
                        (0..288).map(|symbol| [8, 9, 7, 8][class(symbol)]).collect();
                    self.compressed(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]));
                }
                2 => {
                    let (literals, distances) = dynamic(&mut bits);
                    self.compressed(&mut bits, &literals, &distances);
                }
                kind => panic!("a block of kind {kind}"),
            }
        }
        self.output[start..].to_vec()
    }

    fn stored(&mut self, bits: &mut Bits<'_>) {
        bits.position = bits.position.next_multiple_of(8);
        let len = bits.take(16);
        assert_eq!(bits.take(16), !len & 0xffff);
        for _ in 0..len {
            self.output.push(bits.take(8) as u8);
        }
    }

    fn compressed(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) {
        loop {
            let symbol = literals.read(bits);
            let len = match symbol {
                0..256 => {
                    self.output.push(symbol as u8);
                    continue;
                }
                256 => return,
                257..265 => symbol - 254,
                265..285 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 261) % 4) << extra) + 3 + bits.take(extra)
                }
                _ => 258,
            };
            let distance = match distances.read(bits) {
                code @ 0..4 => code + 1,
                code => {
                    let extra = code / 2 - 1;
                    ((2 + code % 2) << extra) + 1 + bits.take(extra)
                }
            };
            let distance = distance as usize;
            assert!(distance <= self.window, "{distance} bytes back");
            for _ in 0..len {
                self.output.push(self.output[self.output.len() - distance]);
            }
        }
    }
}

/// To which of the four ranges of the fixed code a symbol belongs.
fn class(symbol: usize) -> usize {
    [144, 256, 280].iter().filter(|&&end| symbol >= end).count()
}

/// The codes at the beginning of a block that has its own.
fn dynamic(bits: &mut Bits<'_>) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5) as usize + 257;
    let distances = bits.take(5) as usize + 1;
    let mut lengths = [0; 19];
    for &symbol in &ORDER[..bits.take(4) as usize + 4] {
        lengths[symbol] = bits.take(3) as u8;
    }
    let code = Code::new(&lengths);
    let mut lengths = vec![];
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits) {
            16 => (lengths[lengths.len() - 1], 3 + bits.take(2)),
            17 => (0, 3 + bits.take(3)),
            18 => (0, 11 + bits.take(7)),
            length => (length as u8, 1),
        };
        lengths.extend((0..times).map(|_| length));
    }
    (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]))
}

/// A Huffman code: its symbols by length and bits.
struct Code {
    symbols: std::collections::HashMap<(u8, u32), u32>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut symbols = std::collections::HashMap::new();
        let mut next = 0;
        for length in 1..16 {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, other)| **other == length) {
                symbols.insert((length, next), symbol as u32);
                next += 1;
            }
            next <<= 1;
        }
        Self { symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> u32 {
        let mut code = 0;
        for length in 1..16 {
            code = code << 1 | bits.take(1);
            if let Some(&symbol) = self.symbols.get(&(length, code)) {
                return symbol;
            }
        }
        panic!("no such code")
    }
}

struct Bits<'input> {
    input: &'input [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, index| {
            let bit = self.input[self.position / 8] >> (self.position % 8) & 1;
            self.position += 1;
            value | u32::from(bit) << index
        })
    }
}
