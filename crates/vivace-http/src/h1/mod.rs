//! HTTP/1.1 (RFC 9112), the server side.
//!
//! - `request`: bytes in, events out: heads, content, trailers;
//! - `response`: the head, the framing of the content and the trailers of one response.
//!
//! Of `request`, in the order in which a request goes through them: `section` gathers a head that
//! came in pieces, `head` takes it apart, `framing` decides how the content ends, `chunked` and
//! `trailers` read it. `reject` is the answer to what cannot be read.

mod chunked;
mod framing;
mod head;
pub mod reject;
pub mod request;
pub mod response;
mod section;
mod trailers;

pub use crate::date;
