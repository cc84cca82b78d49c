//! The one owner of a socket's descriptor.
//!
//! A connection that was accepted owns its descriptor natively. When somebody asks for the
//! socket object, one is made and the descriptor is handed over to it: from then on it is
//! closed through the object, never twice.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use crate::ffi::{Builtin, Object, Owned, Result, Slot, Visitor, imports, names, raise, text};

/// A socket that is open or closed.
pub(crate) struct Socket {
    fd: Cell<RawFd>,
    native: RefCell<Option<OwnedFd>>,
    object: Slot,
    /// The `TransportSocket` that users get.
    facade: Slot,
}

impl Socket {
    pub(crate) fn closed() -> Self {
        Self {
            fd: Cell::new(-1),
            native: RefCell::new(None),
            object: Slot::empty(),
            facade: Slot::empty(),
        }
    }

    /// Takes over a descriptor.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        let socket = Self::closed();
        socket.fd.set(fd.as_raw_fd());
        *socket.native.borrow_mut() = Some(fd);
        socket
    }

    /// Takes over a `socket.socket`.
    pub(crate) fn from_object(object: &Object) -> Result<Self> {
        let socket = Self::closed();
        let fd = text::to_i64(&*object.call_method(&names().fileno, &[])?)?;
        if fd < 0 {
            return Err(raise(Builtin::Value, "the socket is closed"));
        }
        socket.fd.set(fd as RawFd);
        socket.object.set(object.new_ref());
        Ok(socket)
    }

    /// The number; -1 when closed.
    #[inline(always)]
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.get()
    }

    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.fd.get() >= 0
    }

    /// The descriptor for a system call; `None` when closed.
    #[inline(always)]
    pub(crate) fn borrow(&self) -> Option<BorrowedFd<'_>> {
        crate::ffi::descriptor::borrow(self.fd.get())
    }

    /// The `socket.socket`; `None` (Python's) when closed.
    pub(crate) fn object(&self) -> Result<Owned> {
        if let Some(object) = self.object.get() {
            return Ok(object);
        }
        if !self.is_open() {
            return Ok(text::none());
        }
        let number = text::integer(i64::from(self.fd.get()))?;
        let keyword = text::tuple(&[&names().fileno])?;
        // Family, type and protocol are read from the descriptor. The call only borrows it
        // until it has succeeded.
        let object = imports().socket_class.call_keywords(&[&number], 0, &keyword)?;
        if let Some(native) = self.native.borrow_mut().take() {
            let _handed_over: RawFd = native.into_raw_fd();
        }
        self.object.set(object.clone());
        Ok(object)
    }

    /// `asyncio.TransportSocket` over the socket.
    pub(crate) fn facade(&self) -> Result<Owned> {
        if let Some(facade) = self.facade.get() {
            return Ok(facade);
        }
        let object = self.object()?;
        if object.is_none() {
            return Ok(object);
        }
        let facade = imports().transport_socket_class.call(&[&object])?;
        self.facade.set(facade.clone());
        Ok(facade)
    }

    /// Closes it, once.
    pub(crate) fn close(&self) -> Result<()> {
        self.fd.set(-1);
        let native = self.native.borrow_mut().take();
        drop(native);
        match self.object.take() {
            Some(object) => object.call_method(&names().close, &[]).map(drop),
            None => Ok(()),
        }
    }

    pub(crate) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.object);
        visitor.slot(&self.facade);
    }

    pub(crate) fn clear(&self) {
        self.facade.clear();
    }
}
