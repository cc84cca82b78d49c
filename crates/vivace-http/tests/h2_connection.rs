//! The server side of HTTP/2 with the `h2` crate's client on the other end, both polled by hand.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{self, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use vivace_http::h2::PREFACE;
use vivace_http::h2::connection::{Event, ServerConnection};
use vivace_http::h2::limits::{EARLY_RESETS, Limits, OVERHEAD, SEND_BUFFER};

/// The client's end: what it has written, and what it may read.
#[derive(Clone, Default)]
struct Pipe(Rc<RefCell<(Vec<u8>, Vec<u8>)>>);

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let incoming = &mut self.0.borrow_mut().1;
        if incoming.is_empty() {
            return Poll::Pending;
        }
        let count = incoming.len().min(target.remaining());
        target.put_slice(&incoming[..count]);
        incoming.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().0.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn now<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("not ready"),
    }
}

/// Both ends.
struct Pair {
    server: ServerConnection,
    pipe: Pipe,
    connection: Connection<Pipe, Bytes>,
    requests: SendRequest<Bytes>,
    /// Why the connection has ended for the client.
    ended: Option<Result<(), h2::Error>>,
}

impl Pair {
    fn new(limits: Limits, client: &client::Builder) -> Self {
        let pipe = Pipe::default();
        let server = ServerConnection::new(&limits);
        let (requests, connection) = ready(now(client.handshake(pipe.clone()))).expect("a client");
        let mut pair = Self { server, pipe, connection, requests, ended: None };
        pair.exchange();
        pair
    }

    fn usual() -> Self {
        Self::new(Limits::default(), &client::Builder::new())
    }

    /// Lets both say what they have to say, until neither has anything.
    fn exchange(&mut self) {
        loop {
            let mut context = Context::from_waker(Waker::noop());
            if self.ended.is_none() {
                if let Poll::Ready(end) = Pin::new(&mut self.connection).poll(&mut context) {
                    self.ended = Some(end);
                }
            }
            let said = std::mem::take(&mut self.pipe.0.borrow_mut().0);
            let quiet = said.is_empty();
            self.server.receive(&said);
            self.server.advance();
            let mut out = Vec::new();
            while self.server.take_output(&mut out) {
                self.server.advance();
            }
            if quiet && out.is_empty() {
                return;
            }
            self.pipe.0.borrow_mut().1.extend_from_slice(&out);
        }
    }

    fn ask(&mut self, method: Method, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::builder().method(method).uri("https://a.example/p%20q?r=s");
        let request =
            request.header("cookie", "a=1").header("cookie", "b=2").header("te", "trailers");
        self.send(request.body(()).expect("a request"), ends)
    }

    fn send(&mut self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let sent = self.requests.send_request(request, ends).expect("a stream");
        self.exchange();
        sent
    }

    fn event(&mut self) -> Event {
        self.server.next_event().expect("an event")
    }

    fn request(&mut self) -> u32 {
        match self.event() {
            Event::Request(request) => request.stream,
            event => panic!("no request: {event:?}"),
        }
    }

    fn answer(&mut self, response: &mut ResponseFuture) -> Response<RecvStream> {
        self.exchange();
        ready(now(response)).expect("a response")
    }
}

fn read_all(body: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Poll::Ready(Some(piece)) = now(body.data()) {
        let piece = piece.expect("data");
        body.flow_control().release_capacity(piece.len()).expect("capacity");
        all.extend_from_slice(&piece);
    }
    all
}

#[test]
fn a_request_and_its_response() {
    let mut pair = Pair::usual();
    let (mut response, _) = pair.ask(Method::GET, true);
    let Event::Request(request) = pair.event() else { panic!("no request") };
    assert!(request.ends);
    assert_eq!(request.scheme(), Some("https"));
    let head = request.head(&Limits::default()).expect("a head");
    assert_eq!((head.method, head.path, head.query), (&b"GET"[..], &b"/p%20q"[..], &b"r=s"[..]));
    let fields: Vec<_> = head.headers.iter().map(|field| (field.name, field.value)).collect();
    let expected: [(&[u8], &[u8]); 4] =
        [(b"host", b"a.example"), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"te", b"trailers")];
    assert_eq!(fields, expected);
    assert!(head.trailers_wanted && head.http2);
    assert!(pair.server.next_event().is_none());

    pair.server.respond(request.stream, 201, b"x-a: 1\r\n", false);
    pair.server.send(request.stream, "hello".into(), true);
    assert_eq!(pair.server.open_streams(), 0);
    let answer = pair.answer(&mut response);
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-a"]),
        (201, &"1".parse().expect(""))
    );
    let mut body = answer.into_body();
    assert_eq!(read_all(&mut body), b"hello");
    assert!(body.is_end_stream());
}

