//! `add_reader`, `add_writer`, and who owns a descriptor.
//!
//! Descriptors of the user are watched level-triggered, with just the interest he has.
//! Those of transports are watched edge-triggered, both ways, from registration to closing.

use std::cell::{Cell, RefCell};

use vivace_core::fd_table::FdTable;
use vivace_sys::Errno;
use vivace_sys::poller::{Mode, Poller, Readiness};

use super::{Entry, Loop};
use crate::ffi::slot::Counted;
use crate::ffi::weakref;
use crate::ffi::{
    Args, Builtin, ClassBuilder, Instance, Object, Owned, Ref, Result, Visitor, allocate_with,
    error, names, raise, text,
};
use crate::handles::{Handle, Parts};
use crate::transports::listener::Listener;
use crate::transports::stream::Stream;

/// Who is to hear of a descriptor.
pub(crate) enum Watch {
    Callbacks {
        reader: Option<Ref<Handle>>,
        writer: Option<Ref<Handle>>,
        /// What the user gave, which the loop keeps alive as asyncio's does: once it is closed,
        /// it is known by its identity only.
        file: Owned,
    },
    Stream(Ref<Stream>),
    /// A connection that neither reads nor writes, by a weak reference: as in asyncio, the loop
    /// does not keep it alive.
    IdleStream(Owned),
    Listener(Ref<Listener>),
}

impl Watch {
    fn interest(&self) -> (Readiness, Mode) {
        match self {
            Self::Callbacks { reader, writer, .. } => (
                Readiness { readable: reader.is_some(), writable: writer.is_some(), ended: false },
                Mode::Level,
            ),
            Self::Stream(_) | Self::IdleStream(_) => {
                (Readiness { readable: true, writable: true, ended: false }, Mode::Edge)
            }
            Self::Listener(listener) => {
                let mode = if listener.shares() { Mode::Exclusive } else { Mode::Level };
                (Readiness { readable: true, writable: false, ended: false }, mode)
            }
        }
    }
}

/// The descriptors of one loop.
pub(crate) struct Descriptors {
    table: RefCell<FdTable<Watch>>,
    wake: Cell<i32>,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { table: RefCell::default(), wake: Cell::new(-1) }
    }
}

impl Descriptors {
    pub(super) fn set_wake(&self, fd: i32) {
        self.wake.set(fd);
    }

    pub(super) fn is_wake(&self, fd: i32) -> bool {
        self.wake.get() == fd
    }

    /// Queues whoever is to hear. `false`: nobody.
    #[inline]
    pub(super) fn dispatch(&self, this: &Instance<Loop>, fd: i32, readiness: Readiness) -> bool {
        let table = self.table.borrow();
        match table.get(fd) {
            None => false,
            Some(Watch::Stream(stream)) => {
                if stream.note_readiness(readiness) {
                    this.push(Entry::Stream(stream.clone()));
                }
                true
            }
            Some(Watch::IdleStream(weak)) => {
                if let Some(stream) = weakref::target(weak) {
                    if let Some(stream) = stream.downcast::<Stream>() {
                        stream.note_readiness(readiness);
                    }
                }
                true
            }
            Some(Watch::Listener(listener)) => {
                this.push(Entry::Listener(listener.clone()));
                true
            }
            Some(Watch::Callbacks { reader, writer, .. }) => {
                if let Some(reader) = reader.as_ref().filter(|_| readiness.readable) {
                    this.push(Entry::Handle(reader.clone()));
                }
                if let Some(writer) = writer.as_ref().filter(|_| readiness.writable) {
                    this.push(Entry::Handle(writer.clone()));
                }
                true
            }
        }
    }

    /// Gives a descriptor to a transport or a listener.
    pub(crate) fn own(&self, this: &Instance<Loop>, fd: i32, watch: Watch) -> Result<()> {
        let (interest, mode) = watch.interest();
        if let Some(waiting) = this.waiting() {
            waiting
                .poller
                .add(fd, interest, mode)
                .map_err(|errno| error::raise_os(errno.raw_os_error()))?;
        }
        self.exchange(fd, watch);
        this.expect_events();
        Ok(())
    }

