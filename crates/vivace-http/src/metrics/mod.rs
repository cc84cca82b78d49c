//! What the server counts, and a small HTTP server that tells it even while the loop is blocked.
//!
//! ```text
//! worker: loop ──counts──> Registry ──snapshot──> Endpoint            (one process)
//!                              └────> Reporter ──socket──> Collector ──> Endpoint (the parent of several)
//! ```
//!
//! - `registry`: the numbers of one process, as plain atomics; `routes`, `histogram`, `labels` and
//!   `health` are its parts;
//! - `snapshot`: all numbers at one moment, of one process or of several; `exposition` writes them
//!   as Prometheus reads them;
//! - `endpoint`: answers `/metrics`, `/livez` and `/readyz` on a thread of its own;
//! - `workers`: brings the snapshots of workers to their parent.
//!
//! # One process
//!
//! `Endpoint::start(listener, registry, …)`. The loop counts in the registry, beats its heartbeat
//! and sets the readiness; the thread of the endpoint reads them.
//!
//! # Several workers
//!
//! The parent starts a `Collector` and an `Endpoint` on it, and gives each worker the address of
//! the collector (a name, so it goes by argument or environment, whether workers are forked or
//! spawned). A worker starts a `Reporter` with its registry. When somebody asks the endpoint, the
//! collector asks all reporters, which are threads without Python as well, and puts together what
//! arrives within `workers::ANSWER_TIMEOUT`; of a worker that does not answer, what it said last.
//!
//! Counters and histograms of workers are summed, and stay in the sum when a worker ends, so that
//! they never fall: a worker that ends says its last numbers, one that is killed has been asked
//! at most `workers::PULL_INTERVAL` before. Gauges stand side by side, told apart by `pid`, and end
//! with their worker.
//!
//! `/livez` fails if the loop of any worker has not turned for too long; `/readyz` succeeds if any
//! worker is ready and the parent is not draining.
//!
//! # Forks
//!
//! None of these survives a fork: a child makes its own registry and reporter. It inherits the
//! sockets of an endpoint and a collector until it runs another program, so that a port stays
//! taken as long as the last child lives.

mod access_log_source;
mod endpoint;
pub mod exposition;
mod health;
mod histogram;
mod labels;
mod registry;
mod routes;
mod snapshot;
pub mod workers;

pub use endpoint::{Endpoint, StallLimit};
pub use health::{Heartbeat, Readiness, ReadinessState};
pub use labels::{Method, Rejection};
pub use registry::{Answered, Options, Registry, Source};
pub use routes::RouteId;
pub use snapshot::{Family, Kind, Process, Sample, Snapshot, Value};
pub use workers::{Collector, Reporter};

/// What an endpoint tells of.
pub trait Watched: Send + Sync {
    /// All numbers as they are now. May take as long as a client can be kept waiting.
    fn snapshot(&self) -> Snapshot;
}

impl Watched for Registry {
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}
