//! The request that a task was made for, as reports name it; read without the GIL.
//!
//! What is known of a request is the address of its scope, which the server keeps while the request
//! has an account. The query is left out: it may hold secrets, and so may fields of the head.

use std::sync::OnceLock;

use serde_json::{Value, json};
use vivace_see::requests;
use vivace_sys::clock::ticks;

use super::mapping::{attribute, item};
use super::memory::{bytes, callable, text, type_name};
use super::{live, walk};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::frame_layout::Layout;
use crate::ffi::{Result, text as python};

/// Longer paths and names are cut.
const LONGEST: usize = 200;

/// What is said of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// `WEBSOCKET` if it is one.
    pub(super) method: String,
    /// As the client sent it, without the query.
    pub(super) path: String,
    /// The template that the application matched: `/items/{id}`.
    pub(super) route: Option<String>,
    /// The name of the function behind it.
    pub(super) endpoint: Option<String>,
    /// `HTTP/1.1`.
    pub(super) protocol: String,
}

impl Request {
    /// `GET /items/7`.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The same with the rest.
    pub(super) fn text(&self) -> String {
        let route = self.route.as_ref().map(|route| format!("route {route}, "));
        let endpoint = self.endpoint.as_ref().map(|name| format!("endpoint {name}, "));
        let (route, endpoint) = (route.unwrap_or_default(), endpoint.unwrap_or_default());
        format!("{}  ({route}{endpoint}{})", self.label(), self.protocol)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "endpoint": self.endpoint,
            "protocol": self.protocol,
        })
    }

    /// What requests of a kind have in common.
    pub(super) fn kind(&self) -> String {
        let route = self.route.as_ref().or(self.endpoint.as_ref());
        let route = route.cloned().unwrap_or_else(|| {
            let first = self.path.split('/').find(|part| !part.is_empty());
            format!("/{}", first.unwrap_or_default())
        });
        format!("{} {route}", self.method)
    }
}

/// The addresses of interned strings.
struct Names {
    kind: usize,
    method: usize,
    path: usize,
    raw_path: usize,
    http_version: usize,
    route: usize,
    endpoint: usize,
    path_template: usize,
    fastapi: usize,
    effective_route_context: usize,
    original_route: usize,
}

static NAMES: OnceLock<Names> = OnceLock::new();

/// Before the first request: what needs the GIL.
pub(crate) fn prepare() -> Result<()> {
    let names = asgi_names();
    // Interned strings that a program's source holds, too; these are never given up.
    let kept = |name: &str| -> Result<usize> {
        let name = python::interned(name)?;
        let address = name.address();
        std::mem::forget(name);
        Ok(address)
    };
    if NAMES.get().is_none() {
        let _first = NAMES.set(Names {
            kind: names.kind.address(),
            method: names.method.address(),
            path: names.path.address(),
            raw_path: names.raw_path.address(),
            http_version: names.http_version.address(),
            route: names.route.address(),
            endpoint: kept("endpoint")?,
            path_template: kept("path_template")?,
            fastapi: kept("fastapi")?,
            effective_route_context: kept("effective_route_context")?,
            original_route: kept("original_route")?,
        });
    }
    Ok(())
}

/// The request with this number, if it is not over.
pub(super) fn of(number: u64) -> Option<Request> {
    /// The program may change the scope while it is read.
    const ATTEMPTS: usize = 3;
    if number == 0 {
        return None;
    }
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let request = read(requests::of(number)?.scope());
        // The scope was there all the time if the account still is.
        requests::of(number)?;
        if request.is_some() && request == last {
            break;
        }
        last = request;
    }
    last
}

/// `GET /items/7`, of a request by its number.
pub(crate) fn label(number: u64) -> Option<String> {
    of(number).map(|request| request.label())
}

/// Seconds since it came.
pub(super) fn age(number: u64) -> Option<f64> {
    let passed = ticks().saturating_sub(requests::of(number)?.begin());
    Some(live::scale().duration(passed) as f64 / 1e9)
}

fn read(scope: usize) -> Option<Request> {
    let layout = walk::layout().as_ref().ok()?;
    let names = NAMES.get()?;
    let get = |name: usize| item(scope, name);
    let string = |name: usize| string(layout, get(name)?);
    let websocket = string(names.kind).is_some_and(|kind| kind == "websocket");
    let method = if websocket { Some("WEBSOCKET".to_owned()) } else { string(names.method) };
    let raw = get(names.raw_path).and_then(bytes);
    let raw = raw.filter(|raw| !raw.is_empty()).map(|raw| String::from_utf8_lossy(&raw).into());
    let version = string(names.http_version).unwrap_or_default();
    Some(Request {
        method: cut(method?),
        path: cut(raw.or_else(|| string(names.path))?),
        route: route(layout, names, scope).map(cut),
        endpoint: get(names.endpoint).and_then(|object| callable(layout, object)).map(cut),
        protocol: cut(match websocket {
            true => format!("WebSocket over HTTP/{version}"),
            false => format!("HTTP/{version}"),
        }),
    })
}

/// The `path` of what the framework has found (Starlette, FastAPI), or the template itself.
fn route(layout: &Layout, names: &Names, scope: usize) -> Option<String> {
    let found = item(scope, names.route);
    let path_of = |route: usize| string(layout, attribute(route, names.path)?);
    let path = found.and_then(|route| included(names, scope, route).or(Some(route)));
    let path = path.and_then(path_of);
    let itself = || found.and_then(|route| string(layout, route));
    let template = || string(layout, item(scope, names.path_template)?);
    path.or_else(itself).or_else(template).filter(|path| !path.is_empty())
}

/// With FastAPI, the route as it is with the prefix of the router that includes it.
fn included(names: &Names, scope: usize, route: usize) -> Option<usize> {
    let context = item(item(scope, names.fastapi)?, names.effective_route_context)?;
    (attribute(context, names.original_route)? == route).then_some(context)
}

fn string(layout: &Layout, object: usize) -> Option<String> {
    (type_name(object)? == "str").then(|| text(layout, object)).flatten()
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_cut_between_characters() {
        assert_eq!(cut("/é".repeat(50)), "/é".repeat(50));
        assert_eq!(cut("é".repeat(300)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn requests_of_a_kind_have_the_route_in_common() {
        let mut request =
            Request { method: "GET".into(), path: "/items/7".into(), ..Request::default() };
        assert_eq!(request.kind(), "GET /items");
        request.endpoint = Some("item".into());
        assert_eq!(request.kind(), "GET item");
        request.route = Some("/items/{id}".into());
        assert_eq!(request.kind(), "GET /items/{id}");
    }
}
