//! Serving ASGI applications over HTTP, on the loop's own thread.
//!
//! ```text
//!   Stream ──bytes──> Connection ──head, body──> Exchange <──receive, send── the application
//!                        │  vivace_http: what the bytes mean
//!                     Service: what all connections share
//! ```
//!
//! | file | what |
//! |---|---|
//! | `service` | `HttpService`: what the connections of one server share |
//! | `settings` | what it was told |
//! | `connection` | `H1Protocol`: one HTTP/1.1 connection |
//! | `input` | bytes in: requests, bodies, what waits |
//! | `http2`, `http2_websocket` | the same for a connection that speaks HTTP/2 |
//! | `ending` | the end of responses and connections, refusals |
//! | `deadlines` | how long what may take |
//! | `scope`, `proxy` | what the application is told of a request |
//! | `exchange` | one request and its response; `receive` |
//! | `response` | `send`: from messages to bytes |
//! | `operation` | what `receive` and `send` return |
//! | `files` | files as bodies |
//! | `application` | calling the application, and its end |
//! | `websocket`, `websocket_wire` | one WebSocket: the application's side, the client's |
//! | `access` | the access log |
//! | `metrics` | what is counted, and who tells it |

mod access;
mod application;
pub(crate) mod connection;
mod deadlines;
mod ending;
mod exchange;
mod files;
mod http2;
mod http2_websocket;
mod input;
mod metrics;
mod operation;
mod proxy;
mod response;
mod scope;
mod service;
mod settings;
mod websocket;
mod websocket_wire;

use crate::ffi::{Owned, Result};

/// The classes that Python sees.
pub(crate) struct Classes {
    pub(crate) service: Owned,
    pub(crate) connection: Owned,
    pub(crate) exchange: Owned,
    pub(crate) websocket: Owned,
    pub(crate) operation: Owned,
    pub(crate) metrics: Owned,
}

/// Makes the classes.
pub(crate) fn make_classes() -> Result<Classes> {
    Ok(Classes {
        service: service::make_class()?,
        connection: connection::make_class()?,
        exchange: exchange::make_class()?,
        websocket: websocket::make_class()?,
        operation: operation::make_class()?,
        metrics: metrics::make_class()?,
    })
}
