//! A plain and slow reading of a connection whose bytes are all there, by the text of RFC 9112 and
//! the limits; `RequestReader` must come to the same.
//!
//! Nothing of the crate is used but the limits and the list of what must not be a trailer. Where a request is wrong in several ways, any of
//! the statuses will do.

use vivace_http::field::is_forbidden_trailer;
use vivace_http::h1::request::Limits;

use super::Request;

/// What a connection is to be read as.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) requests: Vec<Request>,
    /// The statuses with which the rest may be refused; none: it is not.
    pub(crate) refused: Vec<u16>,
}

enum Outcome<T> {
    Complete(T),
    /// More bytes would be needed to tell.
    Partial,
    Refused(Vec<u16>),
}

pub(crate) fn read(input: &[u8], limits: Limits) -> Expected {
    let mut expected = Expected { requests: Vec::new(), refused: Vec::new() };
    let mut rest = input;
    loop {
        let mut empty_lines = 0;
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            empty_lines += 1;
            rest = after;
        }
        if empty_lines > 8 {
            expected.refused = vec![400];
            return expected;
        }
        if rest.is_empty() {
            return expected;
        }
        let head = match section(rest, limits.head_bytes) {
            _ if !is_tchar(rest[0]) && rest[0] != b'\r' => Outcome::Refused(vec![400]),
            Outcome::Complete(length) => {
                let (lines, after) = rest.split_at(length);
                rest = after;
                head(lines, limits)
            }
            Outcome::Partial => Outcome::Partial,
            Outcome::Refused(statuses) => Outcome::Refused(statuses),
        };
        let mut request = match head {
            Outcome::Complete(request) => request,
            Outcome::Partial => return expected,
            Outcome::Refused(statuses) => {
                expected.refused = statuses;
                return expected;
            }
        };
        let content = content(&mut request, &mut rest, limits);
        expected.requests.push(request);
        match content {
            Outcome::Complete(()) => {}
            Outcome::Partial => return expected,
            Outcome::Refused(statuses) => {
                expected.refused = statuses;
                return expected;
            }
        }
    }
}

/// The length of the lines up to the first empty one, that included.
fn section(input: &[u8], limit: usize) -> Outcome<usize> {
    let mut line_start = 0;
    for (index, byte) in input.iter().enumerate() {
        if index >= limit {
            return Outcome::Refused(if line_start == 0 { vec![414, 431] } else { vec![431] });
        }
        if *byte != b'\n' {
            continue;
        }
        if index == 0 || input[index - 1] != b'\r' {
            return Outcome::Refused(vec![400]);
        }
        if index - line_start == 1 {
            return Outcome::Complete(index + 1);
        }
        line_start = index + 1;
    }
    Outcome::Partial
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_tchar(byte))
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// `name` and `value` of each line, if all are field lines.
fn fields(lines: &[&[u8]]) -> Option<Vec<(String, String)>> {
    lines
        .iter()
        .map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            let visible = value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
            (is_token(name) && visible).then(|| (latin1(name), trim(&latin1(value)).to_owned()))
        })
        .collect()
}

/// The lines of a section without their ends, and without the empty one.
fn lines(section: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = section;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    assert_eq!(lines.pop(), Some(&b""[..]), "a section ends in an empty line");
    lines
}

/// The members of all fields of that name, split at commas, in lower case.
fn members(fields: &[(String, String)], name: &str) -> Vec<String> {
    values(fields, name)
        .iter()
        .flat_map(|value| value.split(','))
        .map(|member| trim(member).to_ascii_lowercase())
        .collect()
}

fn values<'f>(fields: &'f [(String, String)], name: &str) -> Vec<&'f str> {
    let wanted = fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
    wanted.map(|field| field.1.as_str()).collect()
}