    /// Takes a descriptor back from its owner.
    pub(crate) fn disown(&self, this: &Instance<Loop>, fd: i32) {
        if let Some(waiting) = this.waiting() {
            waiting.poller.remove(fd);
        }
        let old = self.table.borrow_mut().remove(fd);
        drop(old);
        // It is about to be closed, which the other end may hear of.
        this.expect_events();
    }

    /// Whether the watch of a descriptor belongs to this transport or listener.
    pub(crate) fn is_owned_by(&self, fd: i32, owner: &Object) -> bool {
        match self.table.borrow().get(fd) {
            Some(Watch::Stream(stream)) => stream.object().is(owner),
            Some(Watch::IdleStream(weak)) => {
                weakref::target(weak).is_some_and(|stream| stream.is(owner))
            }
            Some(Watch::Listener(listener)) => listener.object().is(owner),
            _ => false,
        }
    }

    /// Whether anybody watches a descriptor.
    pub(crate) fn is_owned(&self, fd: i32) -> bool {
        self.table.borrow().get(fd).is_some()
    }

    pub(crate) fn is_listener(&self, fd: i32) -> bool {
        matches!(self.table.borrow().get(fd), Some(Watch::Listener(_)))
    }

    /// Goes to the end of the line of those who wait for a descriptor that others watch, too.
    pub(crate) fn queue_up_again(&self, this: &Instance<Loop>, fd: i32) {
        let Some((interest, mode)) = self.table.borrow().get(fd).map(Watch::interest) else {
            return;
        };
        if let Some(waiting) = this.waiting() {
            waiting.poller.remove(fd);
            // Closed meanwhile: whoever uses it finds out.
            let _closed = waiting.poller.add(fd, interest, mode);
        }
    }

    /// Exchanges how a connection's descriptor is held, without a system call.
    pub(crate) fn exchange(&self, fd: i32, watch: Watch) {
        let old = self.table.borrow_mut().insert(fd, watch);
        drop(old);
    }

    /// The number that a file object was watched by, now that it is closed and has none.
    fn number_of_closed(&self, fileobj: &Object) -> Option<i32> {
        let table = self.table.borrow();
        let mut callbacks = table.iter();
        callbacks.find_map(|(fd, watch)| match watch {
            Watch::Callbacks { file, .. } if file.is(fileobj) => Some(fd),
            _ => None,
        })
    }

    pub(super) fn register_again(&self, poller: &Poller) {
        for (fd, watch) in self.table.borrow().iter() {
            let (interest, mode) = watch.interest();
            // A descriptor closed in the child is forgotten when it is used.
            let _closed = poller.add(fd, interest, mode);
        }
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        let Ok(table) = self.table.try_borrow() else { return };
        for (_fd, watch) in table.iter() {
            match watch {
                Watch::Stream(stream) => visitor.object(stream.as_object()),
                Watch::IdleStream(weak) => visitor.object(weak),
                Watch::Listener(listener) => visitor.object(listener.as_object()),
                Watch::Callbacks { reader, writer, file } => {
                    visitor.object(file);
                    for handle in reader.iter().chain(writer) {
                        visitor.object(handle.as_object());
                    }
                }
            }
        }
    }

    pub(super) fn clear(&self) {
        let all = self.table.borrow_mut().take();
        drop(all);
    }
}

/// Which of the two callbacks of a descriptor.
#[derive(Clone, Copy)]
enum Side {
    Reader,
    Writer,
}

/// What a file object says is its number, with asyncio's error for what is no file; it is negative
/// once the file is closed.
fn said_by(fileobj: &Object) -> Result<i64> {
    Ok(if text::is_exact_int(fileobj) {
        text::to_i64(fileobj)?
    } else {
        let from_method = fileobj
            .getattr(&names().fileno)
            .and_then(|fileno| fileno.call(&[]))
            .and_then(|number| text::to_i64(&number));
        match from_method {
            Ok(number) => number,
            Err(raised) => {
                drop(raised.fetch_for_report()?);
                let text = text::repr(fileobj)?;
                return Err(raise(Builtin::Value, &format!("Invalid file object: {text}")));
            }
        }
    })
}

