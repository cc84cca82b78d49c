//! `send(message)`: from the messages of the ASGI specification to bytes on the connection.

use vivace_http::h1::response::{BodyError, Defaults, HeadError};

use super::exchange::{Exchange, Phase};
use super::operation::{self, Wait};
use crate::ffi::asgi_names::asgi_names;
use crate::ffi::bytes::{self, Bytes};
use crate::ffi::{Builtin, Instance, Object, Owned, Result, raise, text};

/// Bodies up to this size are sent in one piece with the head.
const JOIN_UP_TO: usize = 16 * 1024;

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
    if kind.is(&names.response_body) || kind.equals(&names.response_body)? {
        return body(this, message);
    }
    if kind.is(&names.response_start) || kind.equals(&names.response_start)? {
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
    raise(
        Builtin::Runtime,
        &format!("Expected ASGI message {expected}, but got {kind}."),
    )
}

/// Whether the message goes nowhere: after the end it is ignored, after a loss it is an error.
fn is_over(this: &This) -> Result<bool> {
    if this.is_complete() {
        return Ok(true);
    }
    if this.lost.get() {
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

fn start(this: &This, message: &Object) -> Result<Owned> {
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
    let trailers = match text::dict_get(message, &names.trailers)? {
        Some(trailers) => trailers.is_true()?,
        None => false,
    };
    let service = this.service()?;
    // Nothing is kept of a message that is wrong: the application may send another one.
    let mut writer = this.response.writer.borrow().clone();
    let mut head = Vec::with_capacity(512);
    writer.begin(&mut head, status).map_err(|error| head_error(&error))?;
    if let Some(headers) = headers.filter(|headers| !headers.is_none()) {
        text::for_each(&headers, |item| {
            let Some((name, value)) = text::two_items(item)? else {
                return Err(raise(Builtin::Value, "a header must be a pair of name and value"));
            };
            let (name, value) = (Bytes::header(&name, "name")?, Bytes::header(&value, "value")?);
            writer
                .header(&mut head, name.as_slice(), value.as_slice())
                .map_err(|error| head_error(&error))
        })?;
    }
    let close = this.connection.get().is_some_and(|connection| connection.closes_after(this));
    service.with_default_headers(|date, headers| {
        let defaults = Defaults { date, headers, close, trailers };
        writer.finish_head(&mut head, &defaults);
    });
    if this.phase() != Phase::Waiting {
        // Said meanwhile, by code that ran while the headers were read.
        return Err(unexpected(this, "'http.response.start'"));
    }
    *this.response.writer.borrow_mut() = writer;
    *this.response.head.borrow_mut() = head;
    this.response.status.set(status);
    this.response.trailers.set(trailers);
    this.response.phase.set(Phase::Started);
    done(this)
}

fn body(this: &This, message: &Object) -> Result<Owned> {
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
    let more = match text::dict_get(message, &names.more_body)? {
        Some(more) => more.is_true()?,
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
    let framed = this.response.writer.borrow_mut().body(content.len(), more);
    let framed = match framed {
        Ok(framed) => framed,
        Err(error) => return Err(wrong_length(this, error)?),
    };
    this.response.sent.set(this.response.sent.get() + content.len() as u64);
    let (before, after) = (framed.before(), framed.after());
    let mut out = std::mem::take(&mut *this.response.head.borrow_mut());
    let content = if framed.sends_data() { content } else { &[] };
    out.extend_from_slice(before);
    if content.len() <= JOIN_UP_TO {
        out.extend_from_slice(content);
        out.extend_from_slice(after);
        if !out.is_empty() {
            connection.write(&[Bytes::copied(&out)?])?;
        }
    } else {
        let mut pieces = Vec::with_capacity(3);
        if !out.is_empty() {
            pieces.push(Bytes::copied(&out)?);
        }
        pieces.extend(data.cloned());
        if !after.is_empty() {
            pieces.push(Bytes::copied(after)?);
        }
        connection.write(&pieces)?;
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
    };
    abort(this)?;
    Ok(raise(Builtin::Runtime, message))
}

/// The response cannot be ended as it was begun: the connection goes.
pub(super) fn abort(this: &This) -> Result<()> {
    match this.connection.get() {
        Some(connection) => connection.abort(),
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
    let mut writer = this.response.writer.borrow().clone();
    let mut out = Vec::new();
    if let Some(headers) = text::dict_get(message, &names.headers)? {
        text::for_each(&headers, |item| {
            let Some((name, value)) = text::two_items(item)? else {
                return Err(raise(Builtin::Value, "a trailer must be a pair of name and value"));
            };
            let (name, value) = (Bytes::header(&name, "name")?, Bytes::header(&value, "value")?);
            writer
                .trailer(&mut out, name.as_slice(), value.as_slice())
                .map_err(|error| head_error(&error))
        })?;
    }
    if !more {
        writer.finish_trailers(&mut out);
    }
    *this.response.writer.borrow_mut() = writer;
    if let Some(connection) = this.connection.get().filter(|_| !out.is_empty()) {
        connection.write(&[Bytes::copied(&out)?])?;
    }
    if !more {
        complete(this)?;
    }
    after_write(this)
}

/// `http.response.pathsend`: the body is a file, sent by the kernel.
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
    let Some(connection) = this.connection.get() else { return done(this) };
    let transport = connection.transport.get_or_none();
    let function = this.service()?.send_file_function()?;
    let coroutine = function.call(&[this.object(), &transport, &path])?;
    operation::of_coroutine(this.object(), coroutine)
}

/// `begin_file(size)`: the head leaves; whether the body is to follow as it is.
pub(super) fn begin_file(this: &This, size: &Object) -> Result<Owned> {
    let size = text::to_u64(size)?;
    let Some(connection) = this.connection.get() else { return Ok(text::boolean(false)) };
    let plan = this.response.writer.borrow_mut().whole_body(size);
    let framed = match plan {
        Ok(framed) => framed,
        Err(error) => return Err(wrong_length(this, error)?),
    };
    let mut out = std::mem::take(&mut *this.response.head.borrow_mut());
    out.extend_from_slice(framed.before());
    this.response.phase.set(Phase::Streaming);
    if !out.is_empty() {
        connection.write(&[Bytes::copied(&out)?])?;
    }
    this.response.sent.set(if framed.sends_data() { size } else { 0 });
    Ok(text::boolean(framed.sends_data() && size > 0))
}

/// `end_file(whole)`: the file was sent, or could not be.
pub(super) fn end_file(this: &This, whole: &Object) -> Result<Owned> {
    if !whole.is_true()? {
        abort(this)?;
        return Ok(text::none());
    }
    let after = this.response.writer.borrow().after_whole_body();
    if let Some(connection) = this.connection.get().filter(|_| !after.is_empty()) {
        connection.write(&[Bytes::copied(after)?])?;
    }
    complete(this)?;
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
    let mut out = b"HTTP/1.1 103 Early Hints\r\n".to_vec();
    let mut any = false;
    text::for_each(&links, |link| {
        let link = Bytes::header(link, "link")?;
        if vivace_http::h1::response::is_field_value(link.as_slice()) {
            out.extend_from_slice(b"link: ");
            out.extend_from_slice(link.as_slice());
            out.extend_from_slice(b"\r\n");
            any = true;
            return Ok(());
        }
        Err(raise(Builtin::Value, "bad value of a link"))
    })?;
    out.extend_from_slice(b"\r\n");
    let http11 = this.response.writer.borrow().is_http11();
    if let Some(connection) = this.connection.get().filter(|_| any && http11) {
        connection.write(&[Bytes::from_bytes(bytes::bytes(&out)?)?])?;
    }
    after_write(this)
}

/// A response of the server's own, whole: the application has failed before it began one.
pub(super) fn plain(this: &This, status: u16, content: &str, extra: &[(&[u8], &[u8])]) -> Result<()> {
    let mut writer = this.response.writer.borrow().clone();
    let mut head = Vec::with_capacity(256);
    let length = content.len().to_string();
    let written = writer.begin(&mut head, status).and_then(|()| {
        writer.header(&mut head, b"content-type", b"text/plain; charset=utf-8")?;
        writer.header(&mut head, b"content-length", length.as_bytes())?;
        extra.iter().try_for_each(|(name, value)| writer.header(&mut head, name, value))
    });
    written.map_err(|error| head_error(&error))?;
    this.service()?.with_default_headers(|date, headers| {
        let defaults = Defaults { date, headers, close: true, trailers: false };
        writer.finish_head(&mut head, &defaults);
    });
    *this.response.writer.borrow_mut() = writer;
    *this.response.head.borrow_mut() = head;
    this.response.status.set(status);
    this.response.phase.set(Phase::Started);
    send_body(this, Some(&Bytes::copied(content.as_bytes())?), false)
}
