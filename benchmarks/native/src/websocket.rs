//! As much of a WebSocket client as an echo needs: the handshake, and binary
//! messages of one frame, whose bytes are known beforehand in both directions.

use std::io;
use std::time::{Duration, Instant};

use crate::channel::Channel;

/// Key and answer of the example in RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One for all frames: a server has to unmask them all the same.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// Asks for a WebSocket without extensions, and checks that it is granted.
pub fn upgrade(channel: &mut Channel, path: &str, patience: Duration) -> io::Result<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let deadline = Instant::now() + patience;
    let mut unsent = request.as_bytes();
    let mut head = Vec::new();
    // A server speaks first after the handshake only if the application does,
    // and an echo does not: the end of the head is the end of the bytes.
    while !head.ends_with(b"\r\n\r\n") {
        if Instant::now() > deadline {
            return Err(io::Error::other("no answer to the WebSocket handshake"));
        }
        match channel.send(unsent) {
            Ok(sent) => unsent = &unsent[sent..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let mut buffer = [0; 1024];
        match channel.receive(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(received) => head.extend_from_slice(&buffer[..received]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(100));
            }
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8_lossy(&head);
    if head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT) {
        Ok(())
    } else {
        let status = head.lines().next().unwrap_or_default();
        Err(io::Error::other(format!("the WebSocket handshake was answered with {status:?}")))
    }
}

/// The frame that a client sends.
#[must_use]
pub fn frame_of_client(payload: &[u8]) -> Vec<u8> {
    let mut frame = head(payload.len(), MASKED);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The frame that a server answers with.
#[must_use]
pub fn frame_of_server(payload: &[u8]) -> Vec<u8> {
    let mut frame = head(payload.len(), 0);
    frame.extend(payload);
    frame
}

fn head(length: usize, masked: u8) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => vec![FINAL_BINARY, masked | short],
        (_, Ok(middle)) => {
            let [high, low] = middle.to_be_bytes();
            vec![FINAL_BINARY, masked | 126, high, low]
        }
        _ => {
            let mut head = vec![FINAL_BINARY, masked | 127];
            head.extend((length as u64).to_be_bytes());
            head
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_rfc() {
        // Section 5.7, with the opcode of binary messages.
        assert_eq!(frame_of_server(b"Hello"), b"\x82\x05Hello");
        assert_eq!(frame_of_client(b"Hello"), b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(frame_of_server(&[0; 256])[..4], [0x82, 126, 1, 0]);
        assert_eq!(frame_of_server(&[0; 65536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
