//! Reads a connection whose bytes come in given pieces, and writes down what became of them in a
//! form that does not depend on the pieces.

use vivace_http::h1::request::{Event, Header, Limits, Reject, RequestReader};

/// One request as it was read, up to where the connection ended or was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// `name: value`, as sent.
    pub(crate) headers: Vec<String>,
    /// Whatever else the head tells, by name.
    pub(crate) marks: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Vec<String>>,
    pub(crate) complete: bool,
}

/// What a whole connection was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) requests: Vec<Request>,
    pub(crate) rejected: Option<Reject>,
    /// At the end: a head is there in part.
    pub(crate) partial_head: bool,
    /// At the end: nothing of a next request is there.
    pub(crate) between_requests: bool,
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn lines(headers: &[Header<'_>]) -> Vec<String> {
    headers.iter().map(|header| text(header.name) + ": " + &text(header.value)).collect()
}

/// Reads what the pieces say, one after the other.
pub(crate) fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limits: Limits) -> Connection {
    let mut reader = RequestReader::new(limits);
    let mut requests: Vec<Request> = Vec::new();
    let mut rejected = None;
    for piece in pieces {
        let mut input = piece;
        loop {
            let before = input.len();
            match reader.next(&mut input) {
                Ok(None) => {
                    assert!(input.is_empty(), "all of the input is taken before more is asked for");
                    break;
                }
                Ok(Some(event)) => note(&mut requests, event),
                Err(reject) => {
                    if let Some(earlier) = rejected {
                        assert_eq!(reject, earlier, "what was refused once stays refused");
                        assert_eq!(input.len(), before, "nothing is read after a refusal");
                        break;
                    }
                    rejected = Some(reject);
                }
            }
        }
    }
    Connection {
        requests,
        rejected,
        partial_head: rejected.is_none() && reader.has_partial_head(),
        between_requests: rejected.is_none() && reader.is_between_requests(),
    }
}

fn note(requests: &mut Vec<Request>, event: Event<'_>) {
    if let Event::Head(head) = event {
        assert!(requests.last().is_none_or(|last| last.complete), "one request at a time");
        let mut marks = vec![format!("{:?}", head.framing)];
        for (mark, holds) in [
            ("HTTP/1.1", head.http11),
            ("keep-alive", head.keep_alive),
            ("expects-continue", head.expects_continue),
            ("upgrade", head.upgrade),
            ("websocket", head.websocket),
            ("trailers-wanted", head.trailers_wanted),
        ] {
            if holds {
                marks.push(mark.to_owned());
            }
        }
        if let Some(authority) = head.authority {
            marks.push(format!("authority {}", text(authority)));
        }
        requests.push(Request {
            method: text(head.method),
            target: text(head.target),
            path: text(head.path),
            query: text(head.query),
            headers: lines(&head.headers),
            marks,
            ..Request::default()
        });
        return;
    }
    let request = requests.last_mut().expect("a head comes first");
    assert!(!request.complete, "nothing of a request comes after its end");
    match event {
        Event::Body(data) => {
            assert!(!data.is_empty(), "an empty piece of content tells nothing");
            assert!(request.trailers.is_none(), "trailers come after the content");
            request.body.extend_from_slice(data);
        }
        Event::Trailers(trailers) => {
            assert!(request.trailers.is_none(), "trailers come once");
            request.trailers = Some(lines(&trailers));
        }
        Event::End => request.complete = true,
        Event::Head(_) => unreachable!("heads were noted above"),
    }
}