/// The number of a file object, with asyncio's errors.
fn number_of(fileobj: &Object) -> Result<i32> {
    let number = said_by(fileobj)?;
    if number < 0 {
        return Err(raise(Builtin::Value, &format!("Invalid file descriptor: {number}")));
    }
    i32::try_from(number)
        .map_err(|_| raise(Builtin::Value, &format!("Invalid file descriptor: {number}")))
}

fn owned_by_transport(this: &Instance<Loop>, fd: i32) -> Option<Owned> {
    let owner = match this.descriptors.table.borrow().get(fd) {
        Some(Watch::Stream(stream)) => stream.object().new_ref(),
        Some(Watch::IdleStream(weak)) => weakref::target(weak)?,
        _ => return None,
    };
    // One that is closing watches nothing any more.
    let closing = owner.downcast::<Stream>().is_some_and(|stream| stream.is_closing());
    (!closing).then_some(owner)
}

/// `_fd_owner(fd)`: the transport that owns a descriptor, or `None`.
fn fd_owner(this: &Instance<Loop>, fileobj: &Object) -> Result<Owned> {
    let fd = i32::try_from(said_by(fileobj)?).ok();
    Ok(fd.and_then(|fd| owned_by_transport(this, fd)).unwrap_or_else(text::none))
}

fn add(this: &Instance<Loop>, args: &Args<'_>, side: Side, method: &str) -> Result<Owned> {
    let [fileobj, callback, rest @ ..] = args.positional() else {
        return Err(raise(
            Builtin::Type,
            &format!("{method}() missing required arguments: 'fd' and 'callback'"),
        ));
    };
    this.check_open()?;
    let fd = number_of(fileobj)?;
    if owned_by_transport(this, fd).is_some() {
        return Err(raise(
            Builtin::Runtime,
            &format!("File descriptor {fd} is owned by a transport"),
        ));
    }
    if this.descriptors.is_listener(fd) {
        return Err(raise(Builtin::Runtime, &format!("File descriptor {fd} is used by a server")));
    }
    let parts = Parts::new(this, callback, rest, this.contexts.environment(None)?)?;
    let handle = allocate_with(|| parts.handle())?;
    let (mut reader, mut writer) = match this.descriptors.table.borrow().get(fd) {
        Some(Watch::Callbacks { reader, writer, .. }) => (reader.clone(), writer.clone()),
        _ => (None, None),
    };
    let known = reader.is_some() || writer.is_some();
    let replaced = match side {
        Side::Reader => reader.replace(handle.clone()),
        Side::Writer => writer.replace(handle.clone()),
    };
    let watch = Watch::Callbacks { reader, writer, file: fileobj.new_ref() };
    let (interest, mode) = watch.interest();
    if let Some(waiting) = this.waiting() {
        let outcome = if known {
            waiting.poller.set(fd, interest, mode)
        } else {
            waiting.poller.add(fd, interest, mode)
        };
        outcome.map_err(|errno: Errno| error::raise_os(errno.raw_os_error()))?;
    }
    let old = this.descriptors.table.borrow_mut().insert(fd, watch);
    drop(old);
    this.expect_events();
    if let Some(replaced) = replaced {
        replaced.object().call_method(&names().cancel, &[])?;
    }
    Ok(handle.into_owned())
}

fn remove(this: &Instance<Loop>, fileobj: &Object, side: Side) -> Result<Owned> {
    if this.flags.closed.get() {
        return Ok(text::boolean(false));
    }
    let fd = match number_of(fileobj) {
        Ok(fd) => fd,
        Err(raised) => match this.descriptors.number_of_closed(fileobj) {
            Some(fd) => {
                raised.clear();
                fd
            }
            None => return Err(raised),
        },
    };
    remove_number(this, fd, side)
}

