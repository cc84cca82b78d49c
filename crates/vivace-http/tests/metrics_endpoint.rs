//! The endpoint of the metrics over real sockets: answers, limits, clients that do nothing.
#![forbid(unsafe_code)]
#![cfg(not(miri))]

use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use vivace_http::metrics::{
    Answered, Endpoint, Family, Kind, Method, Options, Readiness, Registry, Source, StallLimit,
    Value,
};

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(30);

fn start() -> (Arc<Registry>, Endpoint) {
    let registry = Arc::new(Registry::new(&Options::default()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let endpoint = Endpoint::start(listener, registry.clone(), StallLimit::default());
    (registry, endpoint.expect("an endpoint"))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a time limit");
    stream
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

fn read_response(mut stream: TcpStream) -> Response {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer, and the end");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {head:?}"));
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

fn send(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = connect(address);
    stream.write_all(request).expect("sent");
    read_response(stream)
}

fn get(address: SocketAddr, path: &str) -> Response {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
}

#[test]
fn the_metrics() {
    let (registry, endpoint) = start();
    assert_ne!(endpoint.address().port(), 0);
    registry.request_begun();
    registry.request_answered(&Answered {
        route: registry.route("/items/{id}"),
        method: Method::Get,
        status: 200,
        duration: Duration::from_millis(3),
        response_bytes: 10,
    });
    let response = get(endpoint.address(), "/metrics");
    assert_eq!(response.status, 200);
    assert!(response.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(response.head.contains("connection: close"));
    assert!(response.head.contains("\r\ndate: "));
    assert!(response.head.contains(&format!("content-length: {}", response.body.len())));
    let line = "vivace_http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"2xx\"} 1";
    assert!(response.body.lines().any(|each| each == line), "{}", response.body);

    let head = send(endpoint.address(), b"HEAD /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.head.lines().count(), response.head.lines().count());
    // With a query, as some scrapers send one, and by HTTP/1.0.
    assert_eq!(get(endpoint.address(), "/metrics?name[]=x").status, 200);
    assert_eq!(send(endpoint.address(), b"GET /metrics HTTP/1.0\r\n\r\n").status, 200);
}

#[test]
fn health() {
    let (registry, endpoint) = start();
    let answer = |path| {
        let response = get(endpoint.address(), path);
        assert!(response.head.contains("cache-control: no-store"));
        (response.status, response.body)
    };
    let answered = |status: u16, text: &str| (status, text.to_owned());
    assert_eq!(answer("/livez"), answered(200, "ok\n"));
    assert_eq!(answer("/readyz"), answered(503, "starting\n"));
    registry.readiness().set(Readiness::Ready);
    registry.heartbeat().park();
    assert_eq!(answer("/livez"), answered(200, "ok\n"));
    assert_eq!(answer("/readyz"), answered(200, "ready\n"));
    // The loop last turned in the first second of this machine.
    registry.heartbeat().beat(1_000_000_000);
    let (status, text) = answer("/livez");
    assert_eq!(status, 503);
    let beginning = format!("the loop of process {} has not turned for ", std::process::id());
    assert!(text.starts_with(&beginning) && text.ends_with(" s\n"), "{text}");
    assert_eq!(answer("/readyz"), answered(200, "ready\n"));
    registry.readiness().set(Readiness::Draining);
    assert_eq!(answer("/readyz"), answered(503, "draining\n"));
}

#[test]
fn what_is_not_taken() {
    let (_registry, endpoint) = start();
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(2_000));
    let large = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /metrics/ HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("GET /METRICS HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("get /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("GET /metrics HTTP/1.1\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\nHost: h\n\n", 400),
        ("hello\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 413),
        ("GET /metrics HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&long, 414),
        (&large, 431),
    ] {
        let response = send(endpoint.address(), request.as_bytes());
        assert_eq!(response.status, status, "{request:?}: {}", response.head);
        assert_eq!(response.head.contains("allow: GET, HEAD"), status == 405, "{request:?}");
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let (_registry, endpoint) = start();
    let request = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";
    for cut in 1..request.len() {
        let mut stream = connect(endpoint.address());
        stream.set_nodelay(true).expect("no delay");
        stream.write_all(&request[..cut]).expect("sent");
        // Another request in between makes sure that the piece was looked at by itself.
        assert_eq!(get(endpoint.address(), "/readyz").status, 503);
        stream.write_all(&request[cut..]).expect("sent");
        assert_eq!(read_response(stream).status, 200, "{cut}");
    }
}

#[test]
fn a_second_request_on_the_connection_is_not_answered() {
    let (_registry, endpoint) = start();
    let response = send(endpoint.address(), &b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n".repeat(3));
    assert_eq!((response.status, &*response.body), (200, "ok\n"));
}

#[test]
fn clients_that_do_nothing_keep_nobody_out() {
    let (_registry, endpoint) = start();
    let mut idle: Vec<_> = (0..100).map(|_| connect(endpoint.address())).collect();
    for stream in &mut idle[50..] {
        stream.write_all(b"GET /metr").expect("sent");
    }
    assert_eq!(get(endpoint.address(), "/livez").status, 200);
    // The first made room; the last is still served.
    assert_eq!(idle[0].read(&mut [0]).expect("an end"), 0);
    let mut last = idle.pop().expect("a connection");
    last.write_all(b"ics HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    assert_eq!(read_response(last).status, 200);
}

/// More than sockets buffer, for a client that does not read.
struct Many;

impl Source for Many {
    fn collect(&self, families: &mut Vec<Family>) {
        let mut family = Family::new(Kind::Gauge, "many", "M.");
        for number in 0..200_000 {
            family.push(&[("number", &number.to_string())], Value::Whole(number));
        }
        families.push(family);
    }
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    let (registry, endpoint) = start();
    registry.add_source(Box::new(Many));
    let mut slow = connect(endpoint.address());
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    for _ in 0..3 {
        assert_eq!(get(endpoint.address(), "/nothing").status, 404);
    }
    // And gets everything when it does read.
    let response = read_response(slow);
    assert!(response.head.contains(&format!("content-length: {}", response.body.len())));
    assert!(response.body.ends_with("many{number=\"199999\"} 199999\n"));
}

#[test]
fn a_client_that_has_left_is_forgotten() {
    let (_registry, endpoint) = start();
    for _ in 0..100 {
        let mut stream = connect(endpoint.address());
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
        drop(stream);
        connect(endpoint.address()).shutdown(Shutdown::Both).expect("closed");
    }
    assert_eq!(get(endpoint.address(), "/livez").status, 200);
}

#[test]
fn stopping_frees_the_port() {
    let (registry, endpoint) = start();
    let address = endpoint.address();
    let mut open = connect(address);
    assert_eq!(get(address, "/livez").status, 200);
    endpoint.stop();
    assert_eq!(open.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");
    assert!(TcpStream::connect(address).is_err());
    let listener = TcpListener::bind(address).expect("the port is free");
    let endpoint = Endpoint::start(listener, registry, StallLimit::default()).expect("again");
    assert_eq!(get(endpoint.address(), "/livez").status, 200);
}

#[test]
fn by_ipv6_too() {
    let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(listener) => listener,
        Err(error) => return println!("this machine has no IPv6: {error}"),
    };
    let registry = Arc::new(Registry::new(&Options::default()));
    let endpoint = Endpoint::start(listener, registry, StallLimit::default()).expect("started");
    assert!(endpoint.address().is_ipv6());
    assert_eq!(get(endpoint.address(), "/livez").status, 200);
}
