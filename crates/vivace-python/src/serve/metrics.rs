//! `vivace._native.Metrics`: what a server counts, and the thread that tells it (`--metrics`).
//!
//! The thread is Rust's alone: it answers while the loop is blocked. With several workers the
//! parent collects: see `vivace_http::metrics`.

use std::cell::RefCell;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use vivace_http::metrics::{
    Answered, Collector, Endpoint, Method, Options, Readiness, Registry, Rejection, Reporter,
    StallLimit, Watched, exposition,
};
use vivace_sys::clock::monotonic_nanoseconds;

use super::access::route_of;
use super::exchange::Exchange;
use crate::ffi::{
    Args, Builtin, Class, ClassBuilder, ClassCell, Instance, Object, Owned, Raised, Result,
    Visitor, descriptor, error, raise, text,
};

/// See the module.
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    endpoint: RefCell<Option<Endpoint>>,
    collector: RefCell<Option<Arc<Collector>>>,
    reporter: RefCell<Option<Reporter>>,
}

impl Class for Metrics {
    fn cell() -> &'static ClassCell {
        static CELL: ClassCell = ClassCell::new(0);
        &CELL
    }
    fn empty() -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let registry = Registry::new(&Options { version, ..Options::default() });
        registry.add_source(Box::new(crate::see::metrics::Loops));
        Self {
            registry: Arc::new(registry),
            endpoint: RefCell::new(None),
            collector: RefCell::new(None),
            reporter: RefCell::new(None),
        }
    }
    fn traverse(&self, _visitor: &mut Visitor) {}
    fn clear(&self) {}
}

impl Metrics {
    pub(super) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }
}

/// A request has begun.
pub(super) fn begun(exchange: &Exchange, registry: &Registry, method: &[u8], scope: &Object) {
    registry.request_begun();
    exchange.measured.set(Some(Method::of(method)));
    exchange.measured_scope.set(scope.new_ref());
}

/// A request has ended, with a response or without.
pub(super) fn ended(exchange: &Instance<Exchange>) -> Result<()> {
    let Some(method) = exchange.measured.take() else { return Ok(()) };
    let Some(scope) = exchange.measured_scope.take() else { return Ok(()) };
    let route = route_of(&scope)?;
    let status = exchange.response.status.get();
    let elapsed = monotonic_nanoseconds().saturating_sub(exchange.begun.get());
    exchange.ties.service.get().map_or(Ok(()), |service| {
        service.count(|registry| {
            if status == 0 {
                registry.request_abandoned();
                return;
            }
            registry.request_answered(&Answered {
                route: registry.route(route.as_deref().unwrap_or("other")),
                method,
                status,
                duration: Duration::from_nanos(elapsed),
                response_bytes: exchange.response.sent.get(),
            });
        });
        Ok(())
    })
}

/// Why a request that could not be read was refused.
pub(super) fn reason_of(status: u16) -> Rejection {
    Rejection::of_status(status)
}

type This = Instance<Metrics>;

fn io_error(failure: &std::io::Error) -> Raised {
    match failure.raw_os_error() {
        Some(errno) => error::raise_os(errno),
        None => raise(Builtin::Os, &failure.to_string()),
    }
}

/// `(fd, stall)`: a listening socket, which stays the caller's, and a time in seconds.
fn listener_and_limit(args: &Args<'_>, method: &str) -> Result<(TcpListener, StallLimit)> {
    let [fd, stall] = args.parse(method, ["fd", "stall"], 2, 2)?;
    let (Some(fd), Some(stall)) = (fd, stall) else {
        return Err(raise(Builtin::Type, "a descriptor and a time are needed"));
    };
    let number = text::to_i64(fd)? as i32;
    let Some(borrowed) = descriptor::borrow(number) else {
        return Err(raise(Builtin::Value, &format!("Invalid file descriptor: {number}")));
    };
    let owned = borrowed.try_clone_to_owned().map_err(|failure| io_error(&failure))?;
    let seconds = text::to_f64(stall)?;
    let limit = Duration::try_from_secs_f64(seconds)
        .map_err(|_| raise(Builtin::Value, &format!("bad time: {seconds}")))?;
    Ok((TcpListener::from(owned), StallLimit(limit)))
}

