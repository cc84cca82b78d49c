//! Workers tell their parent what they count: real processes, which end, get killed and stop.
#![forbid(unsafe_code)]
#![cfg(not(miri))]

use rustix::process::{Pid, Signal, Uid, WaitOptions, kill_process, waitpid};
use rustix::thread::set_thread_uid;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vivace_http::metrics::{
    Answered, Collector, Method, Options, Readiness, Registry, Reporter, RouteId, Snapshot, Value,
    Watched, exposition, workers,
};

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(30);

const ADDRESS: &str = "VIVACE_TEST_COLLECTOR";

/// A process that counts what it is told to.
struct Worker {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Worker {
    fn start(collector: &Collector) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", "worker_process", "--ignored", "--nocapture"])
            .env(ADDRESS, collector.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let orders = child.stdin.take().expect("a pipe");
        let replies = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut worker = Self { child, orders, replies };
        worker.wait_for("connected");
        worker
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("the worker listens");
        self.wait_for("done");
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.ends_with(&format!("{word}\n")) {
            line.clear();
            assert_ne!(self.replies.read_line(&mut line).expect("text"), 0, "the worker ended");
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn stop(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("the worker is there");
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("the worker stops");
        assert!(stopped.is_some_and(|(_, status)| status.stopped()));
    }

    fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("the worker is there");
    }

    fn end(mut self) {
        self.order("end");
        self.child.wait().expect("the worker ends");
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("the worker ends");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker: this is run by the other tests, in a process of its own.
#[test]
#[ignore = "the other tests run it"]
fn worker_process() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let registry = Arc::new(Registry::new(&Options::default()));
    registry.heartbeat().park();
    let mut reporter = Some(Reporter::start(&address, Arc::clone(&registry)).expect("connected"));
    println!("connected");
    for order in std::io::stdin().lines() {
        match &*order.expect("text") {
            "count" => {
                registry.request_begun();
                registry.request_answered(&Answered {
                    route: RouteId::UNMATCHED,
                    method: Method::Get,
                    status: 200,
                    duration: Duration::from_millis(7),
                    response_bytes: 1,
                });
            }
            "ready" => registry.readiness().set(Readiness::Ready),
            "end" => reporter = None,
            other => panic!("what is {other}?"),
        }
        println!("done");
        if reporter.is_none() {
            break;
        }
    }
}

fn whole(snapshot: &Snapshot, name: &str) -> Option<u64> {
    let family = snapshot.families.iter().find(|family| family.name == name)?;
    match family.samples.first()?.value {
        Value::Whole(number) => Some(number),
        _ => None,
    }
}

fn requests(snapshot: &Snapshot) -> Option<u64> {
    whole(snapshot, "vivace_http_requests_total")
}

fn pids(snapshot: &Snapshot) -> Vec<u32> {
    snapshot.processes.iter().map(|process| process.pid).collect()
}

/// A snapshot that every worker has answered: on a busy machine one of them may take longer than
/// a scrape waits, and then what it said before stands in.
fn prompt(collector: &Collector) -> Snapshot {
    let deadline = Instant::now() + LIMIT;
    loop {
        let before = Instant::now();
        let snapshot = collector.snapshot();
        if before.elapsed() < workers::ANSWER_TIMEOUT {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "no answer: {:?}", pids(&snapshot));
    }
}

/// The processes of a snapshot once there are so many.
fn wait_for_workers(collector: &Collector, count: u64) -> Snapshot {
    let deadline = Instant::now() + LIMIT;
    loop {
        let snapshot = prompt(collector);
        if whole(&snapshot, "vivace_workers") == Some(count) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "there are not {count} workers: {:?}", pids(&snapshot));
    }
}

#[test]
fn numbers_are_summed_and_never_fall() {
    let collector = Collector::start().expect("a collector");
    assert_eq!(requests(&prompt(&collector)), None);
    let mut workers: Vec<_> = (0..3).map(|_| Worker::start(&collector)).collect();
    // All that was counted before the question is in the answer, without waiting for anything.
    for round in 1..=5 {
        for worker in &mut workers {
            worker.order("count");
        }
        assert_eq!(requests(&prompt(&collector)), Some(3 * round));
    }
    let text = exposition::text(&prompt(&collector));
    for worker in &workers {
        let line = format!("vivace_http_requests_in_flight{{pid=\"{}\"}} 0", worker.pid());
        assert!(text.lines().any(|each| each == line), "{text}");
    }
    let count = "vivace_http_request_duration_seconds_count{route=\"unmatched\"} 15";
    assert!(text.lines().any(|each| each == count), "{text}");
    assert_eq!(text.matches("# TYPE vivace_connections_open gauge").count(), 1);

    // One counts and ends, before anybody asks.
    let mut ending = workers.pop().expect("a worker");
    let pid = ending.pid();
    ending.order("count");
    ending.end();
    let snapshot = wait_for_workers(&collector, 2);
    assert_eq!(requests(&snapshot), Some(16));
    assert!(!pids(&snapshot).contains(&pid));
    assert!(!exposition::text(&snapshot).contains(&format!("pid=\"{pid}\"")));

    // One is killed: what it said last stays.
    let mut killed = workers.pop().expect("a worker");
    killed.order("count");
    assert_eq!(requests(&prompt(&collector)), Some(17));
    killed.kill();
    assert_eq!(requests(&wait_for_workers(&collector, 1)), Some(17));

    // Another takes its place.
    workers.push(Worker::start(&collector));
    for worker in &mut workers {
        worker.order("count");
    }
    assert_eq!(requests(&wait_for_workers(&collector, 2)), Some(19));
    drop(workers);
    assert_eq!(requests(&wait_for_workers(&collector, 0)), Some(19));
}

#[test]
fn workers_are_asked_while_nobody_wants_to_know() {
    let collector = Collector::start().expect("a collector");
    let mut worker = stranger(&collector);
    let before = Instant::now();
    for _ in 0..2 {
        let mut question = [0];
        worker.read_exact(&mut question).expect("a question");
        assert_eq!(&question, b"?");
        let answer = br#"{"processes":[],"families":[]}"#;
        worker.write_all(&u32::to_be_bytes(answer.len() as u32)).expect("sent");
        worker.write_all(answer).expect("sent");
    }
    // The first question comes at once, so that the second shows the interval.
    assert!(before.elapsed() > workers::PULL_INTERVAL / 2);
}

/// A connection to a collector, without a reporter.
fn stranger(collector: &Collector) -> UnixStream {
    let name = SocketAddr::from_abstract_name(collector.address()).expect("a name");
    let stream = UnixStream::connect_addr(&name).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    stream
}

#[test]
fn a_worker_that_does_not_answer_grows_old() {
    let collector = Collector::start().expect("a collector");
    let mut healthy = Worker::start(&collector);
    let mut stopped = Worker::start(&collector);
    stopped.order("count");
    assert_eq!(requests(&prompt(&collector)), Some(1));
    stopped.stop();
    healthy.order("count");
    let before = Instant::now();
    let ages = |snapshot: &Snapshot| -> Vec<f64> {
        snapshot.processes.iter().filter_map(|process| process.heartbeat_age).collect()
    };
    // The healthy one answers, the other is remembered.
    let first = loop {
        let snapshot = collector.snapshot();
        if requests(&snapshot) == Some(2) && ages(&snapshot)[0] == 0.0 {
            break ages(&snapshot);
        }
        assert!(before.elapsed() < LIMIT, "{snapshot:?}");
    };
    let second = ages(&collector.snapshot());
    assert!(first[1] >= workers::ANSWER_TIMEOUT.as_secs_f64(), "{first:?}");
    assert!(second[1] > first[1], "{second:?}");
    stopped.go_on();
    stopped.order("count");
    let caught_up = prompt(&collector);
    assert_eq!(requests(&caught_up), Some(3));
    assert_eq!(ages(&caught_up), [0.0, 0.0]);
}

#[test]
fn the_parent_covers_the_readiness_of_its_workers() {
    let collector = Collector::start().expect("a collector");
    let mut worker = Worker::start(&collector);
    let states = || -> Vec<_> {
        prompt(&collector).processes.iter().map(|process| process.readiness).collect()
    };
    assert_eq!(states(), [Readiness::Starting]);
    worker.order("ready");
    assert_eq!(states(), [Readiness::Ready]);
    collector.readiness().set(Readiness::Draining);
    assert_eq!(states(), [Readiness::Draining, Readiness::Draining]);
    drop(worker);
    wait_for_workers(&collector, 0);
    assert_eq!(states(), [Readiness::Draining]);
}

#[test]
fn without_a_collector_there_is_an_error() {
    let collector = Collector::start().expect("a collector");
    let address = collector.address().to_owned();
    let registry = Arc::new(Registry::new(&Options::default()));
    let reporter = Reporter::start(&address, Arc::clone(&registry)).expect("connected");
    drop(collector);
    let deadline = Instant::now() + LIMIT;
    while Reporter::start(&address, Arc::clone(&registry)).is_ok() {
        assert!(Instant::now() < deadline, "the collector still listens");
    }
    // One that has lost its parent ends in peace.
    drop(reporter);
}

#[test]
fn what_is_no_worker_is_thrown_out() {
    let collector = Collector::start().expect("a collector");
    let mut stranger = stranger(&collector);
    stranger.write_all(b"\0\0\0\x02{}").expect("sent");
    let mut questions = Vec::new();
    stranger.read_to_end(&mut questions).expect("an end");
    assert!(questions.len() <= 1, "{questions:?}");
    wait_for_workers(&collector, 0);
}

/// Only root can become somebody else to try.
#[test]
fn another_user_is_no_worker() {
    if !rustix::process::geteuid().is_root() {
        return println!("not root: there is no other user to be");
    }
    let collector = Collector::start().expect("a collector");
    let name = SocketAddr::from_abstract_name(collector.address()).expect("a name");
    // The kernel keeps the user for each thread: this one alone becomes somebody else, and no
    // program has to be found that the other user may run.
    let stranger = std::thread::spawn(move || {
        if let Err(error) = set_thread_uid(Uid::from_raw(65534)) {
            println!("this root may not become somebody else: {error}");
            return Ok(0);
        }
        let mut stream = UnixStream::connect_addr(&name)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.read(&mut [0])
    });
    // What is read is the end, or the connection is refused or reset; never a question.
    match stranger.join().expect("no panic") {
        Ok(asked) => assert_eq!(asked, 0, "another user was asked"),
        Err(error) => assert!(
            matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ),
            "{error}"
        ),
    }
}
