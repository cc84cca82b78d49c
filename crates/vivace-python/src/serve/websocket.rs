//! One WebSocket, as the application sees it.

use std::cell::Cell;

use vivace_http::h1::head::Head;

use super::connection::Connection;
use super::operation::Waiters;
use crate::event_loop::Loop;
use crate::ffi::{
    Builtin, Class, ClassBuilder, ClassCell, Instance, Owned, Ref, Result, Slot, Visitor, raise,
};

/// See the module.
pub(crate) struct WebSocket {
    loop_slot: Slot<Ref<Loop>>,
    pub(super) waiters: Waiters,
    lost: Cell<bool>,
}

impl Class for WebSocket {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(16);
        &CELL
    }
    fn empty() -> Self {
        Self { loop_slot: Slot::empty(), waiters: Waiters::default(), lost: Cell::new(false) }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.loop_slot);
        self.waiters.traverse(visitor);
    }
    fn clear(&self) {
        self.loop_slot.clear();
        self.waiters.clear();
    }
}

impl Instance<WebSocket> {
    pub(super) fn event_loop(&self) -> Result<Ref<Loop>> {
        self.loop_slot.get().ok_or_else(|| raise(Builtin::Runtime, "the connection is over"))
    }
    pub(super) fn next_message(&self) -> Result<Option<Owned>> {
        Ok(None)
    }
    pub(super) fn has_room(&self) -> Result<Option<Owned>> {
        Ok(None)
    }
    pub(super) fn lose(&self) -> Result<()> {
        self.lost.set(true);
        Ok(())
    }
}

impl Instance<Connection> {
    pub(super) fn begin_websocket(&self, _head: &Head<'_>) -> Result<Option<super::input::Step>> {
        Ok(None)
    }
    pub(super) fn upgrade(&self) -> Result<()> {
        Ok(())
    }
    pub(super) fn websocket_received(&self, _data: &[u8]) -> Result<()> {
        Ok(())
    }
    pub(super) fn websocket_ended(&self) -> Result<()> {
        Ok(())
    }
    pub(super) fn websocket_restart(&self) -> Result<()> {
        Ok(())
    }
    pub(super) fn websocket_cancel(&self) -> Result<bool> {
        Ok(false)
    }
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<WebSocket>::new(c"vivace.WebSocket", c"One WebSocket.").build(None)
}