fn remove_number(this: &Instance<Loop>, fd: i32, side: Side) -> Result<Owned> {
    let (mut reader, mut writer, file) = match this.descriptors.table.borrow().get(fd) {
        Some(Watch::Callbacks { reader, writer, file }) => {
            (reader.clone(), writer.clone(), file.clone())
        }
        _ => return Ok(text::boolean(false)),
    };
    let removed = match side {
        Side::Reader => reader.take(),
        Side::Writer => writer.take(),
    };
    let Some(removed) = removed else { return Ok(text::boolean(false)) };
    let waiting = this.waiting();
    let old = if reader.is_none() && writer.is_none() {
        if let Some(waiting) = waiting {
            waiting.poller.remove(fd);
        }
        this.descriptors.table.borrow_mut().remove(fd)
    } else {
        let watch = Watch::Callbacks { reader, writer, file };
        let (interest, mode) = watch.interest();
        if let Some(waiting) = waiting {
            // A descriptor that was closed is gone from the poller, which is what is wanted.
            let _closed = waiting.poller.set(fd, interest, mode);
        }
        this.descriptors.table.borrow_mut().insert(fd, watch)
    };
    drop(old);
    removed.object().call_method(&names().cancel, &[])?;
    Ok(text::boolean(true))
}

fn watched(this: &Instance<Loop>, fileobj: &Object) -> Result<Owned> {
    let fd = number_of(fileobj)?;
    let (reader, writer) = match this.descriptors.table.borrow().get(fd) {
        Some(Watch::Callbacks { reader, writer, .. }) => (reader.clone(), writer.clone()),
        _ => return Ok(text::none()),
    };
    let or_none = |handle: Option<Ref<Handle>>| handle.map_or_else(text::none, Ref::into_owned);
    text::tuple(&[&*or_none(reader), &*or_none(writer)])
}

fn watched_fds(this: &Instance<Loop>) -> Result<Owned> {
    let fds: Vec<i32> = this
        .descriptors
        .table
        .borrow()
        .iter()
        .filter(|(_fd, watch)| matches!(watch, Watch::Callbacks { .. }))
        .map(|(fd, _watch)| fd)
        .collect();
    let numbers = fds.into_iter().map(|fd| text::integer(i64::from(fd)));
    text::list(numbers.collect::<Result<Vec<_>>>()?)
}

/// How many descriptors could wake the loop, those of transports included.
fn descriptor_count(this: &Instance<Loop>) -> Result<Owned> {
    let count = this.descriptors.table.borrow().iter().count();
    text::integer(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn with_methods(builder: ClassBuilder<Loop>) -> ClassBuilder<Loop> {
    builder
        .keywords(
            c"_add_reader",
            c"Has callback(*args) called whenever fd can be read; returns a Handle.",
            |this: &Instance<Loop>, args: &Args<'_>| add(this, args, Side::Reader, "add_reader"),
        )
        .keywords(
            c"_add_writer",
            c"Has callback(*args) called whenever fd can be written; returns a Handle.",
            |this: &Instance<Loop>, args: &Args<'_>| add(this, args, Side::Writer, "add_writer"),
        )
        .keywords(
            c"add_reader",
            c"Has callback(*args) called whenever fd can be read.",
            |this: &Instance<Loop>, args: &Args<'_>| {
                add(this, args, Side::Reader, "add_reader").map(|_handle| text::none())
            },
        )
        .keywords(
            c"add_writer",
            c"Has callback(*args) called whenever fd can be written.",
            |this: &Instance<Loop>, args: &Args<'_>| {
                add(this, args, Side::Writer, "add_writer").map(|_handle| text::none())
            },
        )
        .onearg(
            c"remove_reader",
            c"Undoes add_reader(); whether there was one.",
            |this: &Instance<Loop>, fd: &Object| remove(this, fd, Side::Reader),
        )
        .onearg(
            c"remove_writer",
            c"Undoes add_writer(); whether there was one.",
            |this: &Instance<Loop>, fd: &Object| remove(this, fd, Side::Writer),
        )
        .onearg(c"_remove_reader", c"remove_reader().", |this: &Instance<Loop>, fd: &Object| {
            remove(this, fd, Side::Reader)
        })
        .onearg(c"_remove_writer", c"remove_writer().", |this: &Instance<Loop>, fd: &Object| {
            remove(this, fd, Side::Writer)
        })
        .onearg(c"_watched", c"(reader, writer) of a descriptor, or None.", watched)
        .noargs(c"_watched_fds", c"The descriptors with readers or writers.", watched_fds)
        .noargs(
            c"_descriptor_count",
            c"How many descriptors are watched, those of transports included.",
            descriptor_count,
        )
        .onearg(c"_fd_owner", c"The transport that owns a descriptor, or None.", fd_owner)
}
