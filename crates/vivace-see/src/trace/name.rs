//! The words of a timeline, each written once and then meant by its number.
//!
//! In bytes: number and line (32 bits each), length of the text and of the file (16 bits each),
//! then both in UTF-8. Texts that are longer are cut.

use std::collections::HashMap;

/// A function with its place, a line that made a task, the name of a task, what is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name {
    /// `worker`, `Lock.acquire`, `Task-7`.
    pub text: String,
    /// The file it stands in; empty if it stands in none.
    pub file: String,
    /// The line of the file.
    pub line: u32,
}

/// The longest text, in bytes.
const LONGEST: usize = 1024;

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Name {
    /// Appends it, with its number.
    pub fn write(&self, number: u32, bytes: &mut Vec<u8>) {
        let (text, file) = (cut(&self.text), cut(&self.file));
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&self.line.to_le_bytes());
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(file.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(file.as_bytes());
    }

    /// Reads one, with its number, and takes it off; nothing if the bytes end before it does.
    pub fn read(bytes: &mut &[u8]) -> Option<(u32, Self)> {
        let (head, rest) = bytes.split_at_checked(12)?;
        let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let word = |at: usize| u32::from(half(at)) | u32::from(half(at + 2)) << 16;
        let (text, rest) = rest.split_at_checked(usize::from(half(8)))?;
        let (file, rest) = rest.split_at_checked(usize::from(half(10)))?;
        *bytes = rest;
        let string = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        Some((word(0), Self { text: string(text), file: string(file), line: word(4) }))
    }
}

/// Gives numbers to names, from 1 on.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Name, u32>,
}

impl Names {
    /// The number of a name, and whether it is new: then it has to be written.
    pub fn number(&mut self, name: &Name) -> (u32, bool) {
        if let Some(number) = self.numbers.get(name) {
            return (*number, false);
        }
        let number = self.numbers.len() as u32 + 1;
        self.numbers.insert(name.clone(), number);
        (number, true)
    }

    /// The same, unless it is new and there are `most` already.
    pub fn number_of_few(&mut self, name: &Name, most: usize) -> Option<(u32, bool)> {
        if self.numbers.len() >= most && !self.numbers.contains_key(name) {
            return None;
        }
        Some(self.number(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let names = [
            Name { text: "Ärger<b>\u{1b}".into(), file: "a/b.py".into(), line: 70_000 },
            Name::default(),
        ];
        let mut bytes = Vec::new();
        for (number, name) in (7..).zip(&names) {
            name.write(number, &mut bytes);
        }
        let mut rest = bytes.as_slice();
        assert_eq!(Name::read(&mut rest), Some((7, names[0].clone())));
        assert_eq!(Name::read(&mut rest), Some((8, names[1].clone())));
        assert!(rest.is_empty());
        assert_eq!(Name::read(&mut rest), None);
        for end in 0..bytes.len() - 1 {
            let mut part = &bytes[..end];
            while Name::read(&mut part).is_some() {}
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let name = Name { text: "€".repeat(1000), ..Name::default() };
        let mut bytes = Vec::new();
        name.write(1, &mut bytes);
        let (_, read) = Name::read(&mut bytes.as_slice()).expect("it is whole");
        assert_eq!(read.text, "€".repeat(341));
    }

    #[test]
    fn the_same_name_has_the_same_number() {
        let mut names = Names::default();
        let name = Name { text: "worker".into(), file: "a.py".into(), line: 3 };
        assert_eq!(names.number(&name), (1, true));
        assert_eq!(names.number(&Name { line: 4, ..name.clone() }), (2, true));
        assert_eq!(names.number(&name), (1, false));
        assert_eq!(names.number_of_few(&name, 2), Some((1, false)));
        assert_eq!(names.number_of_few(&Name::default(), 2), None);
    }
}