#[test]
fn head_and_content_leave_together() {
    let mut pair = Pair::usual();
    let (_response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, "hello".into(), true);
    pair.server.advance();
    let mut out = Vec::new();
    assert!(!pair.server.take_output(&mut out));
    // HEADERS with END_HEADERS, then DATA with END_STREAM.
    assert_eq!(&out[3..5], [1, 4]);
    let data = 9 + usize::from(out[2]);
    assert_eq!(&out[data..], [&[0, 0, 5, 0, 1, 0, 0, 0, 1][..], b"hello"].concat());
}

#[test]
fn content_comes_and_the_window_opens_when_it_is_released() {
    let limits = Limits { stream_window: 65_535, ..Limits::default() };
    let mut pair = Pair::new(limits, &client::Builder::new());
    let (_response, mut content) = pair.ask(Method::POST, false);
    let stream = pair.request();
    content.reserve_capacity(200_000);
    content.send_data(vec![7; 200_000].into(), true).expect("data");
    pair.exchange();
    let mut total = 0;
    let mut rounds = 0;
    loop {
        let mut came = 0;
        let mut ended = false;
        while let Some(event) = pair.server.next_event() {
            match event {
                Event::Data { data, .. } => came += data.len(),
                Event::End { .. } => ended = true,
                event => panic!("{event:?}"),
            }
        }
        assert!(came <= 65_535, "{came}");
        total += came;
        if ended {
            break;
        }
        assert!(came > 0, "the client waits although all was released");
        rounds += 1;
        pair.exchange();
        assert!(pair.server.next_event().is_none(), "more than the window");
        pair.server.release(stream, came);
        pair.exchange();
    }
    assert_eq!(total, 200_000);
    assert!(rounds >= 3);
}

#[test]
fn content_waits_for_the_windows_of_the_client() {
    let mut builder = client::Builder::new();
    builder.initial_window_size(1000);
    let mut pair = Pair::new(Limits::default(), &builder);
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, vec![1; 2500].into(), false);
    assert_eq!(pair.server.waiting(stream), 1500);
    let mut body = pair.answer(&mut response).into_body();
    assert_eq!(pair.server.waiting(stream), 1500);
    assert_eq!(read_all(&mut body).len(), 1000);
    pair.exchange();
    assert_eq!(pair.server.waiting(stream), 500);
    assert!(pair.server.next_event().is_none());
    assert_eq!(read_all(&mut body).len(), 1000);
    pair.exchange();
    assert!(matches!(pair.event(), Event::Room { .. }));
    pair.server.send(stream, Bytes::new(), true);
    pair.exchange();
    assert_eq!(read_all(&mut body).len(), 500);
    assert!(body.is_end_stream());
    assert_eq!(pair.server.open_streams(), 0);
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let mut builder = client::Builder::new();
    builder.initial_window_size(1000);
    let mut pair = Pair::new(Limits::default(), &builder);
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, vec![1; 3000].into(), true);
    let mut body = pair.answer(&mut response).into_body();
    assert!(pair.server.reset_stalled(), "a first look only notes");
    assert_eq!(read_all(&mut body).len(), 1000);
    pair.exchange();
    assert!(pair.server.reset_stalled(), "it has taken something");
    assert!(!pair.server.reset_stalled());
    assert!(matches!(pair.event(), Event::Reset { reason: Reason::CANCEL, .. }));
    pair.exchange();
    // The data that came before it may be read first.
    let error = std::iter::from_fn(|| ready(now(body.data()))).find_map(Result::err);
    assert_eq!(error.expect("a reset").reason(), Some(Reason::CANCEL));
}

