//! Addresses as Python sees them: what `socket.getsockname()` would return.

use std::ffi::CStr;

use rustix::net::SocketAddr;
use rustix::net::SocketAddrAny;
use rustix::net::SocketAddrUnix;

use crate::ffi::{Owned, Result, bytes, text};

/// The tuple of an IP address, the path of a Unix one; `None` when there is no other way.
pub(crate) fn to_python(address: &SocketAddrAny) -> Result<Option<Owned>> {
    if let Ok(ip) = SocketAddr::try_from(address.clone()) {
        return ip_to_python(&ip).map(Some);
    }
    if let Ok(unix) = SocketAddrUnix::try_from(address.clone()) {
        return unix_to_python(&unix).map(Some);
    }
    Ok(None)
}

fn ip_to_python(address: &SocketAddr) -> Result<Owned> {
    let port = text::integer(i64::from(address.port()))?;
    match address {
        SocketAddr::V4(v4) => {
            let host = text::string(&v4.ip().to_string())?;
            text::tuple(&[&host, &port])
        }
        SocketAddr::V6(v6) => {
            let host = text::string(&v6.ip().to_string())?;
            let flow = text::integer(i64::from(v6.flowinfo()))?;
            let scope = text::integer(i64::from(v6.scope_id()))?;
            text::tuple(&[&host, &port, &flow, &scope])
        }
    }
}

fn unix_to_python(address: &SocketAddrUnix) -> Result<Owned> {
    if let Some(name) = address.abstract_name().filter(|name| !name.is_empty()) {
        let mut whole = vec![0];
        whole.extend_from_slice(name);
        return bytes::bytes(&whole);
    }
    let path = address.path();
    text::file_name(path.as_deref().map_or(&[][..], CStr::to_bytes))
}
