//! The two ends of a connection in memory: what `h2` reads from and writes to.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::UNSENT;

#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    /// How much of the input was read.
    taken: usize,
    /// The client sends no more.
    ended: bool,
    output: Vec<u8>,
    /// Something could not be written.
    blocked: bool,
    /// Nothing more will be written.
    shut: bool,
}

/// Our end. Nothing wakes the other one: it is polled again after each change.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Rc<RefCell<Buffers>>);

impl Pipe {
    pub(super) fn push(&self, data: &[u8]) {
        self.0.borrow_mut().input.extend_from_slice(data);
    }

    pub(super) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Bytes that have come and were not read.
    pub(super) fn unread(&self) -> usize {
        let buffers = self.0.borrow();
        buffers.input.len() - buffers.taken
    }

    /// Moves the output to the end of `out`; whether more was to be written than there was room.
    pub(super) fn take_output(&self, out: &mut Vec<u8>) -> bool {
        let mut buffers = self.0.borrow_mut();
        if out.is_empty() {
            std::mem::swap(out, &mut buffers.output);
        } else {
            out.append(&mut buffers.output);
        }
        std::mem::take(&mut buffers.blocked)
    }
}

/// The end of `h2`.
#[derive(Debug)]
pub(super) struct PipeEnd(Rc<RefCell<Buffers>>);

impl PipeEnd {
    pub(super) fn of(pipe: &Pipe) -> Self {
        Self(Rc::clone(&pipe.0))
    }
}

impl AsyncRead for PipeEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.0.borrow_mut();
        let waiting = &buffers.input[buffers.taken..];
        if waiting.is_empty() {
            return if buffers.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let count = waiting.len().min(target.remaining());
        target.put_slice(&waiting[..count]);
        buffers.taken += count;
        if buffers.taken == buffers.input.len() {
            buffers.taken = 0;
            buffers.input.clear();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PipeEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.0.borrow_mut();
        if buffers.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buffers.output.len() >= UNSENT {
            buffers.blocked = true;
            return Poll::Pending;
        }
        buffers.output.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            match self.as_mut().poll_write(context, slice) {
                Poll::Ready(Ok(written)) => count += written,
                Poll::Ready(Err(error)) if count == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().shut = true;
        Poll::Ready(Ok(()))
    }
}
