//! `vivace._native.HttpService`: what the connections of one server share, and their factory.
//!
//! It counts what is open and what runs, lets requests wait when there are too many, and ends
//! everything well: `drain`, `disconnect`, `cancel`, `abort`, in this order, each harder than
//! the one before.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use slab::Slab;
use vivace_http::date::imf_fixdate;
use vivace_http::h1::request::Limits;
use vivace_http::h1::response::Defaults;
use vivace_http::metrics::{Registry, Rejection};
use vivace_http::proxy::TrustedHosts;
use vivace_http::ws::deflate::Pool;
use vivace_sys::clock::unix_seconds;

use super::access::Access;
use super::connection::Connection;
use super::exchange::Exchange;
use super::metrics::Metrics;
use super::operation::{self, Operation};
use super::proxy::Proxies;
use super::scope::HeaderNames;
use super::settings::Settings;
use super::websocket::WebSocket;
use super::{application, response};
use crate::event_loop::Loop;
use crate::ffi::asgi_names::{self, asgi_names};
use crate::ffi::slot::Counted;
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Ref, Result, Slot,
    Visitor, allocate, allocate_with, imports, raise, text,
};
use crate::future::Future;

/// Objects that every request needs, made once.
#[derive(Default)]
struct Templates {
    asgi: Slot,
    request: Slot,
    extensions: Slot,
    websocket_extensions: Slot,
    done: Slot<Ref<Operation>>,
    send_file: Slot,
}

/// Objects that are there, each of which keeps its place.
struct Register<T: Class>(RefCell<Slab<Ref<T>>>);

/// Where an object is in its register, if it is.
pub(super) type Place = Cell<Option<usize>>;

impl<T: Class> Default for Register<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: Class> Register<T> {
    #[inline]
    fn enter(&self, place: &Place, object: Ref<T>) {
        place.set(Some(self.0.borrow_mut().insert(object)));
    }

    /// Whether the object was there.
    #[inline]
    fn leave(&self, place: &Place) -> bool {
        let Some(key) = place.take() else { return false };
        let gone = self.0.borrow_mut().try_remove(key);
        gone.is_some()
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    fn all(&self) -> Vec<Ref<T>> {
        self.0.borrow().iter().map(|(_, object)| object.clone()).collect()
    }

    fn traverse(&self, visitor: &mut Visitor) {
        if let Ok(objects) = self.0.try_borrow() {
            objects.iter().for_each(|(_, object)| visitor.object(object.as_object()));
        }
    }

    fn clear(&self) {
        let objects = std::mem::take(&mut *self.0.borrow_mut());
        drop(objects);
    }
}

/// What is open and what runs.
#[derive(Default)]
struct Counts {
    connections: Register<Connection>,
    per_address: RefCell<HashMap<String, usize>>,
    running: Register<Exchange>,
    websockets: Register<WebSocket>,
    waiting: RefCell<VecDeque<Ref<Exchange>>>,
    served: Cell<u64>,
}

/// See the module.
pub(crate) struct Service {
    app: Slot,
    state: Slot,
    error_logger: Slot,
    on_served: Slot,
    on_connection: Slot,
    event_loop: Slot<Ref<Loop>>,
    settings: OnceCell<Settings>,
    proxies: OnceCell<Proxies>,
    pub(super) header_names: HeaderNames,
    pub(super) access: Access,
    templates: Templates,
    /// The objects by which the application has named its messages.
    pub(super) said_start: Slot,
    pub(super) said_body: Slot,
    counts: Counts,
    draining: Cell<bool>,
    /// The second of the `Date` header, and its text.
    date: RefCell<(u64, Vec<u8>)>,
    closed_waiters: RefCell<Vec<Ref<Future>>>,
    /// What is counted, with `--metrics`.
    registry: RefCell<Option<Arc<Registry>>>,
    /// Taken out while it is used.
    pool: Cell<Option<Box<Pool>>>,
}

impl Service {
    pub(super) fn settings(&self) -> &Settings {
        self.settings.get().expect("invariant: set by the constructor")
    }

    pub(super) fn proxies(&self) -> &Proxies {
        self.proxies.get().expect("invariant: set by the constructor")
    }

