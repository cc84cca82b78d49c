//! What the TLS layer needs of the modules `ssl` and `asyncio.sslproto`.
//!
//! Looked up at the first TLS connection: an interpreter without `ssl` has the rest of vivace.

use std::sync::OnceLock;

use super::error::Result;
use super::object::{Object, Owned};
use super::text::{import, interned};

/// Objects of the standard library; never given up.
pub(crate) struct TlsImports {
    pub(crate) ssl_error: Owned,
    pub(crate) want_read: Owned,
    pub(crate) syscall_error: Owned,
    pub(crate) certificate_error: Owned,
    pub(crate) memory_bio: Owned,
    pub(crate) ssl_object: Owned,
    /// `_ssl._SSLSocket`: the C object that an `ssl.SSLObject` passes its calls on to.
    pub(crate) channel: Owned,
    pub(crate) default_context: Owned,
}

struct Cell(OnceLock<TlsImports>);

// SAFETY: written once; the objects are used by attached threads only and the references are
// never given up.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

static IMPORTS: Cell = Cell(OnceLock::new());

fn make() -> Result<TlsImports> {
    let ssl = import("ssl")?;
    let native = import("_ssl")?;
    let sslproto = import("asyncio")?.getattr(&*interned("sslproto")?)?;
    let get = |module: &Object, name: &str| module.getattr(&*interned(name)?);
    Ok(TlsImports {
        ssl_error: get(&ssl, "SSLError")?,
        want_read: get(&ssl, "SSLWantReadError")?,
        syscall_error: get(&ssl, "SSLSyscallError")?,
        certificate_error: get(&ssl, "CertificateError")?,
        memory_bio: get(&ssl, "MemoryBIO")?,
        ssl_object: get(&ssl, "SSLObject")?,
        channel: get(&native, "_SSLSocket")?,
        default_context: get(&sslproto, "_create_transport_context")?,
    })
}

/// The objects, looked up if this is the first time.
pub(crate) fn tls_imports() -> Result<&'static TlsImports> {
    if let Some(imports) = IMPORTS.0.get() {
        return Ok(imports);
    }
    let made = make()?;
    Ok(IMPORTS.0.get_or_init(|| made))
}
