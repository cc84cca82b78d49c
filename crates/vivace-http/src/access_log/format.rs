//! The formats of the access log, and the one place that chooses between them.

use super::atoms::{Atom, AtomLine, PatternError};
use super::phrases::Phrases;
use super::record::Record;
use super::structured::{self, StructuredLine, Syntax};
use super::time_text::UniversalTime;
use super::uvicorn::{Colours, UvicornLine};
use jiff::tz::TimeZone;

/// How a record becomes a line. Owned by one thread: it keeps the text of the last second.
pub struct Format(Kind);

enum Kind {
    Uvicorn(UvicornLine),
    Structured(StructuredLine),
    Atoms(AtomLine),
}

impl Format {
    /// uvicorn's line.
    pub fn uvicorn(colours: Colours) -> Self {
        Self::uvicorn_with_phrases(colours, Phrases::default())
    }

    /// uvicorn's line with the phrases of another version of Python.
    pub fn uvicorn_with_phrases(colours: Colours, phrases: Phrases) -> Self {
        Self(Kind::Uvicorn(UvicornLine { colours, phrases }))
    }

    /// One JSON object a line.
    pub fn json() -> Self {
        Self::structured(Syntax::Json)
    }

    /// Words of the form `key=value`.
    pub fn logfmt() -> Self {
        Self::structured(Syntax::Logfmt)
    }

    fn structured(syntax: Syntax) -> Self {
        Self(Kind::Structured(StructuredLine {
            syntax,
            process: std::process::id(),
            time: UniversalTime::default(),
        }))
    }

    /// A pattern of gunicorn's atoms, such as `%(h)s "%(r)s" %(s)s %(D)s`, in local time.
    pub fn atoms(pattern: &str) -> Result<Self, PatternError> {
        AtomLine::compile(pattern, TimeZone::system(), std::process::id(), |name| {
            // gunicorn compares the names in lower case.
            std::env::vars_os()
                .find(|(variable, _)| variable.eq_ignore_ascii_case(name))
                .map(|(_, value)| std::os::unix::ffi::OsStringExt::into_vec(value))
        })
        .map(|line| Self(Kind::Atoms(line)))
    }

    /// The format of that name (`text`, which is uvicorn's, `json`, `logfmt`), or the pattern.
    pub fn named(name: &str, colours: Colours) -> Result<Self, PatternError> {
        match name {
            "text" => Ok(Self::uvicorn(colours)),
            "json" => Ok(Self::json()),
            "logfmt" => Ok(Self::logfmt()),
            pattern => Self::atoms(pattern),
        }
    }

    /// Adds the line of a request, its end included.
    pub fn push_line(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &mut self.0 {
            Kind::Uvicorn(line) => line.push(record, out),
            Kind::Structured(line) => line.push(record, out),
            Kind::Atoms(line) => line.push(record, out),
        }
        out.push(b'\n');
    }

    /// The header fields of requests that lines hold, in lower case: what the embedder keeps until
    /// the response has ended.
    pub fn request_headers(&self) -> Vec<&[u8]> {
        match &self.0 {
            Kind::Uvicorn(_) => Vec::new(),
            Kind::Structured(_) => structured::WANTED.to_vec(),
            Kind::Atoms(line) => line.request_headers().collect(),
        }
    }

    /// The header fields of responses that lines hold, in lower case.
    pub fn response_headers(&self) -> Vec<&[u8]> {
        match &self.0 {
            Kind::Uvicorn(_) | Kind::Structured(_) => Vec::new(),
            Kind::Atoms(line) => line.response_headers().collect(),
        }
    }

    /// Whether lines hold the route, which may cost something to find out.
    pub fn wants_route(&self) -> bool {
        match &self.0 {
            Kind::Uvicorn(_) => false,
            Kind::Structured(_) => true,
            Kind::Atoms(line) => line.names(|atom| matches!(atom, Atom::Route)),
        }
    }

    /// Whether lines hold the identity of the request.
    pub fn wants_request_id(&self) -> bool {
        match &self.0 {
            Kind::Uvicorn(_) => false,
            Kind::Structured(_) => true,
            Kind::Atoms(line) => line.names(|atom| matches!(atom, Atom::RequestId)),
        }
    }

    /// How this log says that lines were lost.
    pub fn notice(&self) -> Notice {
        Notice(match &self.0 {
            Kind::Uvicorn(line) => NoticeKind::Uvicorn(line.colours),
            Kind::Structured(line) => NoticeKind::Structured(line.syntax),
            Kind::Atoms(_) => NoticeKind::Comment,
        })
    }

    /// The process is another one now.
    pub(super) fn forked(&mut self) {
        match &mut self.0 {
            Kind::Uvicorn(_) => {}
            Kind::Structured(line) => line.process = std::process::id(),
            Kind::Atoms(line) => line.process = std::process::id(),
        }
    }
}

/// The line that says how many lines were lost, in the style of the log it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Notice(NoticeKind);

#[derive(Clone, Copy, Debug)]
enum NoticeKind {
    Uvicorn(Colours),
    Structured(Syntax),
    Comment,
}

impl Notice {
    pub(super) fn push(self, lost: u64, out: &mut Vec<u8>) {
        let message = format!(
            "{lost} {} of the access log {} lost: written too slowly, or not at all",
            if lost == 1 { "line" } else { "lines" },
            if lost == 1 { "was" } else { "were" }
        );
        match self.0 {
            NoticeKind::Uvicorn(colours) => {
                out.extend_from_slice(UvicornLine::warning(colours));
                out.extend_from_slice(message.as_bytes());
            }
            NoticeKind::Structured(syntax) => structured::push_notice(syntax, lost, &message, out),
            NoticeKind::Comment => {
                out.extend_from_slice(b"# ");
                out.extend_from_slice(message.as_bytes());
            }
        }
        out.push(b'\n');
    }
}