    pub(super) fn request_limits(&self) -> Limits {
        let limits = &self.settings().limits;
        Limits {
            head_bytes: limits.header_size,
            headers: limits.headers,
            target_bytes: limits.header_size,
        }
    }

    pub(super) fn app(&self) -> Owned {
        self.app.get_or_none()
    }

    pub(super) fn state(&self) -> Option<Owned> {
        self.state.get()
    }

    /// What a scope says about ASGI. Each has its own, as applications may change it.
    pub(super) fn asgi_versions(&self) -> Result<Owned> {
        text::dict_copy(&self.templates.asgi.get_or_none())
    }

    /// A new `http.request` with an empty body.
    pub(super) fn request_template(&self) -> Result<Owned> {
        text::dict_copy(&self.templates.request.get_or_none())
    }

    pub(super) fn http_extensions(&self, connection: &Connection) -> Result<Owned> {
        extended(&self.templates.extensions, connection)
    }

    pub(super) fn websocket_extensions(&self, connection: &Connection) -> Result<Owned> {
        extended(&self.templates.websocket_extensions, connection)
    }

    /// What the extension `tls` says of a connection.
    pub(super) fn describe_tls(&self, channel: &Object) -> Result<Owned> {
        let module = text::import("vivace.serve._tls_extension")?;
        module.getattr(&*text::interned("describe")?)?.call(&[channel])
    }

    /// Lends the compressors, which all connections share. `body` runs no Python code but what
    /// finalizers run, and those find others.
    pub(super) fn with_pool<R>(&self, body: impl FnOnce(&mut Pool) -> R) -> R {
        let mut pool = self.pool.take().unwrap_or_default();
        let result = body(&mut pool);
        self.pool.set(Some(pool));
        result
    }

    /// What `await send(…)` awaits when there is nothing to wait for.
    #[inline]
    pub(super) fn done(&self) -> Owned {
        self.templates.done.get().map_or_else(text::none, Ref::into_owned)
    }

    /// The coroutine function that sends a file.
    pub(super) fn send_file_function(&self) -> Result<Owned> {
        if !self.templates.send_file.is_some() {
            let module = text::import("vivace.serve._files")?;
            self.templates.send_file.set(module.getattr(&*text::interned("send_file")?)?);
        }
        Ok(self.templates.send_file.get_or_none())
    }