fn start(
    this: &This,
    listener: TcpListener,
    what: Arc<dyn Watched>,
    limit: StallLimit,
) -> Result<Owned> {
    let endpoint = Endpoint::start(listener, what, limit).map_err(|failure| io_error(&failure))?;
    let before = this.endpoint.borrow_mut().replace(endpoint);
    drop(before);
    Ok(text::none())
}

fn listen(this: &This, args: &Args<'_>) -> Result<Owned> {
    let (listener, limit) = listener_and_limit(args, "listen")?;
    start(this, listener, this.registry(), limit)
}

fn listen_for_workers(this: &This, args: &Args<'_>) -> Result<Owned> {
    let (listener, limit) = listener_and_limit(args, "listen_for_workers")?;
    let collector = Arc::new(Collector::start().map_err(|failure| io_error(&failure))?);
    let address = collector.address().to_owned();
    *this.collector.borrow_mut() = Some(Arc::clone(&collector));
    start(this, listener, collector, limit)?;
    text::string(&address)
}

fn report_to(this: &This, address: &Object) -> Result<Owned> {
    let address = text::with_str(address, str::to_owned)?;
    let reporter =
        Reporter::start(&address, this.registry()).map_err(|failure| io_error(&failure))?;
    let before = this.reporter.borrow_mut().replace(reporter);
    drop(before);
    Ok(text::none())
}

fn set_readiness(this: &This, name: &Object) -> Result<Owned> {
    let name = text::with_str(name, str::to_owned)?;
    let readiness = match name.as_str() {
        "starting" => Readiness::Starting,
        "ready" => Readiness::Ready,
        "draining" => Readiness::Draining,
        _ => return Err(raise(Builtin::Value, &format!("bad readiness: {name:?}"))),
    };
    this.registry.readiness().set(readiness);
    if let Some(collector) = &*this.collector.borrow() {
        collector.readiness().set(readiness);
    }
    Ok(text::none())
}

fn beat(this: &This) -> Result<Owned> {
    this.registry.heartbeat().beat(monotonic_nanoseconds());
    Ok(text::none())
}

fn text_of(this: &This) -> Result<Owned> {
    text::string(&exposition::text(&this.registry.snapshot()))
}

fn close(this: &This) -> Result<Owned> {
    let endpoint = this.endpoint.borrow_mut().take();
    drop(endpoint);
    let reporter = this.reporter.borrow_mut().take();
    drop(reporter);
    let collector = this.collector.borrow_mut().take();
    drop(collector);
    Ok(text::none())
}

/// Makes the class.
pub(super) fn make_class() -> Result<Owned> {
    ClassBuilder::<Metrics>::new(
        c"vivace._native.Metrics",
        c"Metrics()\n--\n\nWhat a server counts, and the thread that tells it.",
    )
    .init(|_this: &This, args: &Args<'_>| args.parse("Metrics", [], 0, 0).map(|[]| ()))
    .keywords(c"listen", c"Answers on a listening socket.", listen)
    .keywords(
        c"listen_for_workers",
        c"Answers for the workers that report to the address returned.",
        listen_for_workers,
    )
    .onearg(c"report_to", c"Reports to the parent at this address.", report_to)
    .onearg(c"set_readiness", c"'starting', 'ready' or 'draining'.", set_readiness)
    .noargs(c"beat", c"The loop turns.", beat)
    .noargs(c"text", c"The numbers as Prometheus reads them.", text_of)
    .noargs(c"close", c"Stops answering and reporting.", close)
    .build(None)
}
