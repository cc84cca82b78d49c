//! The access log: a line for each response, formatted and written in Rust.
//!
//! Where a program has put handlers of its own on the logger `uvicorn.access`, each line goes
//! through that logger instead, with the arguments that uvicorn gives.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use vivace_http::access_log::{
    AccessLog, Client, Colours, Destination, Format, HeaderLookup, Options, Record,
};
use vivace_http::h1::request::Head;
use vivace_http::target::decode_path;
use vivace_sys::clock::monotonic_nanoseconds;

use super::exchange::Exchange;
use super::metrics;
use super::scope::client_text;
use super::service::Service;
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::{Builtin, Instance, Object, Owned, Result, Slot, Visitor, error, raise, text};

/// How long the last lines may take to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The field by which a proxy names a request.
const REQUEST_ID: &[u8] = b"x-request-id";

/// What a line says of the request, kept until the response is complete.
pub(super) struct Line {
    /// The method, the path and the query, one after another.
    text: Vec<u8>,
    method: usize,
    path: usize,
    version: &'static str,
    client: Option<Owned>,
    /// For the route, which the application enters.
    scope: Owned,
    headers: Kept,
    /// The head of the response, if the format wants fields of it.
    answer: HeadLines,
}

impl Line {
    /// The head of the response as it is sent.
    pub(super) fn keep_answer(&mut self, head: &[u8]) {
        self.answer = HeadLines(head.to_vec());
    }
}

/// The lines of a head.
#[derive(Default)]
struct HeadLines(Vec<u8>);

impl HeaderLookup for HeadLines {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let mut lines = self.0.rsplit(|&byte| byte == b'\n');
        lines.find_map(|line| {
            let (field, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
        })
    }
}

/// Header fields that the format wants.
#[derive(Default)]
struct Kept(Vec<(Vec<u8>, Vec<u8>)>);

impl HeaderLookup for Kept {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_slice())
    }
}

/// Where lines go.
#[derive(Default)]
pub(super) struct Access {
    native: RefCell<Option<AccessLog>>,
    /// Header fields of requests that lines hold, in lower case.
    wanted: RefCell<Vec<Vec<u8>>>,
    wants_route: Cell<bool>,
    wants_answer: Cell<bool>,
    logger: Slot,
}

impl Access {
    /// Lines go to standard output, in this format.
    pub(super) fn start(&self, format: &str, colours: bool) -> Result<()> {
        let colours = if colours { Colours::On } else { Colours::Off };
        let format = Format::named(format, colours)
            .map_err(|fault| raise(Builtin::Value, &format!("--access-log-format: {fault}")))?;
        let mut wanted: Vec<_> =
            format.request_headers().iter().map(|name| name.to_vec()).collect();
        if format.wants_request_id() {
            wanted.push(REQUEST_ID.to_vec());
        }
        *self.wanted.borrow_mut() = wanted;
        self.wants_route.set(format.wants_route());
        self.wants_answer.set(!format.response_headers().is_empty());
        let log = AccessLog::start(format, Destination::Stdout, Options::default())
            .map_err(|failure| error::raise_os(failure.raw_os_error().unwrap_or(0)))?;
        *self.native.borrow_mut() = Some(log);
        Ok(())
    }

    /// Lines go to a logger of Python's.
    pub(super) fn use_logger(&self, logger: Owned) {
        self.logger.set(logger);
    }

    /// Writes what waits, and ends.
    pub(super) fn close(&self) {
        let log = self.native.borrow_mut().take();
        if let Some(log) = log {
            let _in_time = log.close(LAST_LINES);
        }
    }

