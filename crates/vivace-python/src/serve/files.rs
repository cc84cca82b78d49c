//! Files as bodies: a small one is read and leaves with the head of the response.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::ffi::bytes::{Bytes, bytes_filled, zeroed};
use crate::ffi::{Builtin, Object, Result, error, imports, raise, text};

/// Up to this size a copy costs less than the way through a coroutine and `sendfile`.
const SMALL: u64 = 128 * 1024;

/// The content of a regular file of at most [`SMALL`] bytes; nothing for a larger one.
pub(super) fn read_small(path: &Object) -> Result<Option<Bytes>> {
    let path = imports().fspath.call(&[path])?;
    if !text::is_str(&path) {
        return Err(raise(Builtin::Type, "the path of 'http.response.pathsend' must be a str"));
    }
    let name = text::to_file_name(&path)?;
    // A FIFO would wait for its other end, and the loop with it.
    let wait_for_nobody = OFlags::NONBLOCK.bits() as i32;
    let opened = File::options().read(true).custom_flags(wait_for_nobody).open(Path::new(&name));
    let opened = opened.and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, mut file) = match opened {
        Ok(opened) => opened,
        Err(failure) => return Err(error::raise_os(failure.raw_os_error().unwrap_or(0))),
    };
    if !metadata.is_file() {
        return Err(raise(Builtin::Value, "'http.response.pathsend' needs a regular file"));
    }
    if metadata.len() > SMALL {
        return Ok(None);
    }
    let size = metadata.len() as usize;
    let filled = bytes_filled(size, |memory| {
        let memory = zeroed(memory);
        let mut filled = 0;
        while filled < size {
            match file.read(&mut memory[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok::<_, std::io::Error>(filled)
    })?;
    match filled {
        Ok(content) => Bytes::from_bytes(content).map(Some),
        Err(failure) => Err(error::raise_os(failure.raw_os_error().unwrap_or(0))),
    }
}
