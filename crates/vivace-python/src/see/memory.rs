//! Python objects read as memory: without the GIL, and without a fault if they are gone.
//!
//! Nothing here may be believed by itself: see `walk`.

use vivace_sys::own_memory;

use crate::ffi::frame_layout::Layout;

/// Longer texts are cut.
const LONGEST_TEXT: usize = 4096;
/// Longer tables of lines are not read.
const LONGEST_BYTES: usize = 1 << 20;

// Of every version that we know: `ob_type`, `tp_name`, `ob_size` of bytes, their content; length
// and state of strings.
const TYPE: usize = 8;
const TYPE_NAME: usize = 24;
const BYTES_LENGTH: usize = 16;
const BYTES_CONTENT: usize = 32;
const TEXT_LENGTH: usize = 16;
const TEXT_STATE: usize = 32;

pub(super) fn word(address: usize) -> Option<usize> {
    let mut bytes = [0; 8];
    own_memory::read(address, &mut bytes).then(|| usize::from_ne_bytes(bytes))
}

/// A pointer that is not null.
pub(super) fn pointer(address: usize) -> Option<usize> {
    word(address).filter(|pointer| *pointer != 0)
}

pub(super) fn int(address: usize) -> Option<i32> {
    let mut bytes = [0; 4];
    own_memory::read(address, &mut bytes).then(|| i32::from_ne_bytes(bytes))
}

pub(super) fn byte(address: usize) -> Option<u8> {
    let mut bytes = [0; 1];
    own_memory::read(address, &mut bytes).then_some(bytes[0])
}

/// Characters up to a zero.
fn c_string(address: usize) -> Option<String> {
    let mut text = Vec::new();
    for at in 0..200 {
        match byte(address + at)? {
            0 => return Some(String::from_utf8_lossy(&text).into_owned()),
            byte => text.push(byte),
        }
    }
    None
}

/// `type(object).__name__`, with its module for types written in C.
pub(super) fn type_name(object: usize) -> Option<String> {
    c_string(pointer(pointer(object + TYPE)? + TYPE_NAME)?)
}

/// The content of a `bytes`.
pub(super) fn bytes(object: usize) -> Option<Vec<u8>> {
    let length = word(object + BYTES_LENGTH)?;
    if length == 0 {
        return Some(Vec::new());
    }
    if length > LONGEST_BYTES || type_name(object)? != "bytes" {
        return None;
    }
    let mut content = vec![0; length];
    own_memory::read(object + BYTES_CONTENT, &mut content).then_some(content)
}

/// The content of a `str`.
pub(super) fn text(layout: &Layout, object: usize) -> Option<String> {
    let length = word(object + TEXT_LENGTH)?.min(LONGEST_TEXT);
    // Its upper bits may hold anything.
    let state = int(object + TEXT_STATE)? as u32;
    let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
    if compact == 0 || !matches!(kind, 1 | 2 | 4) {
        return None;
    }
    if length == 0 {
        return Some(String::new());
    }
    let begin = object + if ascii == 1 { layout.ascii } else { layout.compact };
    let mut content = vec![0; length * kind as usize];
    if !own_memory::read(begin, &mut content) {
        return None;
    }
    let characters: String = match kind {
        1 => content.iter().map(|byte| char::from(*byte)).collect(),
        2 => content
            .chunks_exact(2)
            .map(|unit| u32::from(u16::from_ne_bytes([unit[0], unit[1]])))
            .map(|number| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        _ => content
            .chunks_exact(4)
            .map(|unit| u32::from_ne_bytes([unit[0], unit[1], unit[2], unit[3]]))
            .map(|number| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    };
    Some(characters)
}

/// An `int` from 1 to 2^30 - 1.
pub(super) fn small_int(object: usize) -> Option<u32> {
    /// How many digits it has, with its sign; its first.
    const SIZE: usize = 16;
    const DIGIT: usize = 24;
    // Three bits beside the number of digits, one of which says that it is never freed.
    let (size, unimportant) = if cfg!(Py_3_12) { (1 << 3, 1 << 2) } else { (1, 0) };
    if type_name(object)? != "int" || word(object + SIZE)? & !unimportant != size {
        return None;
    }
    u32::try_from(int(object + DIGIT)?).ok()
}

/// What a function, method or partial object is called.
pub(super) fn callable(layout: &Layout, object: usize) -> Option<String> {
    /// `func_qualname`; `im_func`; `m_ml`; `fn` of a partial object; `ml_name`.
    const QUALIFIED_NAME: usize = 40;
    const FIRST: usize = 16;
    let kind = type_name(object)?;
    match &*kind {
        "function" => text(layout, pointer(object + QUALIFIED_NAME)?),
        "method" | "functools.partial" => callable(layout, pointer(object + FIRST)?),
        "builtin_function_or_method" => c_string(pointer(pointer(object + FIRST)?)?),
        _ => Some(kind),
    }
}
