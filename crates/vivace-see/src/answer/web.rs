//! The page: what `vivace top` shows, in a browser on the same machine.
//!
//! Whoever has the address with its token may look, and only look. A page of another site cannot:
//! it does not know the token, the name in `Host` must be ours (so no name of another site that was
//! made to point here helps), and what sends an `Origin` must send ours. Names from the program are
//! set as text, never as HTML, and no script runs that is not this page's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::http::{Request, respond};
use super::{Job, PATIENCE, Process};
use crate::view::{doctor, tree};

const PAGE: &str = include_str!("page.html");

/// Who says nothing for so long is not waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where the page is, and who may see it.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// What the address of the page ends with.
    pub token: String,
}

impl Door {
    /// With a token of 128 random bits.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { address, token })
    }

    /// What is typed into a browser.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token)
    }

    fn is_ours(&self, host: &str) -> bool {
        let port = self.address.port();
        host == self.address.to_string()
            || ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
                host.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'))
                    == Some(port.to_string().as_str())
            })
    }

    /// Why a request is refused; none if it is not.
    fn refuses(&self, request: &Request) -> Option<&'static str> {
        let host = request.field("host").unwrap_or_default();
        if !self.is_ours(host) {
            return Some("the name in Host is not that of this page");
        }
        let origin = request.field("origin").unwrap_or_default();
        let ours = origin.strip_prefix("http://").is_some_and(|origin| self.is_ours(origin));
        if request.has("origin") && !ours {
            return Some("the request comes from another page");
        }
        let site = request.field("sec-fetch-site").unwrap_or_default();
        if request.has("sec-fetch-site") && !["same-origin", "none"].contains(&site) {
            return Some("the request comes from another page");
        }
        let given = request.parameter("token").unwrap_or_default();
        // Takes as long for any token, so that none can be guessed by the time.
        let differ = given.bytes().zip(self.token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        if given.len() != self.token.len() || differ != 0 {
            return Some(
                "the token is missing or wrong: the whole address was printed at the start",
            );
        }
        None
    }
}

/// Answers one connection.
pub fn serve(mut stream: TcpStream, door: &Door, process: &dyn Process) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    answer(&mut stream, door, process)
}

fn answer<S: Read + Write>(stream: &mut S, door: &Door, process: &dyn Process) -> io::Result<()> {
    let Some(request) = Request::read(stream)? else {
        return respond(stream, "400 Bad Request", "text/plain", "", "not a request\n");
    };
    if let Some(reason) = door.refuses(&request) {
        return respond(stream, "403 Forbidden", "text/plain", "", &format!("{reason}\n"));
    }
    if request.method != "GET" {
        let more = "Allow: GET\r\n";
        return respond(stream, "405 Method Not Allowed", "text/plain", more, "only GET\n");
    }
    match request.path.as_str() {
        "/" => {
            // The page's own script and style, by a number that only this answer has.
            let nonce = Door::new(door.address)?.token;
            let more = format!(
                "Content-Security-Policy: default-src 'none'; connect-src 'self'; \
                 script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'\r\n"
            );
            respond(stream, "200 OK", "text/html", &more, &PAGE.replace("NONCE", &nonce))
        }
        "/view" => {
            let fresh = process.ask(Job::Snapshot, PATIENCE).is_some();
            match process.view() {
                Ok(view) => {
                    let body = json!({
                        "doctor": doctor::text(&view, &doctor::checks(&view)),
                        "tree": tree::text(&view),
                        "fresh": fresh,
                        "view": view,
                    });
                    respond(stream, "200 OK", "application/json", "", &body.to_string())
                }
                Err(error) => {
                    respond(stream, "500 Internal Server Error", "text/plain", "", &error)
                }
            }
        }
        _ => respond(stream, "404 Not Found", "text/plain", "", "no such page\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;

    struct Nothing;

    impl Process for Nothing {
        fn view(&self) -> Result<View, String> {
            Err("nothing".into())
        }
        fn ask(&self, _job: Job, _patience: Duration) -> Option<String> {
            None
        }
        fn control(&self) -> bool {
            false
        }
    }

    struct Both<'a>(&'a [u8], Vec<u8>);

    impl Read for Both<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Both<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn status(target: &str, fields: &str) -> String {
        let door = Door { address: SocketAddr::from(([127, 0, 0, 1], 80)), token: "secret".into() };
        let request = format!("{target} HTTP/1.1\r\n{fields}\r\n");
        let mut both = Both(request.as_bytes(), Vec::new());
        answer(&mut both, &door, &Nothing).expect("in memory");
        String::from_utf8(both.1).expect("text").chars().skip(9).take(3).collect()
    }

    #[test]
    fn only_who_has_the_token_and_comes_from_here_is_answered() {
        let host = "Host: 127.0.0.1:80\r\n";
        let cases = [
            ("GET /?token=secret", host.to_owned(), "200"),
            ("GET /?token=secret", "Host: localhost:80\r\n".to_owned(), "200"),
            ("GET /?token=secret", format!("{host}Origin: http://127.0.0.1:80\r\n"), "200"),
            ("GET /", host.to_owned(), "403"),
            ("GET /?token=secreT", host.to_owned(), "403"),
            ("GET /?token=", host.to_owned(), "403"),
            ("GET /view", host.to_owned(), "403"),
            ("GET /?token=secret", String::new(), "403"),
            ("GET /?token=secret", "Host: evil.example:80\r\n".to_owned(), "403"),
            ("GET /?token=secret", format!("{host}{host}"), "403"),
            ("GET /?token=secret", format!("{host}Origin: http://evil.example\r\n"), "403"),
            ("GET /?token=secret", format!("{host}Origin: null\r\n"), "403"),
            ("GET /?token=secret", format!("{host}Sec-Fetch-Site: cross-site\r\n"), "403"),
            ("POST /?token=secret", host.to_owned(), "405"),
            ("GET /other?token=secret", host.to_owned(), "404"),
            ("GET /view?token=secret", host.to_owned(), "500"),
        ];
        for (target, fields, expected) in cases {
            assert_eq!(status(target, &fields), expected, "{target} {fields:?}");
        }
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let (a, b) = (Door::new(address).expect("random"), Door::new(address).expect("random"));
        assert_eq!(a.token.len(), 32);
        assert_ne!(a.token, b.token);
        assert!(a.url().starts_with("http://127.0.0.1:80/?token="));
    }

    #[test]
    fn the_page_sets_names_as_text() {
        for dangerous in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!PAGE.contains(dangerous), "{dangerous}");
        }
    }
}
