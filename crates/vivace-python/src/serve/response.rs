//! `send(message)`: from the messages of the ASGI specification to bytes on the connection.

use vivace_http::field::Header;
use vivace_http::h1::response::{
    BodyError, HeadError, ResponseWriter, write_fields, write_interim,
};

use super::exchange::{Exchange, Phase};
use super::files;
use super::operation::{self, Wait};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::Bytes;
use crate::ffi::{Builtin, Instance, Object, Owned, Result, raise, text};

/// Bodies up to this size are copied behind the head; for larger ones a list of two pieces costs
/// the kernel less than the copy costs us.
const JOIN_UP_TO: usize = 2 * 1024;

type This = Instance<Exchange>;

/// Does what `message` says; the answer is what `await send(message)` awaits.
pub(super) fn send(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if !text::is_dict(message) {
        return Err(raise(Builtin::Type, "an ASGI message must be a dict"));
    }
    let Some(kind) = text::dict_get(message, &names.kind)? else {
        return Err(raise(Builtin::Value, "an ASGI message must have a 'type'"));
    };
    // An application says it with the same object each time.
    let service = this.service()?;
    if service.said_body.is(&kind) {
        return body(this, message);
    }
    if service.said_start.is(&kind) {
        return start(this, message);
    }
    if kind.equals(&names.response_body)? {
        service.said_body.set(kind);
        return body(this, message);
    }
    if kind.equals(&names.response_start)? {
        service.said_start.set(kind);
        return start(this, message);
    }
    if kind.equals(&names.response_trailers)? {
        return trailers(this, message);
    }
    if kind.equals(&names.response_pathsend)? {
        return pathsend(this, message);
    }
    if kind.equals(&names.response_early_hint)? {
        return early_hint(this, message);
    }
    let text = text::repr(&kind)?;
    Err(unexpected(this, &text))
}

#[cold]
fn unexpected(this: &This, kind: &str) -> crate::ffi::Raised {
    let expected = match this.phase() {
        Phase::Waiting => "'http.response.start'",
        Phase::Started | Phase::Streaming => "'http.response.body'",
        Phase::Trailers => "'http.response.trailers'",
        Phase::Complete => "nothing more",
    };
    raise(Builtin::Runtime, &format!("Expected ASGI message {expected}, but got {kind}."))
}

/// Whether the message goes nowhere: after the end it is ignored, after a loss it is an error.
fn is_over(this: &This) -> Result<bool> {
    if this.is_complete() {
        return Ok(true);
    }
    // A write may have failed in this turn: `connection_lost` is still to come then.
    if this.lost.get() || this.connection.get().is_some_and(|connection| connection.is_broken()) {
        return Err(raise(Builtin::ConnectionReset, "the client has disconnected"));
    }
    Ok(false)
}

fn done(this: &This) -> Result<Owned> {
    Ok(this.service()?.done())
}

fn head_error(error: &HeadError) -> crate::ffi::Raised {
    raise(Builtin::Value, &error.to_string())
}

pub(super) fn start(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if is_over(this)? {
        return done(this);
    }
    if this.phase() != Phase::Waiting {
        return Err(unexpected(this, "'http.response.start'"));
    }
    let Some(status) = text::dict_get(message, &names.status)? else {
        return Err(raise(Builtin::Value, "'http.response.start' must have a 'status'"));
    };
    let status = text::to_i64(&status)?;
    let Ok(status) = u16::try_from(status) else {
        return Err(raise(Builtin::Value, &format!("bad HTTP status: {status}")));
    };
    let headers = text::dict_get(message, &names.headers)?;
    // Type, status and headers are all that most messages say.
    let says_more = headers.is_none() || text::dict_len(message) > 3;
    let trailers = match says_more.then(|| text::dict_get(message, &names.trailers)) {
        Some(trailers) => trailers?.map_or(Ok(false), |trailers| trailers.is_true())?,
        None => false,
    };
    // Nothing is kept of a message that is wrong: the application may send another one.
    let mut writer = ResponseWriter::new(this.response.traits.get());
    let mut head = Vec::new();
    writer.begin(&mut head, status).map_err(|error| head_error(&error))?;
    if let Some(headers) = headers.filter(|headers| !headers.is_none()) {
        text::for_each(&headers, |item| {
            let (name, value) = name_and_value(item)?;
            writer
                .header(&mut head, name.as_slice(), value.as_slice())
                .map_err(|error| head_error(&error))
        })?;
    }
    if trailers {
        writer.promise_trailers();
    }
    if this.phase() != Phase::Waiting {
        // Said meanwhile, by code that ran while the headers were read.
        return Err(unexpected(this, "'http.response.start'"));
    }
    *this.response.writer.borrow_mut() = writer;
    *this.response.head.borrow_mut() = head;
    this.response.status.set(status);
    this.response.phase.set(Phase::Started);
    done(this)
}

