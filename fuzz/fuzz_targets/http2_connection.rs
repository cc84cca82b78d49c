//! HTTP/2: whatever frames come in whatever pieces while a program answers, nothing panics, no
//! stream is told of twice, no more is kept than the limits allow, and the end is the end.

#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_http::h2::PREFACE;
use vivace_http::h2::connection::{Event, Reason, ServerConnection};
use vivace_http::h2::limits::{Limits, UNSENT};

#[derive(Arbitrary, Debug)]
enum Step {
    /// A frame with a payload as it comes.
    Frame {
        kind: u8,
        flags: u8,
        stream: u8,
        payload: Vec<u8>,
    },
    /// The head of a request that is right: fields of the static table.
    Request {
        stream: u8,
        ends: bool,
        post: bool,
    },
    /// Content.
    Data {
        stream: u8,
        size: u16,
        ends: bool,
    },
    /// Bytes.
    Raw(Vec<u8>),
    /// Windows open.
    Window {
        stream: u8,
        size: u32,
    },
    Respond {
        stream: u8,
        ends: bool,
    },
    Send {
        stream: u8,
        size: u16,
        ends: bool,
    },
    Trailers {
        stream: u8,
    },
    Reset {
        stream: u8,
    },
    Inform {
        stream: u8,
    },
    Stalled,
    Drain,
    Close,
    End,
    /// The client does not read for a while.
    Deaf(bool),
}

#[derive(Arbitrary, Debug)]
struct Script {
    settings: Vec<(u8, u32)>,
    steps: Vec<Step>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What the program knows of a request.
#[derive(Default)]
struct Seen {
    content: usize,
    released: usize,
    complete: bool,
}

fuzz_target!(|script: Script| {
    let limits = Limits {
        stream_window: 65_535,
        connection_window: 200_000,
        websockets: true,
        ..Limits::default()
    };
    let mut server = ServerConnection::new(&limits);
    let mut seen: HashMap<u32, Seen> = HashMap::new();
    let mut deaf = false;
    let mut last = 0;
    server.receive(PREFACE);
    let settings: Vec<u8> = script
        .settings
        .iter()
        .take(8)
        .flat_map(|(name, value)| {
            let mut setting = u16::from(name % 8).to_be_bytes().to_vec();
            setting.extend(value.to_be_bytes());
            setting
        })
        .collect();
    server.receive(&frame(4, 0, 0, &settings));
    for step in script.steps {
        match step {
            Step::Frame { kind, flags, stream, payload } => {
                server.receive(&frame(kind % 12, flags, u32::from(stream), &payload));
            }
            Step::Request { stream, ends, post } => {
                let method = if post { 0x83 } else { 0x82 };
                let head = [method, 0x86, 0x84, 0x41, 1, b'a'];
                let flags = 4 | u8::from(ends);
                server.receive(&frame(1, flags, u32::from(stream), &head));
            }
            Step::Data { stream, size, ends } => {
                let data = vec![0; usize::from(size) % 16_385];
                server.receive(&frame(0, u8::from(ends), u32::from(stream), &data));
            }
            Step::Raw(bytes) => server.receive(&bytes),
            Step::Window { stream, size } => {
                let size = size & 0x7fff_ffff;
                server.receive(&frame(8, 0, u32::from(stream), &size.to_be_bytes()));
            }
            Step::Respond { stream, ends } => {
                server.respond(u32::from(stream), 200, b"x-a: 1\r\n", ends);
            }
            Step::Send { stream, size, ends } => {
                server.send(u32::from(stream), vec![1; usize::from(size)].into(), ends);
            }
            Step::Trailers { stream } => server.send_trailers(u32::from(stream), b"x-b: 2\r\n"),
            Step::Reset { stream } => {
                server.reset(u32::from(stream), Reason::INTERNAL_ERROR);
                seen.remove(&u32::from(stream));
            }
            Step::Inform { stream } => server.inform(u32::from(stream), 103, b"link: a\r\n"),
            Step::Stalled => {
                server.reset_stalled();
            }
            Step::Drain => server.drain(),
            Step::Close => server.close(Reason::NO_ERROR),
            Step::End => server.receive_end(),
            Step::Deaf(now) => deaf = now,
        }
        for _ in 0..3 {
            server.advance();
            while let Some(event) = server.next_event() {
                match event {
                    Event::Request(request) => {
                        assert!(request.stream > last, "streams are counted upwards");
                        last = request.stream;
                        let _head = request.head(&limits);
                        let new = Seen { complete: request.ends, ..Seen::default() };
                        assert!(seen.insert(request.stream, new).is_none());
                    }
                    Event::Data { stream, data } => {
                        assert!(!data.is_empty());
                        let Some(seen) = seen.get_mut(&stream) else { continue };
                        assert!(!seen.complete, "content after its end");
                        seen.content += data.len();
                        assert!(seen.content - seen.released <= 65_535, "beyond the window");
                        if seen.content - seen.released > 30_000 {
                            server.release(stream, seen.content - seen.released);
                            seen.released = seen.content;
                        }
                    }
                    Event::End { stream } => {
                        let Some(seen) = seen.get_mut(&stream) else { continue };
                        assert!(!std::mem::replace(&mut seen.complete, true), "two ends");
                    }
                    Event::Reset { stream, .. } => {
                        seen.remove(&stream);
                    }
                    Event::Room { .. } => {}
                }
            }
            let mut out = Vec::new();
            if !deaf {
                server.take_output(&mut out);
                assert!(out.len() <= UNSENT + (1 << 20), "{} bytes at once", out.len());
            }
        }
        assert!(server.open_streams() <= 100);
        if server.is_closed() {
            assert_eq!(server.open_streams(), 0);
            assert!(!server.has_events());
            return;
        }
    }
});
