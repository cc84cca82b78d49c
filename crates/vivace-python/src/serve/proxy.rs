//! What a trusted proxy says of the client: `X-Forwarded-For` and `X-Forwarded-Proto`.

use vivace_http::h1::request::Head;
use vivace_http::proxy::{Forwarded, TrustedHosts};

use super::connection::Connection;
use super::service::Service;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::{Object, Result, text};

/// Whom to believe.
pub(super) struct Proxies(pub(super) Option<TrustedHosts>);

/// The host at the other end; empty on a Unix socket, whose clients have no address.
fn peer(connection: &Connection) -> String {
    let client = connection.client.get();
    client.map_or_else(String::new, |client| text::to_string_lossy(text::tuple_get(&client, 0)))
}

/// Changes the scope to what the proxy says, if it is to be believed.
pub(super) fn apply(
    connection: &Connection,
    service: &Service,
    head: &Head<'_>,
    scope: &Object,
) -> Result<()> {
    let Some(trusted) = &service.proxies().0 else { return Ok(()) };
    let forwarded =
        |name: &[u8]| name.len() > 12 && name[..12].eq_ignore_ascii_case(b"x-forwarded-");
    if !head.headers.iter().any(|header| forwarded(header.name)) {
        return Ok(());
    }
    if !trusted.trusts(&peer(connection)) {
        return Ok(());
    }
    let Forwarded { client, scheme } = trusted.read(&head.headers);
    let asgi = asgi_names();
    if let Some(scheme) = scheme {
        let secure = matches!(scheme, "https" | "wss");
        let scheme = if secure { &asgi.https } else { &asgi.http };
        text::dict_set(scope, &asgi.scheme, scheme)?;
    }
    if let Some((host, port)) = client {
        let host = text::string(&host)?;
        let port = text::integer(port)?;
        text::dict_set(scope, &asgi.client, &*text::tuple(&[&host, &port])?)?;
    }
    Ok(())
}

/// Enters `:scheme` of HTTP/2, if it comes from a proxy that is to be believed: the client says it,
/// whatever the connection is.
pub(super) fn apply_scheme(
    connection: &Connection,
    service: &Service,
    scheme: &str,
    scope: &Object,
) -> Result<()> {
    let Some(trusted) = &service.proxies().0 else { return Ok(()) };
    if !trusted.trusts(&peer(connection)) {
        return Ok(());
    }
    let asgi = asgi_names();
    let scheme = match scheme {
        "https" => &asgi.https,
        "http" => &asgi.http,
        _ => return Ok(()),
    };
    text::dict_set(scope, &asgi.scheme, scheme)
}