/// A header as the application gives it.
pub(super) fn name_and_value(item: &Object) -> Result<(Bytes, Bytes)> {
    match text::two_items(item)? {
        Some((name, value)) => Ok((Bytes::header(&name, "name")?, Bytes::header(&value, "value")?)),
        None => Err(raise(Builtin::Value, "a header must be a pair of name and value")),
    }
}

/// The head, with all that the server adds to it; nothing if it has left already. `length` is
/// that of the whole content, if it is known.
fn take_head(this: &This, length: Option<usize>) -> Result<Vec<u8>> {
    if this.phase() != Phase::Started {
        return Ok(Vec::new());
    }
    let mut head = std::mem::take(&mut *this.response.head.borrow_mut());
    let close = this.connection.get().is_some_and(|connection| connection.closes_after(this));
    let mut writer = this.response.writer.borrow_mut();
    if close {
        writer.close();
    }
    // What a HEAD would have been answered with is not known.
    if let Some(length) = length.filter(|_| !this.response.traits.get().head) {
        writer.know_length(length as u64);
    }
    let service = this.service()?;
    service.with_defaults(|defaults| writer.finish_head(&mut head, defaults));
    if service.access.wants_answer() {
        if let Some(line) = &mut *this.line.borrow_mut() {
            line.keep_answer(&head);
        }
    }
    Ok(head)
}

pub(super) fn body(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if is_over(this)? {
        return done(this);
    }
    if !matches!(this.phase(), Phase::Started | Phase::Streaming) {
        return Err(unexpected(this, "'http.response.body'"));
    }
    let data = match text::dict_get(message, &names.body)? {
        Some(data) => Some(Bytes::body(&data)?),
        None => None,
    };
    let says_more = data.is_none() || text::dict_len(message) > 2;
    let more = match says_more.then(|| text::dict_get(message, &names.more_body)) {
        Some(more) => more?.map_or(Ok(false), |more| more.is_true())?,
        None => false,
    };
    send_body(this, data.as_ref(), more)?;
    after_write(this)
}

/// What `await send(…)` waits for: room, if the client does not take what was written.
fn after_write(this: &This) -> Result<Owned> {
    if this.has_room()?.is_some() {
        return done(this);
    }
    operation::waiting(this.object(), Wait::Room)
}

/// A part of the body, or the end of it.
pub(super) fn send_body(this: &This, data: Option<&Bytes>, more: bool) -> Result<()> {
    let Some(connection) = this.connection.get() else { return Ok(()) };
    let content = data.map_or(&[][..], Bytes::as_slice);
    let begins = this.phase() == Phase::Started;
    let mut out = take_head(this, (!more).then_some(content.len()))?;
    let framed = this.response.writer.borrow_mut().body(content.len(), more);
    let framed = match framed {
        Ok(framed) => framed,
        Err(error) => return Err(wrong_length(this, error)?),
    };
    let (before, after) = (framed.before(), framed.after());
    let content = if framed.send_data { content } else { &[] };
    this.response.sent.set(this.response.sent.get() + content.len() as u64);
    if this.is_stream() {
        let ends = !more && !this.response.writer.borrow().sends_trailers();
        connection.http2_send(this, begins.then_some(&out), content, ends)?;
        return sent(this, more);
    }
    out.extend_from_slice(before);
    match data.filter(|_| content.len() > JOIN_UP_TO) {
        None => {
            let whole = [&*out, content, after];
            if whole.iter().any(|part| !part.is_empty()) {
                connection.write(&[Bytes::joined(&whole)?])?;
            }
        }
        Some(data) => {
            let before = if out.is_empty() { None } else { Some(Bytes::copied(&out)?) };
            let after = if after.is_empty() { None } else { Some(Bytes::copied(after)?) };
            match (before, after) {
                (Some(before), None) => connection.write(&[before, data.clone()])?,
                (None, None) => connection.write(std::slice::from_ref(data))?,
                (before, after) => {
                    let pieces = [before, Some(data.clone()), after];
                    connection.write(&pieces.into_iter().flatten().collect::<Vec<_>>())?;
                }
            }
        }
    }
    sent(this, more)
}

