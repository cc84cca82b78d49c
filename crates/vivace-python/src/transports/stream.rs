//! Placeholder.
use crate::event_loop::Loop;
use crate::ffi::{Class, ClassCell, Instance, Result, Visitor};
use vivace_sys::poller::Readiness;
pub(crate) struct Stream {}
impl Stream {
    pub(crate) fn note_readiness(&self, _r: Readiness) -> bool {
        false
    }
}
impl Class for Stream {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(0);
        &CELL
    }
    fn empty() -> Self {
        Self {}
    }
    fn traverse(&self, _v: &mut Visitor) {}
    fn clear(&self) {}
}
pub(crate) fn run(_l: &Instance<Loop>, _s: &Instance<Stream>) -> Result<()> {
    Ok(())
}