fn head(section: &[u8], limits: Limits) -> Outcome<Request> {
    let lines = lines(section);
    let words: Vec<String> = lines[0].split(|&byte| byte == b' ').map(latin1).collect();
    let mut refused = Vec::new();
    let [method, target, version] = &words[..] else {
        return Outcome::Refused(vec![400, 431]);
    };
    let is_version = |text: &str| match text.as_bytes() {
        [major, b'.', minor] => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    };
    match version.strip_prefix("HTTP/") {
        Some("1.0" | "1.1") => {}
        Some(other) if is_version(other) => refused.push(505),
        _ => refused.push(400),
    }
    if lines.len() - 1 > limits.headers {
        refused.push(431);
    }
    if target.len() > limits.target_bytes {
        refused.push(414);
    }
    let Some((path, query, authority)) = split_target(method, target) else {
        refused.push(400);
        return Outcome::Refused(refused);
    };
    let Some(fields) = fields(&lines[1..]) else {
        refused.push(400);
        return Outcome::Refused(refused);
    };
    if !is_token(method.as_bytes()) {
        refused.push(400);
    }
    let http11 = version == "HTTP/1.1";
    let hosts = values(&fields, "host");
    if hosts.len() > 1 || (http11 && hosts.is_empty()) || !hosts.iter().all(|host| is_host(host)) {
        refused.push(400);
    }
    let framing = match framing(&fields, http11) {
        Ok(framing) => framing,
        Err(statuses) => {
            refused.extend(statuses);
            return Outcome::Refused(refused);
        }
    };
    if !refused.is_empty() {
        return Outcome::Refused(refused);
    }
    let marks = marks(method, http11, &framing, &fields, authority.as_deref());
    let headers = fields.iter().map(|(name, value)| match &authority {
        Some(host) if name.eq_ignore_ascii_case("host") => format!("{name}: {host}"),
        _ => format!("{name}: {value}"),
    });
    Outcome::Complete(Request {
        method: method.clone(),
        target: target.clone(),
        path,
        query,
        headers: headers.collect(),
        marks,
        ..Request::default()
    })
}

fn marks(
    method: &str,
    http11: bool,
    framing: &str,
    fields: &[(String, String)],
    authority: Option<&str>,
) -> Vec<String> {
    let has = |name: &str, member: &str| members(fields, name).iter().any(|other| other == member);
    let content = !matches!(framing, "None" | "Length(0)");
    let upgrade = http11 && has("connection", "upgrade") && !values(fields, "upgrade").is_empty();
    let websocket = upgrade && has("upgrade", "websocket") && method == "GET" && !content;
    let mut marks = vec![framing.to_owned()];
    for (mark, holds) in [
        ("HTTP/1.1", http11),
        ("keep-alive", !has("connection", "close") && (http11 || has("connection", "keep-alive"))),
        ("expects-continue", http11 && content && has("expect", "100-continue")),
        ("upgrade", upgrade),
        ("websocket", websocket),
        ("trailers-wanted", http11 && has("te", "trailers")),
    ] {
        if holds {
            marks.push(mark.to_owned());
        }
    }
    marks.extend(authority.map(|authority| format!("authority {authority}")));
    marks
}

/// Path, query, and the host of the target itself.
fn split_target(method: &str, target: &str) -> Option<(String, String, Option<String>)> {
    if !target.chars().all(|c| c.is_ascii_graphic() && c != '#') {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':')?;
        let fine = is_host(target) && !host.is_empty() && !port.is_empty();
        return fine.then(|| (String::new(), String::new(), Some(target.to_owned())));
    }
    let lower = target.to_ascii_lowercase();
    let (authority, rest) = if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        (None, target)
    } else {
        let scheme = ["http://", "https://"].into_iter().find(|s| lower.starts_with(s))?;
        let rest = &target[scheme.len()..];
        let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.is_empty() || host.starts_with(':') || !is_host(host) {
            return None;
        }
        (Some(host.to_owned()), rest)
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    Some((path.to_owned(), query.to_owned(), authority))
}

fn is_host(text: &str) -> bool {
    let end_of_host = match text.find(']') {
        Some(bracket) if text.starts_with('[') => bracket + 1,
        _ => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end_of_host);
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !digits.chars().all(|c| c.is_ascii_digit()) || digits.len() > 5 {
        return false;
    }
    if !port.is_empty() && !port.starts_with(':') {
        return false;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c);
    if let Some(literal) = host.strip_prefix('[') {
        let Some(literal) = literal.strip_suffix(']') else {
            return false;
        };
        let future = literal.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
        return literal.parse::<std::net::Ipv6Addr>().is_ok()
            || future.is_some_and(|(version, address)| {
                !version.is_empty()
                    && version.chars().all(|c| c.is_ascii_hexdigit())
                    && !address.is_empty()
                    && address.chars().all(|c| c == ':' || plain(c))
            });
    }
    let parts: Vec<&str> = host.split('%').collect();
    parts[0].chars().all(plain)
        && parts[1..].iter().all(|part| {
            part.len() >= 2
                && part.is_char_boundary(2)
                && part[..2].chars().all(|c| c.is_ascii_hexdigit())
                && part[2..].chars().all(plain)
        })
}

