//! Memory that other processes can read: words that a file keeps, also after the process is gone.
//!
//! A [`SharedMap`] begins as memory of the process alone, and stays at its address for ever; a file
//! can be put under it. So whoever writes needs not know whether there is a file. A forked child
//! gets memory of its own at the same address, at once, before any of its code runs: the file stays
//! the parent's. (`MADV_DONTFORK` would leave a hole there, and the child's next store would end it.)
//!
//! Blocks of the file are reserved before they are written to, as a store into a hole of a file on a
//! full disk is a SIGBUS.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{self, AtFlags, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

/// How many maps a process may have; a forked child finds them here.
const MAXIMUM: usize = 4;

static ADDRESSES: [AtomicUsize; MAXIMUM] = [const { AtomicUsize::new(0) }; MAXIMUM];
static LENGTHS: [AtomicUsize; MAXIMUM] = [const { AtomicUsize::new(0) }; MAXIMUM];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// See the module. It is never unmapped.
pub struct SharedMap {
    address: usize,
    length: usize,
    /// The descriptor of the file, which is this map's alone; -1 if there is none. No lock: a
    /// child may be forked while another thread would hold it.
    file: AtomicI32,
    lost: AtomicBool,
}

fn private(at: *mut c_void, length: usize, fixed: MapFlags) -> rustix::io::Result<*mut c_void> {
    let (read, flags) =
        (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE | fixed);
    // SAFETY: either the kernel chooses the address, or the range is one that was mapped here for
    // ever and that holds nothing but atomic words, for which zeros are valid.
    unsafe { mmap_anonymous(at, length, read, flags) }
}

/// In a forked child, before anything else runs: memory of its own under each map.
extern "C" fn become_child() {
    for (address, length) in ADDRESSES.iter().zip(&LENGTHS) {
        let address = address.load(Ordering::Acquire);
        if address != 0 {
            let length = length.load(Ordering::Relaxed);
            let _kept = private(address as *mut c_void, length, MapFlags::FIXED);
        }
    }
}