    pub(super) fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.logger);
    }

    pub(super) fn clear(&self) {
        self.logger.clear();
    }

    /// What a line will need of a request.
    pub(super) fn line(&self, head: &Head<'_>, scope: &Object) -> Result<Line> {
        let mut text = Vec::with_capacity(head.method.len() + head.target.len());
        for part in [head.method, head.path, head.query] {
            text.extend_from_slice(part);
        }
        let wanted = self.wanted.borrow();
        let headers = wanted.iter().filter_map(|name| {
            let mut fields = head.headers.iter().rev();
            let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
            Some((name.clone(), field.value.to_vec()))
        });
        Ok(Line {
            text,
            method: head.method.len(),
            path: head.path.len(),
            version: match (head.http2, head.http11) {
                (true, _) => "2",
                (false, true) => "1.1",
                (false, false) => "1.0",
            },
            client: text::dict_get(scope, &asgi_names().client)?,
            scope: scope.new_ref(),
            headers: Kept(headers.collect()),
            answer: HeadLines::default(),
        })
    }

    /// Whether lines hold header fields of responses.
    #[inline]
    pub(super) fn wants_answer(&self) -> bool {
        self.wants_answer.get()
    }

    fn write(&self, service: &Service, exchange: &Exchange, line: &Line) -> Result<()> {
        let (method, rest) = line.text.split_at(line.method);
        let (raw_path, query) = rest.split_at(line.path);
        let root_path = &service.settings().root_path;
        let mut path = decode_path(raw_path);
        if !root_path.is_empty() {
            path = Cow::Owned(format!("{root_path}{path}"));
        }
        let version = line.version;
        if let Some(logger) = self.logger.get() {
            return log_by_logger(&logger, exchange, line, method, &path, query, version);
        }
        let route = if self.wants_route.get() { route_of(&line.scope)? } else { None };
        let scheme = text::dict_get(&line.scope, &asgi_names().scheme)?;
        let scheme = scheme.map(|scheme| text::to_string_lossy(&scheme));
        let client = match &line.client {
            Some(client) if text::is_tuple(client) => {
                let port = text::tuple_get(client, 1);
                let port = if port.is_none() { 0 } else { text::to_i64(port)? };
                Some((text::to_string_lossy(text::tuple_get(client, 0)), port as u16))
            }
            _ => None,
        };
        let elapsed = monotonic_nanoseconds().saturating_sub(exchange.begun.get());
        let duration = Duration::from_nanos(elapsed);
        let record = Record {
            client: client
                .as_ref()
                .map(|(host, port)| Client { host: host.as_bytes(), port: *port }),
            scheme: scheme.as_deref().unwrap_or("http"),
            method,
            path: path.as_bytes(),
            raw_path,
            query,
            http_version: version,
            status: exchange.response.status.get(),
            response_bytes: exchange.response.sent.get(),
            started: SystemTime::now() - duration,
            duration,
            request_id: line.headers.value(REQUEST_ID),
            route: route.as_ref().map(String::as_bytes),
            request_headers: &line.headers,
            response_headers: &line.answer,
        };
        if let Some(log) = &mut *self.native.borrow_mut() {
            log.log(&record);
        }
        Ok(())
    }
}

/// The template that the application matched, if its framework says so (`scope["route"].path`).
pub(super) fn route_of(scope: &Object) -> Result<Option<String>> {
    let names = asgi_names();
    let Some(route) = text::dict_get(scope, &names.route)? else { return Ok(None) };
    let route = included(scope, &route)?.unwrap_or(route);
    let path = route.getattr_opt(&names.path)?.filter(|path| text::is_str(path));
    Ok(path.map(|path| text::to_string_lossy(&path)))
}

/// With FastAPI, the route as it is with the prefix of the router that includes it.
fn included(scope: &Object, route: &Object) -> Result<Option<Owned>> {
    let names = asgi_names();
    let kept = text::dict_get(scope, &names.fastapi)?.filter(|kept| text::is_dict(kept));
    let Some(kept) = kept else { return Ok(None) };
    let context = text::dict_get(&kept, &names.effective_route_context)?;
    let Some(context) = context else { return Ok(None) };
    let original = context.getattr_opt(&names.original_route)?;
    Ok(original.is_some_and(|original| original.is(route)).then_some(context))
}

fn log_by_logger(
    logger: &Object,
    exchange: &Exchange,
    line: &Line,
    method: &[u8],
    path: &str,
    query: &[u8],
    version: &str,
) -> Result<()> {
    let client = match &line.client {
        Some(client) if text::is_tuple(client) => client_text(client)?,
        _ => String::new(),
    };
    let mut target = vivace_http::target::encode_path(path);
    if !query.is_empty() {
        target.push('?');
        target.push_str(&String::from_utf8_lossy(query));
    }
    let format = text::string("%s - \"%s %s HTTP/%s\" %d")?;
    let client = text::string(&client)?;
    let method = text::string(&String::from_utf8_lossy(method))?;
    let target = text::string(&target)?;
    let version = text::string(version)?;
    let status = text::integer(i64::from(exchange.response.status.get()))?;
    let args = [&*format, &*client, &*method, &*target, &*version, &*status];
    logger.getattr(&asgi_names().info)?.call(&args).map(drop)
}

/// The response is complete.
pub(super) fn log(exchange: &Instance<Exchange>) -> Result<()> {
    metrics::ended(exchange)?;
    let Some(line) = exchange.line.borrow_mut().take() else { return Ok(()) };
    let service = exchange.service()?;
    service.access.write(&service, exchange, &line)
}

/// The connection or the application has ended before the response did.
pub(super) fn log_aborted(exchange: &Instance<Exchange>) -> Result<()> {
    if exchange.response.status.get() == 0 {
        return metrics::ended(exchange);
    }
    log(exchange)
}
