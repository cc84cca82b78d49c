//! The numbers of one worker process: counted by the loop's thread, read by others at any time.
//!
//! Counting is a handful of atomic additions, about 30 ns a request. A registry belongs to the
//! process that made it: a child of a fork makes its own.

use super::health::{Heartbeat, ReadinessState};
use super::histogram::Buckets;
use super::labels::{Method, Rejection, STATUS_CLASSES, status_class};
use super::routes::{RouteId, Routes};
use super::snapshot::{Family, Kind, Process, Snapshot, Value};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What a registry is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many routes have series of their own.
    pub routes: usize,
    /// The upper bounds of the buckets of durations.
    pub buckets: Vec<Duration>,
    /// The version of the program, for a label.
    pub version: String,
}

impl Default for Options {
    /// 256 routes, and buckets from half a millisecond to ten seconds.
    fn default() -> Self {
        let microseconds = [
            500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
            2_500_000, 5_000_000, 10_000_000,
        ];
        Self {
            routes: 256,
            buckets: microseconds.map(Duration::from_micros).to_vec(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The number of its route.
    pub route: RouteId,
    /// Its method.
    pub method: Method,
    /// The status that was sent.
    pub status: u16,
    /// From the first byte of the request to the end of the response.
    pub duration: Duration,
    /// How many bytes of the body were sent.
    pub response_bytes: u64,
}

/// More metrics, gathered when somebody asks for them.
pub trait Source: Send + Sync {
    /// Adds families. Called on another thread than the loop's, which may be blocked.
    fn collect(&self, families: &mut Vec<Family>);
}

/// The numbers of this process.
pub struct Registry {
    pid: u32,
    version: String,
    started: SystemTime,
    routes: Routes,
    requests: Flow,
    connections: Flow,
    websockets: Flow,
    rejected: [AtomicU64; Rejection::ALL.len()],
    heartbeat: Heartbeat,
    readiness: ReadinessState,
    sources: Mutex<Vec<Box<dyn Source>>>,
}

/// What begins and ends.
#[derive(Debug, Default)]
struct Flow {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Flow {
    #[inline]
    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn end(&self) {
        self.ended.fetch_add(1, Ordering::Release);
    }

    fn begun(&self) -> Value {
        Value::Whole(self.begun.load(Ordering::Relaxed))
    }

    fn open(&self) -> Value {
        // Read in this order, what begins in between is not missed by one count and seen by the
        // other as ended.
        let ended = self.ended.load(Ordering::Acquire);
        Value::Whole(self.begun.load(Ordering::Relaxed).saturating_sub(ended))
    }
}

impl Registry {
    /// A registry for this process, with all numbers at zero.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            pid: std::process::id(),
            version: options.version.clone(),
            started: SystemTime::now(),
            routes: Routes::new(options.routes, Buckets::new(&options.buckets)),
            requests: Flow::default(),
            connections: Flow::default(),
            websockets: Flow::default(),
            rejected: Default::default(),
            heartbeat: Heartbeat::default(),
            readiness: ReadinessState::default(),
            sources: Mutex::default(),
        }
    }

    /// The number of a route's template, by which its requests are counted.
    pub fn route(&self, template: &str) -> RouteId {
        self.routes.number(template)
    }

    /// A request has begun.
    #[inline]
    pub fn request_begun(&self) {
        self.requests.begin();
    }

    /// A request that had begun ended without a response.
    #[inline]
    pub fn request_abandoned(&self) {
        self.requests.end();
    }

    /// A request that had begun was answered.
    #[inline]
    pub fn request_answered(&self, answered: &Answered) {
        self.requests.end();
        let series = self.routes.series(answered.route);
        let class = status_class(answered.status);
        series.requests[answered.method as usize][class].fetch_add(1, Ordering::Relaxed);
        series.duration.observe(answered.duration);
        series.response_bytes.fetch_add(answered.response_bytes, Ordering::Relaxed);
    }

    /// A connection was accepted.
    pub fn connection_opened(&self) {
        self.connections.begin();
    }

    /// A connection was closed.
    pub fn connection_closed(&self) {
        self.connections.end();
    }

    /// A connection became a WebSocket.
    pub fn websocket_opened(&self) {
        self.websockets.begin();
    }

    /// A WebSocket was closed.
    pub fn websocket_closed(&self) {
        self.websockets.end();
    }

    /// The server refused something by itself.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Where the loop says that it turns.
    #[must_use]
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Whether this process should be sent requests.
    #[must_use]
    pub fn readiness(&self) -> &ReadinessState {
        &self.readiness
    }

    /// Adds metrics of another part of the program.
    pub fn add_source(&self, source: Box<dyn Source>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// All numbers as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let heartbeat_age = self.heartbeat.age().map(|age| age.as_secs_f64());
        let readiness = self.readiness.now();
        let mut families = Vec::new();
        self.push_requests(&mut families);
        self.push_connections(&mut families);
        self.push_process(&mut families, heartbeat_age);
        for source in &*self.sources.lock().unwrap_or_else(PoisonError::into_inner) {
            source.collect(&mut families);
        }
        Snapshot { processes: vec![Process { pid: self.pid, readiness, heartbeat_age }], families }
    }

    fn push_requests(&self, families: &mut Vec<Family>) {
        let mut requests = Family::new(
            Kind::Counter,
            "vivace_http_requests_total",
            "Requests that were answered, by method, route and class of status.",
        );
        let mut duration = Family::new(
            Kind::Histogram,
            "vivace_http_request_duration_seconds",
            "From the beginning of a request to the end of its response.",
        );
        let mut bytes = Family::new(
            Kind::Counter,
            "vivace_http_response_body_bytes_total",
            "Bytes of response bodies that were sent.",
        );
        for series in self.routes.all() {
            let route = &*series.template;
            let mut any = false;
            for (row, (_, method)) in series.requests.iter().zip(Method::ALL) {
                for (count, class) in row.iter().zip(STATUS_CLASSES) {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        any = true;
                        let labels = [("method", method), ("route", route), ("status", class)];
                        requests.push(&labels, Value::Whole(count));
                    }
                }
            }
            if any {
                duration.push(&[("route", route)], series.duration.value());
                let sent = series.response_bytes.load(Ordering::Relaxed);
                bytes.push(&[("route", route)], Value::Whole(sent));
            }
        }
        let mut rejected = Family::new(
            Kind::Counter,
            "vivace_http_rejected_total",
            "What the server refused without asking the application, by reason.",
        );
        for (count, (_, reason)) in self.rejected.iter().zip(Rejection::ALL) {
            rejected.push(&[("reason", reason)], Value::Whole(count.load(Ordering::Relaxed)));
        }
        families.extend([requests, duration, bytes, rejected]);
        families.push(self.gauge(
            "vivace_http_requests_in_flight",
            "Requests that have begun and not ended.",
            self.requests.open(),
        ));
    }

    fn push_connections(&self, families: &mut Vec<Family>) {
        families.extend([
            Family::new(
                Kind::Counter,
                "vivace_connections_accepted_total",
                "Connections that were accepted.",
            )
            .with(&[], self.connections.begun()),
            self.gauge("vivace_connections_open", "Open connections.", self.connections.open()),
            Family::new(
                Kind::Counter,
                "vivace_websockets_accepted_total",
                "Connections that became a WebSocket.",
            )
            .with(&[], self.websockets.begun()),
            self.gauge("vivace_websockets_open", "Open WebSockets.", self.websockets.open()),
        ]);
    }

    fn push_process(&self, families: &mut Vec<Family>, heartbeat_age: Option<f64>) {
        let pid = self.pid.to_string();
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ready = u64::from(self.readiness.now() == super::Readiness::Ready);
        families.extend([
            Family::new(Kind::Gauge, "vivace_worker_info", "A process that serves; always 1.")
                .with(&[("pid", &pid), ("version", &self.version)], Value::Whole(1)),
            self.gauge(
                "vivace_worker_start_time_seconds",
                "When the process began to serve, since 1970.",
                Value::Number(started.as_secs_f64()),
            ),
            self.gauge("vivace_worker_ready", "1 if it takes requests.", Value::Whole(ready)),
        ]);
        if let Some(age) = heartbeat_age {
            families.push(self.gauge(
                "vivace_eventloop_heartbeat_age_seconds",
                "For how long the event loop has not turned although it had to.",
                Value::Number(age),
            ));
        }
    }

    fn gauge(&self, name: &str, help: &str, value: Value) -> Family {
        Family::new(Kind::Gauge, name, help).with(&[("pid", &self.pid.to_string())], value)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").field("pid", &self.pid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Readiness, exposition};

    fn value(registry: &Registry, line: &str) -> Option<String> {
        let text = exposition::text(&registry.snapshot());
        let line = line.replace("PID", &std::process::id().to_string());
        text.lines().find_map(|each| Some(each.strip_prefix(&line)?.strip_prefix(' ')?.to_owned()))
    }

    fn answered(route: RouteId, method: Method, status: u16) -> Answered {
        let duration = Duration::from_millis(3);
        Answered { route, method, status, duration, response_bytes: 10 }
    }

    #[test]
    fn requests_are_counted_by_method_route_and_class() {
        let registry = Registry::new(&Options { routes: 1, ..Options::default() });
        let item = registry.route("/items/{id}");
        for (route, method, status) in [
            (item, Method::Get, 200),
            (item, Method::Get, 201),
            (item, Method::Post, 404),
            (registry.route("/beyond"), Method::Other, 999),
            (RouteId::UNMATCHED, Method::Get, 404),
        ] {
            registry.request_begun();
            registry.request_answered(&answered(route, method, status));
        }
        registry.request_begun();
        registry.request_abandoned();
        registry.request_begun();
        for (line, expected) in [
            (r#"vivace_http_requests_total{method="GET",route="/items/{id}",status="2xx"}"#, "2"),
            (r#"vivace_http_requests_total{method="POST",route="/items/{id}",status="4xx"}"#, "1"),
            (r#"vivace_http_requests_total{method="other",route="other",status="other"}"#, "1"),
            (r#"vivace_http_requests_total{method="GET",route="unmatched",status="4xx"}"#, "1"),
            (
                r#"vivace_http_request_duration_seconds_bucket{route="/items/{id}",le="0.0025"}"#,
                "0",
            ),
            (r#"vivace_http_request_duration_seconds_bucket{route="/items/{id}",le="0.005"}"#, "3"),
            (r#"vivace_http_request_duration_seconds_sum{route="/items/{id}"}"#, "0.009"),
            (r#"vivace_http_response_body_bytes_total{route="/items/{id}"}"#, "30"),
            (r#"vivace_http_requests_in_flight{pid="PID"}"#, "1"),
        ] {
            assert_eq!(value(&registry, line).as_deref(), Some(expected), "{line}");
        }
        assert_eq!(
            value(
                &registry,
                r#"vivace_http_requests_total{method="PUT",route="/items/{id}",status="2xx"}"#
            ),
            None
        );
    }

    #[test]
    fn connections_rejections_and_state() {
        let registry =
            Registry::new(&Options { version: "1.2\"3".to_owned(), ..Options::default() });
        for _ in 0..3 {
            registry.connection_opened();
        }
        registry.connection_closed();
        registry.websocket_opened();
        registry.rejected(Rejection::Overload);
        registry.rejected(Rejection::Overload);
        for (line, expected) in [
            ("vivace_connections_accepted_total", "3"),
            (r#"vivace_connections_open{pid="PID"}"#, "2"),
            ("vivace_websockets_accepted_total", "1"),
            (r#"vivace_websockets_open{pid="PID"}"#, "1"),
            (r#"vivace_http_rejected_total{reason="overload"}"#, "2"),
            (r#"vivace_http_rejected_total{reason="head_timeout"}"#, "0"),
            (r#"vivace_worker_info{pid="PID",version="1.2\"3"}"#, "1"),
            (r#"vivace_worker_ready{pid="PID"}"#, "0"),
        ] {
            assert_eq!(value(&registry, line).as_deref(), Some(expected), "{line}");
        }
        let age = r#"vivace_eventloop_heartbeat_age_seconds{pid="PID"}"#;
        assert_eq!(value(&registry, age), None);
        registry.heartbeat().park();
        registry.readiness().set(Readiness::Ready);
        assert_eq!(value(&registry, age).as_deref(), Some("0"));
        assert_eq!(value(&registry, r#"vivace_worker_ready{pid="PID"}"#).as_deref(), Some("1"));
        registry.websocket_closed();
        registry.connection_closed();
        registry.connection_closed();
        assert_eq!(value(&registry, r#"vivace_connections_open{pid="PID"}"#).as_deref(), Some("0"));
    }

    #[test]
    fn other_parts_add_theirs() {
        struct Lost;
        impl Source for Lost {
            fn collect(&self, families: &mut Vec<Family>) {
                families.push(
                    Family::new(Kind::Counter, "lost_total", "L.").with(&[], Value::Whole(5)),
                );
            }
        }
        let registry = Registry::new(&Options::default());
        registry.add_source(Box::new(Lost));
        assert_eq!(value(&registry, "lost_total").as_deref(), Some("5"));
    }

    #[test]
    fn threads_lose_nothing() {
        let registry = Registry::new(&Options::default());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let registry = &registry;
                scope.spawn(move || {
                    let route = registry.route(&format!("/{}", thread % 2));
                    for _ in 0..5_000 {
                        registry.request_begun();
                        registry.request_answered(&answered(route, Method::Get, 200));
                    }
                });
            }
            for _ in 0..20 {
                let text = exposition::text(&registry.snapshot());
                assert!(text.ends_with('\n'));
            }
        });
        for route in ["/0", "/1"] {
            let line = format!("vivace_http_request_duration_seconds_count{{route=\"{route}\"}}");
            assert_eq!(value(&registry, &line).as_deref(), Some("10000"));
        }
    }
}