/// A part of the body was sent.
fn sent(this: &This, more: bool) -> Result<()> {
    if this.phase() == Phase::Started {
        this.ties.judge_request(Some(this.response.status.get()));
    }
    if more {
        this.response.phase.set(Phase::Streaming);
        return Ok(());
    }
    if this.response.writer.borrow().awaits_trailers() {
        this.response.phase.set(Phase::Trailers);
        return Ok(());
    }
    complete(this)
}

/// The body does not fit the `Content-Length`: the client must not take it for whole.
#[cold]
fn wrong_length(this: &This, error: BodyError) -> Result<crate::ffi::Raised> {
    let message = match error {
        BodyError::TooLong => "Response content longer than Content-Length",
        BodyError::TooShort => "Response content shorter than Content-Length",
        BodyError::Complete => "Response content after the end of the response",
    };
    if this.phase() == Phase::Started {
        // Nothing of it has left.
        plain(this, 500, "Internal Server Error", &[])?;
    } else {
        cut(this)?;
    }
    Ok(raise(Builtin::Runtime, message))
}

/// The response cannot be ended as it was begun: what was written leaves, and the connection
/// ends in a way that shows the client that something is missing.
pub(super) fn cut(this: &This) -> Result<()> {
    let ends_with_connection = this.response.writer.borrow().ends_with_connection();
    match this.connection.get() {
        Some(connection) if this.is_stream() => connection.http2_abort(this),
        Some(connection) => connection.cut(ends_with_connection),
        None => Ok(()),
    }
}

/// The last byte was written.
pub(super) fn complete(this: &This) -> Result<()> {
    this.response.phase.set(Phase::Complete);
    let connection = this.connection.take();
    this.waiters.wake()?;
    match connection {
        Some(connection) => connection.response_complete(this),
        None => Ok(()),
    }
}

fn trailers(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if is_over(this)? {
        return done(this);
    }
    if this.phase() != Phase::Trailers {
        return Err(unexpected(this, "'http.response.trailers'"));
    }
    let more = match text::dict_get(message, &names.more_trailers)? {
        Some(more) => more.is_true()?,
        None => false,
    };
    if let Some(headers) = text::dict_get(message, &names.headers)? {
        text::for_each(&headers, |item| {
            this.response.trailers.borrow_mut().push(name_and_value(item)?);
            Ok(())
        })?;
    }
    if more {
        return done(this);
    }
    let fields = std::mem::take(&mut *this.response.trailers.borrow_mut());
    let fields = fields
        .iter()
        .map(|(name, value)| Header { name: name.as_slice(), value: value.as_slice() });
    let mut out = Vec::new();
    let to_client = this.response.writer.borrow().sends_trailers();
    let written = this.response.writer.borrow_mut().trailers(&mut out, fields);
    written.map_err(|error| head_error(&error))?;
    if this.is_stream() {
        if let Some(connection) = this.connection.get().filter(|_| to_client) {
            connection.http2_send_trailers(this, &out)?;
        }
        complete(this)?;
        return after_write(this);
    }
    if let Some(connection) = this.connection.get().filter(|_| !out.is_empty()) {
        connection.write(&[Bytes::copied(&out)?])?;
    }
    complete(this)?;
    after_write(this)
}

/// `http.response.pathsend`: the body is a file.
fn pathsend(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if is_over(this)? {
        return done(this);
    }
    if this.phase() != Phase::Started {
        return Err(unexpected(this, "'http.response.pathsend'"));
    }
    let Some(path) = text::dict_get(message, &names.path)? else {
        return Err(raise(Builtin::Value, "'http.response.pathsend' must have a 'path'"));
    };
    if let Some(content) = files::read_small(&path)? {
        know_file(this, content.as_slice().len());
        send_body(this, Some(&content), false)?;
        return after_write(this);
    }
    let Some(connection) = this.connection.get() else { return done(this) };
    // The kernel cannot copy a file into frames.
    let transport = match this.is_stream() {
        true => text::none(),
        false => connection.transport.get_or_none(),
    };
    let coroutine =
        this.service()?.send_file_function()?.call(&[this.object(), &transport, &path])?;
    operation::of_coroutine(this.object(), coroutine)
}