/// As the reader prints it, or the statuses to refuse it with.
fn framing(fields: &[(String, String)], http11: bool) -> Result<String, Vec<u16>> {
    let lengths = values(fields, "content-length");
    let has_coding = !values(fields, "transfer-encoding").is_empty();
    let codings = members(fields, "transfer-encoding");
    if has_coding {
        let known = codings == ["chunked"];
        if known && lengths.is_empty() && http11 {
            return Ok("Chunked".to_owned());
        }
        return Err(vec![400, 501]);
    }
    match lengths[..] {
        [] => Ok("None".to_owned()),
        [digits] if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) => {
            let length: i64 = digits.parse().map_err(|_| vec![400])?;
            Ok(format!("Length({length})"))
        }
        _ => Err(vec![400]),
    }
}

fn content(request: &mut Request, rest: &mut &[u8], limits: Limits) -> Outcome<()> {
    let framing = request.marks[0].clone();
    let length = framing.strip_prefix("Length(").and_then(|text| text.strip_suffix(')'));
    if let Some(length) = length {
        let length: usize = length.parse().expect("digits");
        let there = length.min(rest.len());
        request.body = rest[..there].to_vec();
        *rest = &rest[there..];
        if there < length {
            return Outcome::Partial;
        }
    } else if framing == "Chunked" {
        match chunks(request, rest, limits) {
            Outcome::Complete(()) => {}
            other => return other,
        }
    }
    request.complete = true;
    Outcome::Complete(())
}

fn chunks(request: &mut Request, rest: &mut &[u8], limits: Limits) -> Outcome<()> {
    loop {
        let end = match chunk_line(rest) {
            Outcome::Complete(end) => end,
            Outcome::Partial => return Outcome::Partial,
            Outcome::Refused(statuses) => return Outcome::Refused(statuses),
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let text = latin1(&rest[..digits]);
        let size = u64::from_str_radix(&text, 16).expect("at most 16 hexadecimal digits");
        *rest = &rest[end..];
        if size == 0 {
            return trailers(request, rest, limits);
        }
        let there = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        request.body.extend_from_slice(&rest[..there]);
        *rest = &rest[there..];
        match rest {
            _ if (there as u64) < size => return Outcome::Partial,
            [] | [b'\r'] => return Outcome::Partial,
            [b'\r', b'\n', after @ ..] => *rest = after,
            _ => return Outcome::Refused(vec![400]),
        }
    }
}

/// The length of `size [;extension] CRLF`.
fn chunk_line(input: &[u8]) -> Outcome<usize> {
    let digits = input.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let value = u128::from_str_radix(&latin1(&input[..digits.min(20)]), 16).unwrap_or(0);
    if digits > 16 || value > i64::MAX as u128 {
        return Outcome::Refused(vec![400]);
    }
    let Some(after) = input.get(digits) else {
        return Outcome::Partial;
    };
    if digits == 0 {
        return Outcome::Refused(vec![400]);
    }
    let mut end = digits;
    if *after == b';' {
        end += 1;
        let extension = input[end..]
            .iter()
            .take_while(|&&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
            .count();
        if extension > 1024 {
            return Outcome::Refused(vec![400]);
        }
        end += extension;
    }
    match &input[end..] {
        [] | [b'\r'] => Outcome::Partial,
        [b'\r', b'\n', ..] => Outcome::Complete(end + 2),
        _ => Outcome::Refused(vec![400]),
    }
}

fn trailers(request: &mut Request, rest: &mut &[u8], limits: Limits) -> Outcome<()> {
    let length = match section(rest, limits.head_bytes) {
        Outcome::Complete(length) => length,
        Outcome::Partial => return Outcome::Partial,
        Outcome::Refused(statuses) if statuses.contains(&431) => {
            return Outcome::Refused(vec![431]);
        }
        Outcome::Refused(statuses) => return Outcome::Refused(statuses),
    };
    let lines = lines(&rest[..length]);
    *rest = &rest[length..];
    let too_many = lines.len() > limits.headers;
    let fields = fields(&lines);
    if too_many || fields.is_none() {
        return Outcome::Refused(match (too_many, fields) {
            (true, Some(_)) => vec![431],
            (false, None) => vec![400],
            _ => vec![400, 431],
        });
    }
    let kept = fields.unwrap_or_default().into_iter();
    let kept = kept.filter(|(name, _)| !is_forbidden_trailer(name.as_bytes()));
    if !lines.is_empty() {
        request.trailers = Some(kept.map(|(name, value)| format!("{name}: {value}")).collect());
    }
    Outcome::Complete(())
}
