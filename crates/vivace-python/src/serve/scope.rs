//! The scope of a request: what the application is told before anything else.
//!
//! "HTTP & WebSocket ASGI Message Format", section "HTTP connection scope". A connection has a
//! template with the keys that do not change; each request gets a copy.

use std::cell::RefCell;

use vivace_http::field::Header;
use vivace_http::h1::request::Head;
use vivace_http::h1::response::RequestTraits;
use vivace_http::target::decode_path;
use vivace_sys::clock::monotonic_nanoseconds;

use super::connection::Connection;
use super::exchange::Exchange;
use super::service::Service;
use crate::ffi::asgi_names::{AsgiNames, asgi_names};
use crate::ffi::bytes::bytes;
use crate::ffi::{Instance, Object, Owned, Ref, Result, Visitor, allocate_with, names, text};

/// Names of one length, with their objects.
type SameLength = Vec<(Vec<u8>, Owned)>;

/// The names of headers that are seen again and again, as `bytes` objects.
pub(super) struct HeaderNames {
    /// By length.
    known: RefCell<Vec<SameLength>>,
}

const COMMON: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
];

impl HeaderNames {
    pub(super) fn empty() -> Self {
        Self { known: RefCell::default() }
    }

    pub(super) fn fill(&self) -> Result<()> {
        let mut known: Vec<SameLength> = Vec::new();
        for name in COMMON {
            if known.len() <= name.len() {
                known.resize_with(name.len() + 1, Vec::new);
            }
            known[name.len()].push((name.as_bytes().to_vec(), bytes(name.as_bytes())?));
        }
        *self.known.borrow_mut() = known;
        Ok(())
    }

    /// The name in lower case.
    #[inline]
    fn get(&self, name: &[u8]) -> Result<Owned> {
        let known = self.known.borrow();
        let same_length = known.get(name.len()).map_or(&[][..], Vec::as_slice);
        for (candidate, object) in same_length {
            if candidate.eq_ignore_ascii_case(name) {
                return Ok(object.clone());
            }
        }
        bytes(&name.to_ascii_lowercase())
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        if let Ok(known) = self.known.try_borrow() {
            known.iter().flatten().for_each(|(_, object)| visitor.object(object));
        }
    }

    pub(super) fn clear(&self) {
        let known = std::mem::take(&mut *self.known.borrow_mut());
        drop(known);
    }
}

/// `(host, port)` of a socket's address, `(path, None)` of a Unix socket's; `None` (Rust's) if
/// the address says nothing.
fn address(value: &Object) -> Result<Option<Owned>> {
    if text::is_tuple(value) && text::tuple_len(value) >= 2 {
        let (host, port) = (text::tuple_get(value, 0), text::tuple_get(value, 1));
        return text::tuple(&[host, port]).map(Some);
    }
    if text::is_str(value) && value.is_true()? {
        return text::tuple(&[value, text::none_ref()]).map(Some);
    }
    Ok(None)
}

/// The template of a connection's scopes. Those of HTTP have all its keys.
pub(super) fn template(
    connection: &Instance<Connection>,
    service: &Service,
    transport: &Object,
) -> Result<Owned> {
    let asgi = asgi_names();
    let info = |name: &Object| transport.call_method(&names().get_extra_info, &[name]);
    let template = text::dict()?;
    let secure = connection.secure.get();
    let scheme = if secure { &asgi.https } else { &asgi.http };
    text::dict_set(&template, &asgi.kind, &asgi.http)?;
    text::dict_set(&template, &asgi.http_version, &asgi.version_11)?;
    let server = address(&*info(&names().sockname)?)?;
    text::dict_set(&template, &asgi.server, server.as_deref().unwrap_or(text::none_ref()))?;
    let client = address(&*info(&names().peername)?)?;
    text::dict_set(&template, &asgi.client, client.as_deref().unwrap_or(text::none_ref()))?;
    if let Some(client) = client {
        connection.client.set(client);
    }
    text::dict_set(&template, &asgi.scheme, scheme)?;
    let root_path = text::string(&service.settings().root_path)?;
    text::dict_set(&template, &asgi.root_path, &root_path)?;
    // What each request sets: a copy has room for it, and does not grow.
    let mut later = vec![&asgi.asgi, &asgi.method, &asgi.path, &asgi.raw_path, &asgi.query_string];
    later.extend([&asgi.headers, &asgi.extensions]);
    later.extend(service.state().map(|_| &asgi.state));
    for key in later {
        text::dict_set(&template, key, text::none_ref())?;
    }
    Ok(template)
}