    /// Lends what every response gets, if the application has not said it itself.
    pub(super) fn with_defaults<R>(&self, body: impl FnOnce(Defaults<'_>) -> R) -> R {
        let settings = self.settings();
        let (server, extra) = (settings.server.as_deref(), settings.extra_headers.as_slice());
        if !settings.date_header {
            return body(Defaults { date: None, server, extra });
        }
        let mut date = self.date.borrow_mut();
        let now = unix_seconds();
        if date.0 != now || date.1.is_empty() {
            *date = (now, imf_fixdate(now).to_vec());
        }
        body(Defaults { date: Some(&date.1), server, extra })
    }

    /// Counts, if somebody wants to know. `count` runs no Python code.
    #[inline]
    pub(super) fn count(&self, count: impl FnOnce(&Registry)) {
        if let Some(registry) = &*self.registry.borrow() {
            count(registry);
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(super) fn logs_access(&self) -> bool {
        self.settings().access_log
    }

    /// Whether somebody wants to know when requests came.
    #[inline]
    pub(super) fn notes_beginnings(&self) -> bool {
        let settings = self.settings();
        settings.access_log
            || settings.timeouts.request.is_some()
            || self.registry.borrow().is_some()
    }

    pub(super) fn log_info(&self, message: &str) -> Result<()> {
        let logger = self.error_logger.get_or_none();
        logger.call_method(&asgi_names().info, &[&*text::string(message)?]).map(drop)
    }

    pub(super) fn log_warning(&self, message: &str) -> Result<()> {
        let logger = self.error_logger.get_or_none();
        logger.call_method(&asgi_names().warning, &[&*text::string(message)?]).map(drop)
    }

    /// An error of the application's, with its exception.
    pub(super) fn log_error(&self, message: &str, exception: Option<&Object>) -> Result<()> {
        let names = asgi_names();
        let logger = self.error_logger.get_or_none();
        let message = text::string(message)?;
        match exception {
            None => logger.call_method(&names.error, &[&message]),
            Some(exception) => {
                let keyword = text::tuple(&[&names.exc_info])?;
                logger.getattr(&names.error)?.call_keywords(&[&message, exception], 1, &keyword)
            }
        }
        .map(drop)
    }
}

impl Class for Service {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(0);
        &CELL
    }
    fn empty() -> Self {
        Self {
            app: Slot::empty(),
            state: Slot::empty(),
            error_logger: Slot::empty(),
            on_served: Slot::empty(),
            on_connection: Slot::empty(),
            event_loop: Slot::empty(),
            settings: OnceCell::new(),
            proxies: OnceCell::new(),
            header_names: HeaderNames::empty(),
            access: Access::default(),
            templates: Templates::default(),
            said_start: Slot::empty(),
            said_body: Slot::empty(),
            counts: Counts::default(),
            draining: Cell::new(false),
            date: RefCell::default(),
            closed_waiters: RefCell::default(),
            registry: RefCell::new(None),
            pool: Cell::new(None),
        }
    }
    fn traverse(&self, visitor: &mut Visitor) {
        visitor.slot(&self.app);
        visitor.slot(&self.state);
        self.access.traverse(visitor);
        visitor.slot(&self.error_logger);
        visitor.slot(&self.on_served);
        visitor.slot(&self.on_connection);
        visitor.slot(&self.event_loop);
        self.header_names.traverse(visitor);
        visitor.slot(&self.said_start);
        visitor.slot(&self.said_body);
        visitor.slot(&self.templates.asgi);
        visitor.slot(&self.templates.request);
        visitor.slot(&self.templates.extensions);
        visitor.slot(&self.templates.websocket_extensions);
        visitor.slot(&self.templates.done);
        visitor.slot(&self.templates.send_file);
        self.counts.connections.traverse(visitor);
        self.counts.running.traverse(visitor);
        self.counts.websockets.traverse(visitor);
        if let Ok(waiting) = self.counts.waiting.try_borrow() {
            waiting.iter().for_each(|exchange| visitor.object(exchange.as_object()));
        }
        if let Ok(waiters) = self.closed_waiters.try_borrow() {
            waiters.iter().for_each(|future| visitor.object(future.as_object()));
        }
    }
    fn clear(&self) {
        self.app.clear();
        self.state.clear();
        self.access.clear();
        self.error_logger.clear();
        self.on_served.clear();
        self.on_connection.clear();
        self.event_loop.clear();
        self.header_names.clear();
        self.said_start.clear();
        self.said_body.clear();
        self.templates.asgi.clear();
        self.templates.request.clear();
        self.templates.extensions.clear();
        self.templates.websocket_extensions.clear();
        self.templates.done.clear();
        self.templates.send_file.clear();
        self.counts.connections.clear();
        self.counts.running.clear();
        self.counts.websockets.clear();
        let waiting = std::mem::take(&mut *self.counts.waiting.borrow_mut());
        drop(waiting);
        let waiters = std::mem::take(&mut *self.closed_waiters.borrow_mut());
        drop(waiters);
    }
}

impl Instance<Service> {
    /// The loop that runs, which must be one of ours.
    pub(super) fn running_loop(&self) -> Result<Ref<Loop>> {
        if let Some(event_loop) = self.event_loop.get() {
            return Ok(event_loop);
        }
        let running = imports().get_event_loop.call(&[])?;
        let Some(event_loop) = running.downcast::<Loop>() else {
            return Err(raise(
                Builtin::Runtime,
                "vivace.serve needs vivace's event loop: run it with vivace.run() or \
                 loop_factory=vivace.new_event_loop",
            ));
        };
        self.event_loop.set(event_loop.counted());
        Ok(event_loop.counted())
    }

    /// A connection is there. `false`: its address has too many already.
    pub(super) fn admit(&self, connection: &Instance<Connection>) -> Result<bool> {
        self.counts.connections.enter(&connection.place, connection.counted());
        self.count(Registry::connection_opened);
        self.tell_of_connection(connection, true)?;
        let Some(limit) = self.settings().limits.connections_per_address else { return Ok(true) };
        let Some(address) = address_of(connection) else { return Ok(true) };
        let mut counts = self.counts.per_address.borrow_mut();
        let count = counts.entry(address).or_default();
        *count += 1;
        if *count > limit {
            self.count(|registry| registry.rejected(Rejection::TooManyFromAddress));
        }
        Ok(*count <= limit)
    }

    fn tell_of_connection(&self, connection: &Instance<Connection>, open: bool) -> Result<()> {
        match self.on_connection.get().filter(|callback| !callback.is_none()) {
            Some(callback) => callback.call(&[connection.object(), &text::boolean(open)]).map(drop),
            None => Ok(()),
        }
    }

    /// A connection is gone.
    pub(super) fn forget(&self, connection: &Instance<Connection>) -> Result<()> {
        if !self.counts.connections.leave(&connection.place) {
            return Ok(());
        }
        self.count(Registry::connection_closed);
        self.tell_of_connection(connection, false)?;
        if self.settings().limits.connections_per_address.is_some() {
            if let Some(address) = address_of(connection) {
                let mut counts = self.counts.per_address.borrow_mut();
                if let Some(count) = counts.get_mut(&address) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&address);
                    }
                }
            }
        }
        self.tell_if_closed()
    }

