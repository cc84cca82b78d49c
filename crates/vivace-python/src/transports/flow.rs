//! Asking a protocol to pause its writing, or to go on.

use vivace_core::stream::flow_control::Tell;

use crate::event_loop::Loop;
use crate::event_loop::report::Parties;
use crate::ffi::{Instance, Object, Result, names};

/// `pause_writing()` or `resume_writing()`; what they raise goes to the exception handler.
pub(crate) fn tell(
    event_loop: &Instance<Loop>,
    protocol: &Object,
    tell: Tell,
    connection: Parties<'_>,
) -> Result<()> {
    let (method, message) = match tell {
        Tell::Pause => (&names().pause_writing, "protocol.pause_writing() failed"),
        Tell::Resume => (&names().resume_writing, "protocol.resume_writing() failed"),
    };
    match protocol.call_method(method, &[]) {
        Ok(_) => Ok(()),
        Err(raised) => {
            let exception = raised.fetch_for_report()?;
            event_loop.report_connection(message, &exception, connection)
        }
    }
}
