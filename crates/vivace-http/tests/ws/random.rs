//! Numbers that look random and are the same in each run.

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Mostly a small number, at times a large one.
    pub(crate) fn len(&mut self) -> usize {
        match self.below(12) {
            0 => 0,
            1..7 => self.below(40),
            7..10 => self.below(600),
            10 => 120 + self.below(10),
            _ => self.below(70_000),
        }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Text that compresses, with characters of one to four bytes.
    pub(crate) fn text(&mut self, len: usize) -> String {
        const WORDS: [&str; 8] = ["{\"id\":", "name", "größe", "€", "😀", ",", "value\":", " "];
        let mut text = String::new();
        while text.len() < len {
            match self.below(3) {
                0 => text.push_str(&self.below(1000).to_string()),
                _ => text.push_str(WORDS[self.below(WORDS.len())]),
            }
        }
        text
    }
}