    /// A request is to be served. `true`: now; otherwise it waits, or was refused.
    pub(super) fn count_in(&self, exchange: &Instance<Exchange>) -> Result<bool> {
        let limits = &self.settings().limits;
        if limits.concurrency.is_none_or(|limit| self.in_flight() < limit) {
            self.counts.running.enter(&exchange.place, exchange.counted());
            return Ok(true);
        }
        let waiting = self.counts.waiting.borrow().len();
        if waiting < limits.queue {
            self.counts.waiting.borrow_mut().push_back(exchange.counted());
            return Ok(false);
        }
        let scope = exchange.scope.take();
        drop(scope);
        self.count(|registry| registry.rejected(Rejection::Overload));
        self.log_warning("Exceeded concurrency limit.")?;
        response::plain(exchange, 503, "Service Unavailable", &[(b"retry-after", b"1")])?;
        Ok(false)
    }

    /// A request is over: the next one that waits has its turn.
    pub(super) fn count_out(&self, exchange: &Instance<Exchange>) -> Result<()> {
        if !self.counts.running.leave(&exchange.place) {
            return Ok(());
        }
        let served = self.counts.served.get() + 1;
        self.counts.served.set(served);
        if Some(served) == self.settings().limits.max_requests {
            let callback = self.on_served.get_or_none();
            if !callback.is_none() {
                callback.call(&[&*text::unsigned(served)?])?;
            }
        }
        self.start_next()?;
        self.tell_if_closed()
    }

    /// Lets the next request begin that waits.
    fn start_next(&self) -> Result<()> {
        loop {
            let next = self.counts.waiting.borrow_mut().pop_front();
            let Some(next) = next else { return Ok(()) };
            if next.lost.get() {
                continue;
            }
            // In a turn of its own: not inside of the end of another one.
            let event_loop = self.running_loop()?;
            let start = application::START.bind(next.object())?;
            return event_loop.call_soon(&start, &[text::none_ref()]);
        }
    }

    /// Requests that run and WebSockets that are open: what `--limit-concurrency` bounds.
    fn in_flight(&self) -> usize {
        self.counts.running.len() + self.counts.websockets.len()
    }

    /// Whether there is room for one more WebSocket. They do not wait for it.
    pub(super) fn has_room_for_websocket(&self) -> Result<bool> {
        let limit = self.settings().limits.concurrency;
        if limit.is_none_or(|limit| self.in_flight() < limit) {
            return Ok(true);
        }
        self.count(|registry| registry.rejected(Rejection::Overload));
        self.log_warning("Exceeded concurrency limit.")?;
        Ok(false)
    }

    pub(super) fn remember_websocket(&self, websocket: &Instance<WebSocket>) {
        self.counts.websockets.enter(&websocket.place, websocket.counted());
        self.count(Registry::websocket_opened);
    }

