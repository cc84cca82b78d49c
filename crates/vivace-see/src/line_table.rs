//! `co_linetable`: which line and columns of the source an instruction stands for (CPython 3.11
//! and later).
//!
//! A table is a sequence of entries, each for some instructions: a byte with the kind of the entry
//! and how many code units it is for, then what its kind says. Lines are told as differences.

/// Where an instruction comes from. Columns are bytes of the line, from 0; unknown is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first line, from 1.
    pub line: i64,
    /// The last line.
    pub end_line: i64,
    /// The first column.
    pub column: Option<i64>,
    /// The column after the last.
    pub end_column: Option<i64>,
}

/// Some instructions with one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first in the code, in bytes.
    pub start: usize,
    /// The offset after the last.
    pub end: usize,
    /// None for instructions that stand for nothing in the source.
    pub position: Option<Position>,
}

/// The entries of a table, in order; ends early where the table makes no sense.
pub struct Spans<'a> {
    table: &'a [u8],
    offset: usize,
    line: i64,
}

/// Goes through a table; `first_line` is `co_firstlineno`.
pub fn spans(table: &[u8], first_line: i64) -> Spans<'_> {
    Spans { table, offset: 0, line: first_line }
}

/// The position of the instruction at an offset in bytes.
pub fn position(table: &[u8], first_line: i64, offset: usize) -> Option<Position> {
    spans(table, first_line).find(|span| offset < span.end)?.position
}

impl Spans<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.table.split_first()?;
        self.table = rest;
        Some(*first)
    }

    /// Six bits a byte, the least first; 64 says that more follow.
    fn unsigned(&mut self) -> Option<i64> {
        let mut value = 0_i64;
        for shift in (0..36).step_by(6) {
            let byte = self.byte()?;
            value |= i64::from(byte & 63) << shift;
            if byte & 64 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some(if value & 1 == 1 { -(value >> 1) } else { value >> 1 })
    }

    fn entry(&mut self) -> Option<Span> {
        let head = self.byte()?;
        if head & 0x80 == 0 {
            return None;
        }
        let start = self.offset;
        self.offset += 2 * (usize::from(head & 7) + 1);
        let position = match (head >> 3) & 15 {
            15 => None,
            14 => {
                self.line += self.signed()?;
                let end_line = self.line + self.unsigned()?;
                // One more than the column, so that 0 can mean that it is unknown.
                let column = self.unsigned()?.checked_sub(1).filter(|column| *column >= 0);
                let end_column = self.unsigned()?.checked_sub(1).filter(|column| *column >= 0);
                Some(Position { line: self.line, end_line, column, end_column })
            }
            13 => {
                self.line += self.signed()?;
                let line = self.line;
                Some(Position { line, end_line: line, column: None, end_column: None })
            }
            kind @ 10..=12 => {
                self.line += i64::from(kind) - 10;
                let (column, end) = (self.byte()?, self.byte()?);
                Some(self.on_one_line(i64::from(column), i64::from(end)))
            }
            kind => {
                let byte = i64::from(self.byte()?);
                let column = i64::from(kind) * 8 + ((byte >> 4) & 7);
                Some(self.on_one_line(column, column + (byte & 15)))
            }
        };
        Some(Span { start, end: self.offset, position })
    }

    fn on_one_line(&self, column: i64, end: i64) -> Position {
        Position {
            line: self.line,
            end_line: self.line,
            column: Some(column),
            end_column: Some(end),
        }
    }
}

impl Iterator for Spans<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let span = self.entry();
        if span.is_none() {
            self.table = &[];
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry() {
        let table = [
            0x80 | (15 << 3),    // nothing, one unit
            0x80 | (1 << 3) | 1, // short: columns from 8, two units
            0x23,
            0x80 | (11 << 3), // the next line, columns in bytes
            4,
            9,
            0x80 | (13 << 3), // a line back, no columns
            0b11,
            0x80 | (14 << 3), // 40 lines on, three lines, columns 0 and unknown
            64 | 16,
            1,
            2,
            1,
            0,
        ];
        let found: Vec<_> = spans(&table, 10).collect();
        let at = |line, end_line, column, end_column| {
            Some(Position { line, end_line, column, end_column })
        };
        let expected = [
            Span { start: 0, end: 2, position: None },
            Span { start: 2, end: 6, position: at(10, 10, Some(10), Some(13)) },
            Span { start: 6, end: 8, position: at(11, 11, Some(4), Some(9)) },
            Span { start: 8, end: 10, position: at(10, 10, None, None) },
            Span { start: 10, end: 12, position: at(50, 52, Some(0), None) },
        ];
        assert_eq!(found, expected);
        assert_eq!(position(&table, 10, 4), expected[1].position);
        assert_eq!(position(&table, 10, 0), None);
        assert_eq!(position(&table, 10, 12), None);
    }

    #[test]
    fn nonsense_ends() {
        assert_eq!(spans(&[0x00, 1, 2], 1).count(), 0);
        assert_eq!(spans(&[0x80 | (14 << 3), 127, 127], 1).count(), 0);
        assert_eq!(spans(&[0x80 | (13 << 3), 127, 127, 127, 127, 127, 127, 127], 1).count(), 0);
    }
}