/// The headers as `[(name, value), …]`: names in lower case, in the order in which they came.
pub(super) fn headers(service: &Service, headers: &[Header<'_>]) -> Result<Owned> {
    text::list_of(headers.len(), |index| {
        let header = &headers[index];
        text::pair(service.header_names.get(header.name)?, bytes(header.value)?)
    })
}

fn method(asgi: &AsgiNames, method: &[u8]) -> Result<Owned> {
    let known = match method {
        b"GET" => &asgi.get,
        b"POST" => &asgi.post,
        b"HEAD" => &asgi.head,
        b"PUT" => &asgi.put,
        b"DELETE" => &asgi.delete,
        b"OPTIONS" => &asgi.options,
        b"PATCH" => &asgi.patch,
        _ => return text::string(&String::from_utf8_lossy(method).to_ascii_uppercase()),
    };
    Ok(known.clone())
}

/// The keys that HTTP and WebSocket scopes share, on a copy of the connection's template.
pub(super) fn common(connection: &Connection, service: &Service, head: &Head<'_>) -> Result<Owned> {
    let asgi = asgi_names();
    let scope = text::dict_copy(&connection.template.get_or_none())?;
    text::dict_set(&scope, &asgi.asgi, &*service.asgi_versions()?)?;
    if !head.http11 {
        text::dict_set(&scope, &asgi.http_version, &asgi.version_10)?;
    }
    let root_path = &service.settings().root_path;
    if root_path.is_empty() {
        text::dict_set(&scope, &asgi.path, &*text::string(&decode_path(head.path))?)?;
        text::dict_set(&scope, &asgi.raw_path, &*bytes(head.path)?)?;
    } else {
        // As uvicorn has it: the path that the application sees begins with the root path.
        let path = format!("{root_path}{}", decode_path(head.path));
        let raw = [root_path.as_bytes(), head.path].concat();
        text::dict_set(&scope, &asgi.path, &*text::string(&path)?)?;
        text::dict_set(&scope, &asgi.raw_path, &*bytes(&raw)?)?;
    }
    text::dict_set(&scope, &asgi.query_string, &*bytes(head.query)?)?;
    text::dict_set(&scope, &asgi.headers, &*headers(service, &head.headers)?)?;
    if let Some(state) = service.state() {
        text::dict_set(&scope, &asgi.state, &*text::dict_copy(&state)?)?;
    }
    super::proxy::apply(connection, service, head, &scope)?;
    Ok(scope)
}

/// The exchange of a request, with its scope; the application is not called yet.
pub(super) fn exchange_for(
    connection: &Instance<Connection>,
    service: &Instance<Service>,
    head: &Head<'_>,
) -> Result<Ref<Exchange>> {
    let asgi = asgi_names();
    let scope = common(connection, service, head)?;
    text::dict_set(&scope, &asgi.method, &*method(asgi, head.method)?)?;
    text::dict_set(&scope, &asgi.extensions, &*service.http_extensions(connection)?)?;
    let exchange = allocate_with(|| Exchange::new(RequestTraits::from(head)))?;
    if service.notes_beginnings() {
        exchange.begun.set(monotonic_nanoseconds());
    }
    if service.logs_access() {
        *exchange.line.borrow_mut() = Some(service.access.line(head, &scope)?);
    }
    service.count(|registry| super::metrics::begun(&exchange, registry, head.method, &scope));
    exchange.scope.set(scope);
    exchange.ties.join(service, &connection.event_loop);
    exchange.connection.set(connection.counted());
    Ok(exchange)
}

/// `host:port`, or the path of a Unix socket.
pub(super) fn client_text(client: &Object) -> Result<String> {
    let host = text::to_string_lossy(text::tuple_get(client, 0));
    let port = text::tuple_get(client, 1);
    if port.is_none() { Ok(host) } else { Ok(format!("{host}:{}", text::to_i64(port)?)) }
}