#[test]
fn large_content_is_not_kept_twice() {
    let mut builder = client::Builder::new();
    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
    let mut pair = Pair::new(Limits::default(), &builder);
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, vec![1; 5_000_000].into(), true);
    assert_eq!(pair.server.waiting(stream), 5_000_000 - SEND_BUFFER);
    let mut body = pair.answer(&mut response).into_body();
    assert_eq!(read_all(&mut body).len(), 5_000_000);
}

#[test]
fn trailers_and_interim_responses() {
    let mut pair = Pair::usual();
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.inform(stream, 103, b"link: </a>\r\n");
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, "abc".into(), false);
    pair.server.send_trailers(stream, b"x-sum: 6\r\n");
    let mut body = pair.answer(&mut response).into_body();
    assert_eq!(read_all(&mut body), b"abc");
    let trailers: HeaderMap = ready(now(body.trailers())).expect("trailers").expect("some");
    assert_eq!(trailers["x-sum"], "6");
}

#[test]
fn an_answer_before_the_end_of_the_request() {
    let mut pair = Pair::usual();
    let (mut response, mut content) = pair.ask(Method::POST, false);
    let stream = pair.request();
    content.send_data("part".into(), false).expect("data");
    pair.exchange();
    assert!(matches!(pair.event(), Event::Data { .. }));
    pair.server.respond(stream, 413, b"", false);
    pair.server.send(stream, "too much".into(), true);
    let mut body = pair.answer(&mut response).into_body();
    assert_eq!(read_all(&mut body), b"too much");
    let reset = ready(content.poll_reset(&mut Context::from_waker(Waker::noop())));
    assert_eq!(reset.expect("a reset"), Reason::NO_ERROR);
    // Others go on.
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 204, b"", true);
    assert_eq!(pair.answer(&mut response).status(), 204);
}

#[test]
fn resets_both_ways() {
    let mut pair = Pair::usual();
    let (response, mut content) = pair.ask(Method::POST, false);
    let stream = pair.request();
    content.send_reset(Reason::CANCEL);
    drop(response);
    pair.exchange();
    let event = pair.event();
    assert!(
        matches!(event, Event::Reset { stream: which, reason: Reason::CANCEL } if which == stream),
        "{event:?}"
    );
    // What is said on it now goes nowhere.
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, "late".into(), true);
    pair.exchange();

    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.respond(stream, 200, b"", false);
    pair.server.send(stream, "part".into(), false);
    let mut body = pair.answer(&mut response).into_body();
    assert_eq!(read_all(&mut body), b"part");
    pair.server.reset(stream, Reason::INTERNAL_ERROR);
    pair.exchange();
    let error = ready(now(body.data())).expect("an end").expect_err("a reset");
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

#[test]
fn a_reset_is_seen_while_the_program_works() {
    let mut pair = Pair::usual();
    let (response, mut content) = pair.ask(Method::GET, true);
    pair.request();
    pair.exchange();
    assert!(pair.server.next_event().is_none());
    content.send_reset(Reason::CANCEL);
    drop(response);
    pair.exchange();
    assert!(matches!(pair.event(), Event::Reset { .. }));
}

#[test]
fn draining_ends_after_the_last_response() {
    let mut pair = Pair::usual();
    let (mut response, _) = pair.ask(Method::GET, true);
    let stream = pair.request();
    pair.server.drain();
    pair.exchange();
    assert!(!pair.server.is_closed());
    let request = Request::get("https://a/").body(()).expect("a request");
    assert!(pair.requests.send_request(request, true).is_err(), "a request after GOAWAY");
    pair.server.respond(stream, 200, b"", true);
    assert_eq!(pair.answer(&mut response).status(), 200);
    assert!(pair.server.is_closed());
    assert!(!pair.server.ended_by_fault());
    assert!(matches!(pair.ended, Some(Ok(()))), "{:?}", pair.ended);
}