    /// Counts into `metrics` from now on, or no more.
    fn set_metrics(&self, metrics: Option<&Object>) -> Result<()> {
        let registry = match metrics.filter(|metrics| !metrics.is_none()) {
            None => None,
            Some(metrics) => match metrics.downcast::<Metrics>() {
                Some(metrics) => Some(metrics.registry()),
                None => return Err(raise(Builtin::Type, "metrics must be Metrics or None")),
            },
        };
        *self.registry.borrow_mut() = registry;
        Ok(())
    }

    /// The application has ended with a WebSocket.
    pub(super) fn forget_websocket(&self, websocket: &Instance<WebSocket>) -> Result<()> {
        if self.counts.websockets.leave(&websocket.place) {
            self.count(Registry::websocket_closed);
            self.start_next()?;
        }
        self.tell_if_closed()
    }

    fn is_closed(&self) -> bool {
        self.counts.connections.is_empty()
            && self.counts.running.is_empty()
            && self.counts.websockets.is_empty()
    }

    fn tell_if_closed(&self) -> Result<()> {
        if self.closed_waiters.borrow().is_empty() || !self.is_closed() {
            return Ok(());
        }
        let waiters = std::mem::take(&mut *self.closed_waiters.borrow_mut());
        for future in waiters {
            if future.core.is_pending() {
                future.core.set_result(future.object(), text::none())?;
            }
        }
        Ok(())
    }

    fn drain(&self) -> Result<()> {
        self.draining.set(true);
        self.counts.connections.all().iter().try_for_each(|connection| connection.drain())
    }

    fn disconnect(&self) -> Result<()> {
        for exchange in self.counts.running.all() {
            exchange.disconnected.set(true);
            exchange.waiters.wake()?;
        }
        self.counts
            .connections
            .all()
            .iter()
            .try_for_each(|connection| connection.websocket_restart())
    }

    fn cancel(&self) -> Result<usize> {
        let mut count = 0;
        for exchange in self.counts.running.all() {
            count += usize::from(exchange.cancel_task()?);
        }
        for websocket in self.counts.websockets.all() {
            count += usize::from(websocket.cancel_task()?);
            // Its client had the time of the shutdown to answer the close frame.
            websocket.end()?;
        }
        Ok(count)
    }

    fn abort(&self) -> Result<()> {
        self.counts.connections.all().iter().try_for_each(|connection| connection.abort())
    }

    fn wait_closed(&self) -> Result<Owned> {
        let event_loop = self.running_loop()?;
        let future = allocate_with(Future::default)?;
        future.core.join(&event_loop);
        if self.is_closed() {
            future.core.set_result(future.object(), text::none())?;
        } else {
            self.closed_waiters.borrow_mut().push(future.clone());
        }
        Ok(future.into_owned())
    }
}

fn address_of(connection: &Connection) -> Option<String> {
    let client = connection.client.get()?;
    Some(text::to_string_lossy(text::tuple_get(&client, 0)))
}

/// A copy of a template of extensions, with that of the connection's TLS.
fn extended(template: &Slot, connection: &Connection) -> Result<Owned> {
    let extensions = text::dict_copy(&template.get_or_none())?;
    if let Some(tls) = connection.tls.get() {
        text::dict_set(&extensions, &asgi_names().tls_extension, &*text::dict_copy(&tls)?)?;
    }
    Ok(extensions)
}

fn extensions(names: &[&Object]) -> Result<Owned> {
    let extensions = text::dict()?;
    for name in names {
        text::dict_set(&extensions, name, &*text::dict()?)?;
    }
    Ok(extensions)
}

