//! Dictionaries and attributes of objects, read as memory: without the GIL, and without running
//! any code that an attribute might have.
//!
//! Keys are told by their addresses, so that only those that are interned are found, as names in a
//! program's source are. What is not where it is looked for is not found.

use std::mem::offset_of;

use pyo3::ffi;
use vivace_sys::own_memory;

use super::memory::{pointer, type_name, word};

// Of all versions that we know. Dictionaries: the keys, and the values if they are apart.
const KEYS: usize = 32;
const VALUES: usize = 40;
// Keys: the logarithm of the size of the indices in bytes, the kind, the number of entries.
const INDICES_LOG: usize = 9;
const KIND: usize = 10;
const ENTRY_COUNT: usize = 24;
const INDICES: usize = 32;
/// The kind whose entries begin with a hash.
const GENERAL: u8 = 0;
// Types.
const TYPE: usize = 8;
const BASIC_SIZE: usize = 32;
const FLAGS: usize = 168;
const DICT_OFFSET: usize = 288;
const MANAGED_DICT: usize = 1 << 4;
const INLINE_VALUES: usize = 1 << 2;
/// Seen from an object: its dictionary, or what holds its values.
const MANAGED: usize = 24;
/// Values that are apart begin with a few bytes from 3.13 on.
const VALUES_HEAD: usize = if cfg!(Py_3_13) { 8 } else { 0 };

/// Larger ones are not read.
const MOST_ENTRIES: usize = 512;

/// The value of a key, by their addresses.
pub(super) fn item(dict: usize, key: usize) -> Option<usize> {
    if type_name(dict)? != "dict" {
        return None;
    }
    let (index, value) = entry(pointer(dict + KEYS)?, key)?;
    match word(dict + VALUES)? {
        0 => Some(value).filter(|value| *value != 0),
        values => pointer(values + VALUES_HEAD + 8 * index),
    }
}

/// An attribute that an object has itself, by the address of its name.
pub(super) fn attribute(object: usize, name: usize) -> Option<usize> {
    let class = pointer(object + TYPE)?;
    let flags = word(class + FLAGS)?;
    if flags & MANAGED_DICT == 0 {
        let offset = word(class + DICT_OFFSET)?;
        // One from the end is of objects whose size varies.
        let plain = offset != 0 && offset < 1 << 20;
        return item(pointer(object + offset).filter(|_| plain)?, name);
    }
    let (dict, values) = own(object, class, flags)?;
    if let Some(dict) = dict {
        return item(dict, name);
    }
    let keys = pointer(class + offset_of!(ffi::PyHeapTypeObject, ht_cached_keys))?;
    let (index, _) = entry(keys, name)?;
    pointer(values? + VALUES_HEAD + 8 * index)
}

/// The dictionary of an object, or where its values lie.
fn own(object: usize, class: usize, flags: usize) -> Option<(Option<usize>, Option<usize>)> {
    let managed = word(object - MANAGED)?;
    if cfg!(Py_3_13) {
        let inline = flags & INLINE_VALUES != 0;
        let values = if inline { Some(object + word(class + BASIC_SIZE)?) } else { None };
        return Some((Some(managed).filter(|dict| *dict != 0), values));
    }
    if cfg!(Py_3_12) {
        // The lowest bit says that it is values, one before where they begin.
        return Some(match managed {
            0 => (None, None),
            values if values & 1 == 1 => (None, Some(values + 1)),
            dict => (Some(dict), None),
        });
    }
    let values = word(object - MANAGED - 8)?;
    Some((Some(managed).filter(|dict| *dict != 0), Some(values).filter(|values| *values != 0)))
}

/// The values of a dictionary that has its values beside its keys.
pub(super) fn values(dict: usize) -> Option<Vec<usize>> {
    if type_name(dict)? != "dict" || word(dict + VALUES)? != 0 {
        return None;
    }
    let entries = Entries::read(pointer(dict + KEYS)?)?;
    let values = (0..entries.count).filter_map(|number| entries.value(number));
    Some(values.filter(|value| *value != 0).collect())
}

/// Which entry of a table of keys has this key, and the value beside it.
fn entry(keys: usize, key: usize) -> Option<(usize, usize)> {
    let entries = Entries::read(keys)?;
    let number = (0..entries.count).find(|number| entries.key(*number) == Some(key))?;
    Some((number, entries.value(number)?))
}

/// The entries of a table of keys.
struct Entries {
    count: usize,
    /// Words of each: the key and the value are the last.
    words: usize,
    bytes: Vec<u8>,
}

impl Entries {
    fn read(keys: usize) -> Option<Self> {
        let mut head = [0; INDICES];
        if !own_memory::read(keys, &mut head) {
            return None;
        }
        let count = usize::from_ne_bytes(*head[ENTRY_COUNT..].first_chunk()?);
        let indices = 1_usize.checked_shl(u32::from(head[INDICES_LOG]))?;
        if count > MOST_ENTRIES || indices > 1 << 16 {
            return None;
        }
        let words = if head[KIND] == GENERAL { 3 } else { 2 };
        let mut bytes = vec![0; count * words * 8];
        own_memory::read(keys + INDICES + indices, &mut bytes).then_some(Self {
            count,
            words,
            bytes,
        })
    }

    fn word(&self, index: usize) -> Option<usize> {
        self.bytes[8 * index..].first_chunk().map(|bytes| usize::from_ne_bytes(*bytes))
    }

    fn key(&self, number: usize) -> Option<usize> {
        self.word((number + 1) * self.words - 2)
    }

    fn value(&self, number: usize) -> Option<usize> {
        self.word((number + 1) * self.words - 1)
    }
}