#[test]
fn draining_a_connection_that_has_not_begun() {
    let mut server = ServerConnection::new(&Limits::default());
    server.drain();
    server.receive(PREFACE);
    server.receive(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    server.advance();
    let mut out = Vec::new();
    server.take_output(&mut out);
    let mut kinds = Vec::new();
    while let Some(head) = out.get(..9) {
        kinds.push(head[3]);
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        out.drain(..9 + length);
    }
    assert!(kinds.contains(&7), "no GOAWAY: {kinds:?}");
}

#[test]
fn requests_that_are_taken_back_have_a_bound() {
    let mut pair = Pair::usual();
    let mut count = 0;
    while pair.ended.is_none() {
        let Ok((response, mut content)) = pair
            .requests
            .send_request(Request::get("https://a/").body(()).expect("a request"), true)
        else {
            break;
        };
        pair.exchange();
        content.send_reset(Reason::CANCEL);
        drop(response);
        pair.exchange();
        while pair.server.next_event().is_some() {}
        count += 1;
        assert!(count <= EARLY_RESETS.burst + 1, "no end after {count} resets");
    }
    assert_eq!(count, EARLY_RESETS.burst + 1);
    let Some(Err(error)) = pair.ended else { panic!("{:?}", pair.ended) };
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert!(pair.server.is_closed());
}

#[test]
fn frames_that_carry_nothing_end_the_connection() {
    let mut pair = Pair::usual();
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], b"12345678"].concat();
    for _ in 0..10 {
        pair.server.pass(1.0);
        pair.pipe.0.borrow_mut().0.extend(ping.repeat(OVERHEAD.steady as usize));
        pair.exchange();
        assert!(pair.ended.is_none());
    }
    pair.pipe.0.borrow_mut().0.extend(ping.repeat(OVERHEAD.burst as usize + 1));
    pair.exchange();
    let Some(Err(error)) = pair.ended else { panic!("{:?}", pair.ended) };
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert!(pair.server.ended_by_fault());
}

#[test]
fn wrong_heads_are_answered_or_reset() {
    let mut pair = Pair::usual();
    let request = Request::get("https://user@a.example/").body(()).expect("a request");
    let (_response, _) = pair.send(request, true);
    let Event::Request(request) = pair.event() else { panic!("no request") };
    assert_eq!(request.head(&Limits::default()).expect_err("user information").status, 400);

    let mut builder = Request::get("https://a.example/");
    for number in 0..101 {
        builder = builder.header(format!("x-{number}"), "1");
    }
    let (_response, _) = pair.send(builder.body(()).expect("a request"), true);
    let Event::Request(request) = pair.event() else { panic!("no request") };
    assert_eq!(request.head(&Limits::default()).expect_err("too many").status, 431);

    let large = Request::get("https://a.example/").header("x", "y".repeat(70_000));
    let (mut response, _) = pair.send(large.body(()).expect("a request"), true);
    assert!(pair.server.next_event().is_none(), "too large a head");
    assert_eq!(pair.answer(&mut response).status(), 431);

    let request = Request::post("https://a.example/").header("content-length", "3");
    let (mut response, mut content) = pair.send(request.body(()).expect("a request"), false);
    pair.request();
    content.send_data("four".into(), true).expect("data");
    pair.exchange();
    assert!(matches!(pair.event(), Event::Reset { reason: Reason::PROTOCOL_ERROR, .. }));
    assert!(ready(now(&mut response)).is_err());
}

#[test]
fn what_is_no_http2_ends_at_once() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\nxxxxxxxxxxxxxxxx"[..], b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"]
    {
        let mut server = ServerConnection::new(&Limits::default());
        server.receive(bytes);
        server.advance();
        assert!(server.ended_by_fault());
        assert!(server.next_event().is_none());
    }
}

#[test]
fn a_client_that_reads_no_answers_is_not_listened_to() {
    let mut server = ServerConnection::new(&Limits::default());
    server.receive(PREFACE);
    server.receive(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], b"12345678"].concat();
    let many = ping.repeat(100_000);
    server.receive(&many);
    // So slowly that it is no flood.
    server.pass(100_000.0);
    for _ in 0..10 {
        server.advance();
    }
    assert!(server.unread() > many.len() / 2, "{}", server.unread());
    let mut out = Vec::new();
    assert!(server.take_output(&mut out), "it says that it was blocked");
    assert!(out.len() < many.len() / 2);
}