/// `HttpService(app, settings, state)`.
fn init(this: &Instance<Service>, args: &Args<'_>) -> Result<()> {
    let [app, settings, state] = args.parse("HttpService", ["app", "settings", "state"], 2, 3)?;
    let (Some(app), Some(settings)) = (app, settings) else { return Ok(()) };
    asgi_names::initialise()?;
    crate::see::request::prepare()?;
    let read = Settings::read(settings)?;
    let trusted = match read.proxy_headers {
        true => {
            Some(TrustedHosts::from_entries(read.forwarded_allow_ips.iter().map(String::as_str)))
        }
        false => None,
    };
    if this.settings.set(read).is_err() || this.proxies.set(Proxies(trusted)).is_err() {
        return Err(raise(Builtin::Runtime, "HttpService() was initialised before"));
    }
    this.app.set(app.new_ref());
    if let Some(state) = state.filter(|state| !state.is_none()) {
        this.state.set(state.new_ref());
    }
    let attribute = |name: &str| settings.getattr(&*text::interned(name)?);
    let access_logger = attribute("access_logger")?;
    if this.settings().access_log {
        if access_logger.is_none() {
            this.access
                .start(&this.settings().access_log_format, this.settings().access_log_colors)?;
        } else {
            this.access.use_logger(access_logger);
        }
    }
    this.error_logger.set(attribute("error_logger")?);
    this.header_names.fill()?;
    let asgi = asgi_names();
    let versions = text::dict()?;
    text::dict_set(&versions, &asgi.version, &asgi.asgi_version)?;
    text::dict_set(&versions, &asgi.spec_version, &asgi.asgi_spec)?;
    this.templates.asgi.set(versions);
    let request = text::dict()?;
    text::dict_set(&request, &asgi.kind, &asgi.http_request)?;
    text::dict_set(&request, &asgi.body, &*crate::ffi::bytes::bytes(b"")?)?;
    text::dict_set(&request, &asgi.more_body, &text::boolean(false))?;
    this.templates.request.set(request);
    // Trailers go to clients that ask for them, and are dropped for others.
    let offered: [&Object; 3] =
        [&asgi.response_pathsend, &asgi.response_early_hint, &asgi.response_trailers];
    this.templates.extensions.set(extensions(&offered)?);
    this.templates.websocket_extensions.set(extensions(&[&asgi.websocket_response])?);
    this.templates.done.set(operation::done()?);
    Ok(())
}

/// The protocol of a new connection.
fn call(this: &Instance<Service>, args: &Args<'_>) -> Result<Owned> {
    let [] = args.parse("HttpService.__call__", [], 0, 0)?;
    let connection = Connection::empty();
    connection.service.set(this.counted());
    allocate(connection).map(Ref::into_owned)
}

fn number(value: usize) -> Result<Owned> {
    text::unsigned(value as u64)
}

fn none(outcome: Result<()>) -> Result<Owned> {
    outcome.map(|()| text::none())
}

type This = Instance<Service>;

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<Service>::new(
        c"vivace._native.HttpService",
        c"HttpService(app, settings, state=None)\n--\n\nWhat the connections of one server share.",
    )
    .init(init)
    .call(call)
    .getter(c"connections", |this: &This| number(this.counts.connections.len()))
    .getter(c"requests", |this: &This| number(this.counts.running.len()))
    .getter(c"websockets", |this: &This| number(this.counts.websockets.len()))
    .getter(c"served", |this: &This| text::unsigned(this.counts.served.get()))
    .property(
        c"on_served",
        |this: &This| Ok(this.on_served.get_or_none()),
        |this: &This, value: Option<&Object>| {
            this.on_served.set(value.map_or_else(text::none, Object::new_ref));
            Ok(())
        },
    )
    .property(
        c"on_connection",
        |this: &This| Ok(this.on_connection.get_or_none()),
        |this: &This, value: Option<&Object>| {
            this.on_connection.set(value.map_or_else(text::none, Object::new_ref));
            Ok(())
        },
    )
    .onearg(c"set_metrics", c"Counts into these Metrics.", |this: &This, metrics: &Object| {
        none(this.set_metrics(Some(metrics)))
    })
    .noargs(c"drain", c"Idle connections close; the others after their response.", |this: &This| {
        none(this.drain())
    })
    .noargs(c"disconnect", c"Handlers that still run see a disconnect.", |this: &This| {
        none(this.disconnect())
    })
    .noargs(c"cancel", c"Cancels what still runs; how many.", |this: &This| number(this.cancel()?))
    .noargs(c"abort", c"Closes what is still open.", |this: &This| none(this.abort()))
    .noargs(
        c"close_log",
        c"Writes the last lines of the access log, and ends it.",
        |this: &This| {
            this.access.close();
            Ok(text::none())
        },
    )
    .noargs(c"wait_closed", c"Until no connection and no request is left.", |this: &This| {
        this.wait_closed()
    })
    .build(None)
}
