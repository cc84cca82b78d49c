//! Sends each WebSocket message back: what the Autobahn test suite is run against
//! (`tests/nightly/autobahn.py`), and an example of how the parts of `ws` go together.
//!
//!     cargo run --release -p vivace-http --example ws_echo
//!
//! It prints its address first. A thread for each connection, blocking sockets, no time limits:
//! it is for tests on one machine.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use vivace_http::ws::deflate::{Pool, Settings};
use vivace_http::ws::handshake::Handshake;
use vivace_http::ws::{Closing, Decoder, Encoder, Event, Phase};

/// The longest messages of the suite have 16 MiB.
const MAX_MESSAGE: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = match std::env::args().nth(1) {
        Some(port) => port.parse().map_err(|error| format!("{port:?} is no port: {error}"))?,
        None => 0,
    };
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = serve(stream) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let (handshake, rest) = accept(&mut stream)?;
    let mut output = vec![];
    let mut pool = Pool::default();
    let mut decoder = Decoder::new(MAX_MESSAGE, handshake.deflate.as_ref());
    let mut encoder = Encoder::new(handshake.deflate.as_ref());
    let mut closing = Closing::default();
    // The suite looks for compression of short messages, too.
    encoder.set_min_compressed(1);

    let mut buffer = vec![0; 256 * 1024];
    buffer[..rest.len()].copy_from_slice(&rest);
    let mut received = rest.len();
    loop {
        let mut input = &buffer[..received];
        loop {
            match decoder.next_event(&mut input, &mut pool) {
                Ok(None) => break,
                Ok(Some(Event::Message(message))) => {
                    encoder.message(message, &mut pool, &mut output);
                }
                Ok(Some(Event::Ping(payload))) => encoder.pong(payload, &mut output),
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(frame))) => closing.receive(frame, &mut output),
                Err(failure) => closing.fail(&failure, &mut output),
            }
        }
        stream.write_all(&output)?;
        output.clear();
        if closing.phase() == Phase::Done {
            // What was written must arrive: no reset for what is unread.
            stream.shutdown(std::net::Shutdown::Write)?;
            while stream.read(&mut buffer)? > 0 {}
            return Ok(());
        }
        received = stream.read(&mut buffer)?;
        if received == 0 {
            return Ok(());
        }
    }
}

/// The opening handshake, and the bytes that came after it.
fn accept(stream: &mut TcpStream) -> Result<(Handshake, Vec<u8>), Box<dyn Error>> {
    let mut head = vec![];
    let mut buffer = [0; 4096];
    loop {
        let received = stream.read(&mut buffer)?;
        if received == 0 {
            return Err("the client left before its request was complete".into());
        }
        head.extend_from_slice(&buffer[..received]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(len) = request.parse(&head)? else { continue };
        let result = Handshake::over_http1(
            request.method.unwrap_or_default().as_bytes(),
            request.version.unwrap_or_default(),
            request.headers.iter().map(|header| (header.name.as_bytes(), header.value)),
            Some(&Settings::default()),
        );
        match result {
            Ok(Some(handshake)) => {
                respond(stream, handshake.status(), handshake.response_headers(None), "")?;
                return Ok((handshake, head[len..].to_vec()));
            }
            Ok(None) => {
                respond(stream, 404, [("content-length", "0")], "")?;
                return Err("a request for something else".into());
            }
            Err(refusal) => {
                let len = refusal.reason.len().to_string();
                let headers = refusal.headers.iter().map(|&(name, value)| (name, value));
                let headers = headers.chain([("content-length", &len[..])]);
                respond(stream, refusal.status, headers, refusal.reason)?;
                return Err(refusal.into());
            }
        }
    }
}

fn respond<'a>(
    stream: &mut TcpStream,
    status: u16,
    headers: impl IntoIterator<Item = (&'static str, &'a str)>,
    body: &str,
) -> Result<(), Box<dyn Error>> {
    let mut response = format!("HTTP/1.1 {status} -\r\n");
    for (name, value) in headers {
        response.push_str(&format!("{name}: {value}\r\n"));
    }
    response.push_str("\r\n");
    response.push_str(body);
    Ok(stream.write_all(response.as_bytes())?)
}
