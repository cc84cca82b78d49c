//! The sections of a program or library, as its file has them.
//!
//! Only what finding a section by its name takes, of 64-bit files in this machine's byte order.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Of the file's header: its size, and where the table of sections and its numbers stand.
const HEADER: usize = 64;
const TABLE: usize = 40;
const ENTRY_SIZE: usize = 58;
/// Of an entry: its size, and what it says of its section.
const ENTRY: usize = 64;
const NAME: usize = 0;
const KIND: usize = 4;
const OFFSET: usize = 24;
const SIZE: usize = 32;
/// The kind of a section that takes no room in the file.
const WITHOUT_BYTES: u32 = 8;
/// Larger ones are not read.
const MOST: usize = 1 << 20;

/// The bytes of the section called `name`, if the file can be read and has one.
pub fn section(file: &Path, name: &str) -> Option<Vec<u8>> {
    let file = File::open(file).ok()?;
    let header = read(&file, 0, HEADER)?;
    let little = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[..6] != [0x7f, b'E', b'L', b'F', 2, little] {
        return None;
    }
    let [size, count, of_names] = [0, 2, 4].map(|at| half(&header, ENTRY_SIZE + at));
    if size? != ENTRY {
        return None;
    }
    let table = read(&file, word(&header, TABLE)?, ENTRY * count?)?;
    let entries: Vec<&[u8]> = table.chunks_exact(ENTRY).collect();
    let names = contents(&file, entries.get(of_names?)?)?;
    let wanted = entries.into_iter().find(|entry| {
        let begin = number(entry, NAME).map(|at| at as usize);
        let rest = begin.and_then(|begin| names.get(begin..)).unwrap_or_default();
        rest.split(|byte| *byte == 0).next() == Some(name.as_bytes())
    })?;
    contents(&file, wanted)
}

fn contents(file: &File, entry: &[u8]) -> Option<Vec<u8>> {
    if number(entry, KIND)? == WITHOUT_BYTES {
        return None;
    }
    read(file, word(entry, OFFSET)?, usize::try_from(word(entry, SIZE)?).ok()?)
}

fn read(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    if length > MOST {
        return None;
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_name() {
        let this = Path::new("/proc/self/exe");
        let interpreter = section(this, ".interp").unwrap_or_default();
        assert!(interpreter.starts_with(b"/") && interpreter.ends_with(b"\0"));
        assert_eq!(section(this, ".inter"), None);
        assert_eq!(section(this, ".bss"), None, "it has no bytes in the file");
    }

    #[test]
    fn what_is_no_such_file_has_none() {
        assert_eq!(section(Path::new("/proc/self/maps"), ".text"), None);
        assert_eq!(section(Path::new("/proc/self/nothing"), ".text"), None);
        assert_eq!(section(Path::new("/dev/null"), ".text"), None);
    }
}
