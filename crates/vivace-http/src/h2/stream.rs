//! One stream: a request's content on its way in, a response on its way out.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;

use super::readiness::Watch;

/// What goes out after the content.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing yet: more content.
    Open,
    /// Nothing: the content's last frame is the end.
    Plain,
    Trailers(HeaderMap),
}

/// See the module.
pub(super) struct Stream {
    /// The request's content, until all of it has come.
    pub(super) body: Option<RecvStream>,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    /// Content that there was no room for, and the end.
    waiting: VecDeque<Bytes>,
    waiting_size: usize,
    /// What waited when somebody last looked whether it becomes less.
    pub(super) stall_mark: usize,
    end: End,
    pub(super) watch: Option<Watch>,
}

/// What has come of a request's content.
pub(super) enum Came {
    Data(Bytes),
    /// It is complete.
    End,
    /// The stream has failed, or the client has reset it.
    Failed(Reason),
    Nothing,
}

fn reason_of(error: &h2::Error) -> Reason {
    error.reason().unwrap_or(Reason::CANCEL)
}

impl Stream {
    pub(super) fn new(body: Option<RecvStream>, respond: SendResponse<Bytes>) -> Self {
        Self {
            body,
            respond,
            send: None,
            waiting: VecDeque::new(),
            waiting_size: 0,
            stall_mark: 0,
            end: End::Open,
            watch: None,
        }
    }

    /// The next piece of the request's content.
    pub(super) fn read(&mut self, context: &mut Context<'_>) -> Came {
        let Some(body) = &mut self.body else { return Came::Nothing };
        loop {
            match body.poll_data(context) {
                Poll::Pending => return Came::Nothing,
                Poll::Ready(Some(Ok(data))) if data.is_empty() => {}
                Poll::Ready(Some(Ok(data))) => return Came::Data(data),
                Poll::Ready(Some(Err(error))) => return Came::Failed(reason_of(&error)),
                Poll::Ready(None) => break,
            }
        }
        match body.poll_trailers(context) {
            Poll::Pending => Came::Nothing,
            Poll::Ready(Err(error)) => Came::Failed(reason_of(&error)),
            Poll::Ready(Ok(_trailers)) => {
                self.body = None;
                Came::End
            }
        }
    }

    /// Whether the client has reset the stream.
    pub(super) fn is_reset(&mut self, context: &mut Context<'_>) -> Option<Reason> {
        let reset = match &mut self.send {
            Some(send) => send.poll_reset(context),
            None => self.respond.poll_reset(context),
        };
        match reset {
            Poll::Pending => None,
            Poll::Ready(Ok(reason)) => Some(reason),
            Poll::Ready(Err(error)) => Some(reason_of(&error)),
        }
    }

    pub(super) fn release(&mut self, size: usize) {
        if let Some(body) = &mut self.body {
            // Fails only for more than has come.
            let _released = body.flow_control().release_capacity(size);
        }
    }

    pub(super) fn inform(&mut self, head: http::Response<()>) -> Result<(), h2::Error> {
        self.respond.send_informational(head)
    }

    pub(super) fn respond(
        &mut self,
        head: http::Response<()>,
        ends: bool,
    ) -> Result<(), h2::Error> {
        self.send = Some(self.respond.send_response(head, ends)?);
        if ends {
            self.end = End::Plain;
        }
        Ok(())
    }

    /// Content that is to follow what waits, and what is to follow it.
    pub(super) fn send(&mut self, data: Bytes, end: End) -> Result<(), h2::Error> {
        self.waiting_size += data.len();
        if !data.is_empty() {
            self.waiting.push_back(data);
        }
        self.end = end;
        self.flush()
    }

    /// Hands on what there is room for.
    pub(super) fn flush(&mut self) -> Result<(), h2::Error> {
        let Some(send) = &mut self.send else { return Ok(()) };
        if self.waiting_size > 0 {
            send.reserve_capacity(self.waiting_size);
        }
        let ends = matches!(self.end, End::Plain);
        while let Some(mut data) = self.waiting.pop_front() {
            let room = send.capacity();
            if room == 0 {
                self.waiting.push_front(data);
                return Ok(());
            }
            let piece = if room < data.len() {
                let piece = data.split_to(room);
                self.waiting.push_front(data);
                piece
            } else {
                data
            };
            self.waiting_size -= piece.len();
            send.send_data(piece, ends && self.waiting.is_empty())?;
            if ends && self.waiting.is_empty() {
                return Ok(());
            }
        }
        match std::mem::replace(&mut self.end, End::Open) {
            End::Open => Ok(()),
            End::Plain => {
                self.end = End::Plain;
                send.send_data(Bytes::new(), true)
            }
            End::Trailers(fields) => {
                self.end = End::Plain;
                send.send_trailers(fields)
            }
        }
    }

    /// Lets the watch be woken when there is room.
    pub(super) fn wait_for_room(&mut self, context: &mut Context<'_>) {
        if let Some(send) = self.send.as_mut().filter(|_| self.waiting_size > 0) {
            let _room = send.poll_capacity(context);
        }
    }

    /// Bytes that there was no room for.
    pub(super) fn waiting(&self) -> usize {
        self.waiting_size
    }

    /// The whole response was handed on.
    pub(super) fn is_sent(&self) -> bool {
        self.waiting_size == 0 && matches!(self.end, End::Plain) && self.send.is_some()
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.send {
            Some(send) => send.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }
}