impl SharedMap {
    /// Takes memory for `length` bytes, a multiple of the size of a page; zeros, and no file yet.
    pub fn new(length: usize) -> io::Result<&'static Self> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(|| {
            // SAFETY: the handler makes one system call for each map and touches only atomics,
            // as what runs after a fork must.
            let _memory = unsafe { libc::pthread_atfork(None, None, Some(become_child)) };
        });
        let slot = COUNT.fetch_add(1, Ordering::Relaxed);
        if slot >= MAXIMUM {
            return Err(io::Error::other("too many shared maps"));
        }
        let address = private(std::ptr::null_mut(), length, MapFlags::empty())? as usize;
        LENGTHS[slot].store(length, Ordering::Relaxed);
        ADDRESSES[slot].store(address, Ordering::Release);
        let map = Self { address, length, file: AtomicI32::new(-1), lost: AtomicBool::new(false) };
        Ok(Box::leak(Box::new(map)))
    }

    /// Its words.
    pub fn words(&self) -> &'static [AtomicU64] {
        // SAFETY: `length` bytes are mapped at the address for ever, aligned to a page; they are
        // replaced only as a whole, by other memory at the same place, and all access to them, of
        // whatever process, is by atomic loads and stores, or by the kernel.
        unsafe {
            std::slice::from_raw_parts(
                self.address as *const AtomicU64,
                self.length / size_of::<u64>(),
            )
        }
    }

    /// Puts a new file under the memory: `name` in `folder`, which only its owner can read. The
    /// first `reserved` bytes stay what they are, and can be written to at once.
    ///
    /// A folder that is missing is made (not its parents); one that belongs to another user, or
    /// in which others may write, is refused, and so are symbolic links.
    pub fn keep_in(&self, folder: &Path, name: &str, reserved: usize) -> io::Result<()> {
        let folder = open_folder(folder)?;
        match fs::unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        let kept = self.map(&file, reserved);
        if kept.is_err() {
            let _gone = fs::unlinkat(&folder, name, AtFlags::empty());
            return kept;
        }
        self.forget_file();
        self.file.store(file.into_raw_fd(), Ordering::Release);
        self.lost.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn map(&self, file: &OwnedFd, reserved: usize) -> io::Result<()> {
        fs::fchmod(file, Mode::RUSR | Mode::WUSR)?;
        fs::ftruncate(file, self.length as u64)?;
        allocate(file.as_fd(), 0, reserved)?;
        let words = &self.words()[..reserved / size_of::<u64>()];
        let held: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        let mut written = 0;
        while written < held.len() {
            written += rustix::io::pwrite(file, &held[written..], written as u64)?;
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the range is mapped here for ever and holds nothing but atomic words; the file
        // is as long as it.
        unsafe { mmap(self.address as *mut c_void, self.length, protection, flags, file, 0) }?;
        Ok(())
    }

    /// Sees to it that a range can be written to; if not (the disk is full), it must not be.
    pub fn reserve(&self, offset: usize, length: usize) -> bool {
        if self.lost.load(Ordering::Relaxed) {
            return false;
        }
        let number = self.file.load(Ordering::Acquire);
        if number < 0 {
            return true;
        }
        // SAFETY: the descriptor is this map's, which closes it only in a forked child and where
        // a new file takes its place, both while nobody else uses the map.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        let reserved = allocate(file, offset, length).is_ok();
        self.lost.store(!reserved, Ordering::Relaxed);
        reserved
    }

    /// In a forked child: forgets the parent's file.
    pub fn forget_file(&self) {
        let number = self.file.swap(-1, Ordering::AcqRel);
        if number >= 0 {
            // SAFETY: it came from `into_raw_fd`, and nobody else can take it out again.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        self.lost.store(false, Ordering::Relaxed);
    }
}

/// Reserves blocks; where the file system cannot, writes zeros.
fn allocate(file: BorrowedFd<'_>, offset: usize, length: usize) -> io::Result<()> {
    match fs::fallocate(file, FallocateFlags::empty(), offset as u64, length as u64) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        other => return Ok(other?),
    }
    const ZEROS: [u8; 4096] = [0; 4096];
    let end = offset + length;
    let mut at = offset;
    while at < end {
        let part = &ZEROS[..ZEROS.len().min(end - at)];
        at += rustix::io::pwrite(file, part, at as u64)?;
    }
    Ok(())
}

/// Opens a folder that belongs to this user, and in which nobody else can write.
pub fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    match fs::mkdir(folder, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = fs::open(folder, flags, Mode::empty())?;
    let about = fs::fstat(opened.as_fd())?;
    if about.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if about.st_mode & 0o022 != 0 {
        return Err(io::Error::other("other users may write in it"));
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("vivace-map-{name}-{}", std::process::id()));
        let _none = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn what_is_stored_is_in_the_file() {
        let folder = folder("file");
        let map = SharedMap::new(1 << 20).expect("memory");
        let words = map.words();
        words[0].store(1, Ordering::Relaxed);
        map.keep_in(&folder, "1.ring", 4096).expect("a file");
        assert_eq!(words[0].load(Ordering::Relaxed), 1);
        words[1].store(7, Ordering::Relaxed);
        assert!(map.reserve(1 << 19, 4096));
        words[1 << 16].store(9, Ordering::Relaxed);
        let bytes = std::fs::read(folder.join("1.ring")).expect("the file");
        assert_eq!(bytes[8..16], 7_u64.to_ne_bytes());
        assert_eq!(bytes[1 << 19..][..8], 9_u64.to_ne_bytes());
        let about = std::fs::metadata(folder.join("1.ring")).expect("the file");
        assert_eq!(about.mode() & 0o777, 0o600);
        assert!(about.blocks() * 512 < 1 << 19, "{} blocks", about.blocks());
        assert_eq!(std::fs::metadata(&folder).expect("the folder").mode() & 0o777, 0o700);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn folders_of_others_and_links_are_refused() {
        let folder = folder("open");
        std::fs::create_dir(&folder).expect("made");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("set");
        let map = SharedMap::new(4096).expect("memory");
        let error = map.keep_in(&folder, "1.ring", 4096).expect_err("refused");
        assert_eq!(error.to_string(), "other users may write in it");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("set");
        let link = folder.join("link");
        symlink(&folder, &link).expect("linked");
        assert!(map.keep_in(&link, "1.ring", 4096).is_err());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
