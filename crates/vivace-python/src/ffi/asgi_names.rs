//! The strings of the ASGI specification, interned, and the modules that serving needs.
//!
//! Looked up when the first service is made: a program that only runs a loop has none of it.

use std::sync::OnceLock;

use super::error::Result;
use super::object::Owned;
use super::text::interned;

macro_rules! asgi_names {
    ($($name:ident $(= $text:literal)?),* $(,)?) => {
        /// Interned strings, one field a name; never given up.
        pub(crate) struct AsgiNames { $(pub(crate) $name: Owned),* }
        impl AsgiNames {
            fn make() -> Result<Self> {
                Ok(Self { $($name: interned(asgi_names!(@text $name $($text)?))?),* })
            }
        }
    };
    (@text $name:ident) => { stringify!($name) };
    (@text $name:ident $text:literal) => { $text };
}

asgi_names! {
    // Keys of scopes and messages.
    kind = "type", asgi, version, spec_version, http_version, server, client, scheme, method,
    path, raw_path, query_string, root_path, headers, state, extensions, subprotocols,
    status, body, more_body, trailers, more_trailers, bytes, text, code, reason, subprotocol,
    links,
    // Values.
    http, https, websocket, ws, wss, version_10 = "1.0", version_11 = "1.1",
    asgi_version = "3.0", asgi_spec = "2.5", get = "GET", post = "POST", head = "HEAD",
    put = "PUT", delete = "DELETE", options = "OPTIONS", patch = "PATCH",
    // Types of messages.
    http_request = "http.request", http_disconnect = "http.disconnect",
    response_start = "http.response.start", response_body = "http.response.body",
    response_trailers = "http.response.trailers", response_pathsend = "http.response.pathsend",
    response_early_hint = "http.response.early_hint",
    websocket_connect = "websocket.connect", websocket_receive = "websocket.receive",
    websocket_disconnect = "websocket.disconnect", websocket_accept = "websocket.accept",
    websocket_send = "websocket.send", websocket_close = "websocket.close",
    websocket_response_start = "websocket.http.response.start",
    websocket_response_body = "websocket.http.response.body",
    websocket_response = "websocket.http.response", tls_extension = "tls",
    // Names of ours.
    route, fastapi, effective_route_context, original_route, error, warning, info, exc_info, create_task, ssl_object,
    write_eof, writelines,
}

struct Cell(OnceLock<AsgiNames>);

// SAFETY: written once; the objects are used by attached threads only and the references are
// never given up.
unsafe impl Sync for Cell {}
// SAFETY: as above.
unsafe impl Send for Cell {}

static NAMES: Cell = Cell(OnceLock::new());

/// Makes the names, at import of the module.
pub(crate) fn initialise() -> Result<()> {
    if NAMES.0.get().is_none() {
        let made = AsgiNames::make()?;
        let _already = NAMES.0.set(made);
    }
    Ok(())
}

#[inline(always)]
pub(crate) fn asgi_names() -> &'static AsgiNames {
    NAMES.0.get().expect("invariant: the service's constructor has made them")
}
