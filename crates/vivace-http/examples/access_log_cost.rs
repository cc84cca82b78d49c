//! What a line of the access log costs the thread that logs it:
//! `cargo run --release -p vivace-http --example access_log_cost`.
//!
//! Figures for each format, in nanoseconds a request: `format` makes the line in memory (the
//! middle of many short rounds); `log` does all that the hot path does, at 50,000 requests a second into a
//! pipe that another thread reads (the middle and the 99th percentile of all requests, less the
//! clock that measures it).
#![forbid(unsafe_code)]

use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime};
use vivace_http::access_log::{
    AccessLog, Client, Colours, Destination, Format, Options, Record, Statistics,
};

const ROUNDS: usize = 2_001;
const FORMATTED: u32 = 100;
const LOGGED: u32 = 100_000;
const INTERVAL: Duration = Duration::from_micros(20);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:<10} {:>8} {:>8} {:>8} {:>8}", "", "bytes", "format", "log", "p99");
    for (name, pattern) in [
        ("text", "text"),
        ("json", "json"),
        ("logfmt", "logfmt"),
        ("atoms", "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\""),
    ] {
        let make = || Format::named(pattern, Colours::Off);
        let mut format = make()?;
        let formatting = (0..ROUNDS).map(|_| time_format(&mut format)).collect();
        let logging = time_log(make()?)?;
        println!(
            "{name:<10} {:>8} {:>8} {:>8} {:>8}",
            bytes(make()?),
            percentile(formatting, 50),
            percentile(logging.clone(), 50),
            percentile(logging, 99),
        );
    }
    Ok(())
}

fn percentile(mut nanoseconds: Vec<u64>, percent: usize) -> u64 {
    nanoseconds.sort_unstable();
    nanoseconds[(nanoseconds.len() - 1) * percent / 100]
}

/// A request of a browser, as far as the log is concerned.
fn with_record<R>(number: u32, use_it: impl FnOnce(&Record<'_>) -> R) -> R {
    let request: &[(&[u8], &[u8])] = &[
        (b"host", b"example.org"),
        (b"accept", b"application/json"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"accept-language", b"en-GB,en;q=0.5"),
        (b"referer", b"https://example.org/items"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ];
    use_it(&Record {
        client: Some(Client { host: b"192.168.112.57", port: 60084 }),
        scheme: "http",
        method: b"GET",
        path: b"/items/12345",
        raw_path: b"/items/12345",
        query: b"page=2&limit=50",
        http_version: "1.1",
        status: 200,
        response_bytes: 1234 + u64::from(number),
        started: SystemTime::UNIX_EPOCH + Duration::from_micros(u64::from(number) * 20),
        duration: Duration::from_nanos(321_987),
        request_id: Some(b"7e8b1f4a6c"),
        route: Some(b"/items/{item_id}"),
        request_headers: &request,
        response_headers: &(),
    })
}

fn bytes(mut format: Format) -> usize {
    let mut line = Vec::new();
    with_record(0, |record| format.push_line(record, &mut line));
    line.len()
}

fn time_format(format: &mut Format) -> u64 {
    let mut line = Vec::new();
    let start = Instant::now();
    for number in 0..FORMATTED {
        line.clear();
        with_record(number, |record| format.push_line(black_box(record), &mut line));
        black_box(&line);
    }
    nanoseconds(start.elapsed()) / u64::from(FORMATTED)
}

fn time_log(format: Format) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut reader = File::from(reader);
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    let destination = Destination::Descriptor(writer);
    let mut log = AccessLog::start(format, destination, Options::default())?;
    let mut spent = Vec::new();
    let mut next = Instant::now();
    for number in 0..LOGGED {
        next += INTERVAL;
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        with_record(number, |record| {
            let start = Instant::now();
            let begin = Instant::now();
            log.log(black_box(record));
            let clock = begin - start;
            spent.push(nanoseconds(begin.elapsed().saturating_sub(clock)));
        });
    }
    let statistics = log.writer().statistics();
    let all = Statistics { accepted: LOGGED.into(), lost: 0, errors: 0 };
    assert_eq!(statistics, all, "a figure of lost lines means nothing");
    let _ = log.close(Duration::from_secs(5));
    reading.join().map_err(|_| "the reader ended early")?;
    Ok(spent)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
