//! How a protocol takes bytes: as objects (`data_received`), or into buffers that it lends
//! (`get_buffer` and `buffer_updated`).

use crate::ffi::{Object, Result, imports, names};

/// Whether a protocol lends buffers: an `asyncio.BufferedProtocol`, as in asyncio; or, as on
/// uvloop, one that derives from neither class and has a `get_buffer`. Such a protocol has no
/// `data_received`: asyncio could not give it a byte.
pub(crate) fn is_buffered(protocol: &Object) -> Result<bool> {
    if protocol.is_instance(&imports().buffered_protocol_class)? {
        return Ok(true);
    }
    if protocol.is_instance(&imports().protocol_class)? {
        return Ok(false);
    }
    Ok(protocol.getattr_opt(&names().data_received)?.is_none()
        && protocol.getattr_opt(&names().get_buffer)?.is_some())
}