/// The content is a file of that size, whatever becomes of it: a HEAD is told, too.
fn know_file(this: &This, size: usize) {
    this.response.writer.borrow_mut().know_length(size as u64);
}

/// `_begin_file(size)`: the head leaves; whether the file is to follow.
pub(super) fn begin_file(this: &This, size: &Object) -> Result<Owned> {
    let size = text::to_u64(size)? as usize;
    let Some(connection) = this.connection.get() else { return Ok(text::boolean(false)) };
    know_file(this, size);
    let out = take_head(this, Some(size))?;
    let framed = this.response.writer.borrow_mut().body(size, false);
    let framed = match framed {
        Ok(framed) => framed,
        Err(error) => return Err(wrong_length(this, error)?),
    };
    debug_assert!(framed.before().is_empty(), "the length is known");
    this.response.phase.set(Phase::Streaming);
    this.ties.judge_request(Some(this.response.status.get()));
    if this.is_stream() {
        let ends = !framed.send_data || size == 0;
        connection.http2_send(this, Some(&out), b"", ends)?;
    } else if !out.is_empty() {
        connection.write(&[Bytes::copied(&out)?])?;
    }
    this.response.sent.set(if framed.send_data { size as u64 } else { 0 });
    Ok(text::boolean(framed.send_data && size > 0))
}

/// `_file_part(data)`: a part of a file that goes into frames; what is returned waits for room.
pub(super) fn file_part(this: &This, data: &Object) -> Result<Owned> {
    if is_over(this)? {
        return done(this);
    }
    let data = Bytes::body(data)?;
    if let Some(connection) = this.connection.get().filter(|_| this.is_stream()) {
        connection.http2_send(this, None, data.as_slice(), false)?;
    }
    after_write(this)
}

/// `_end_file(whole)`: the file was sent, or could not be.
pub(super) fn end_file(this: &This, whole: &Object) -> Result<Owned> {
    if this.is_complete() || this.lost.get() {
        return Ok(text::none());
    }
    if whole.is_true()? {
        if let Some(connection) = this.connection.get().filter(|_| this.is_stream()) {
            connection.http2_send(this, None, b"", true)?;
        }
        complete(this)?
    } else {
        cut(this)?
    }
    Ok(text::none())
}

/// `http.response.early_hint`: `103 Early Hints` with the links given (RFC 8297).
fn early_hint(this: &This, message: &Object) -> Result<Owned> {
    let names = asgi_names();
    if is_over(this)? {
        return done(this);
    }
    if this.phase() != Phase::Waiting {
        return Err(unexpected(this, "'http.response.early_hint'"));
    }
    let Some(links) = text::dict_get(message, &names.links)? else { return done(this) };
    let mut values = Vec::new();
    text::for_each(&links, |link| {
        values.push(Bytes::header(link, "value")?);
        Ok(())
    })?;
    let fields = values.iter().map(|value| Header { name: b"link", value: value.as_slice() });
    let mut out = Vec::new();
    if this.is_stream() {
        write_fields(&mut out, fields).map_err(|error| head_error(&error))?;
        if let Some(connection) = this.connection.get().filter(|_| !values.is_empty()) {
            connection.http2_inform(this, 103, &out)?;
        }
        return after_write(this);
    }
    write_interim(&mut out, 103, fields).map_err(|error| head_error(&error))?;
    let http11 = this.response.traits.get().http11;
    if let Some(connection) = this.connection.get().filter(|_| http11 && !values.is_empty()) {
        connection.write(&[Bytes::copied(&out)?])?;
    }
    after_write(this)
}

/// A response of the server's own, whole: the application has failed before it began one.
pub(super) fn plain(
    this: &This,
    status: u16,
    content: &str,
    extra: &[(&[u8], &[u8])],
) -> Result<()> {
    let mut writer = ResponseWriter::new(this.response.traits.get());
    let mut head = Vec::new();
    let written = writer.begin(&mut head, status).and_then(|()| {
        writer.header(&mut head, b"content-type", b"text/plain; charset=utf-8")?;
        extra.iter().try_for_each(|(name, value)| writer.header(&mut head, name, value))
    });
    written.map_err(|error| head_error(&error))?;
    writer.close();
    *this.response.writer.borrow_mut() = writer;
    *this.response.head.borrow_mut() = head;
    this.response.status.set(status);
    this.response.phase.set(Phase::Started);
    send_body(this, Some(&Bytes::copied(content.as_bytes())?), false)
}
