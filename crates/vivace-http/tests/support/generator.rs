//! Makes connections out of random choices: mostly valid requests, one after the other, some of
//! them damaged in ways that matter to a parser.

use crate::arbitrary::{Result, Unstructured};

const METHODS: [&str; 9] =
    ["GET", "GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "M-SEARCH", "G T"];

const TARGETS: [&str; 18] = [
    "/",
    "/",
    "/a%20b?c=d",
    "/?",
    "//a?b?c",
    "*",
    "a:80",
    "a",
    ":80",
    "http://b",
    "http://b:80/c?d",
    "HTTPS://[::1]/",
    "http://u@b/",
    "http:///",
    "/a#b",
    "/\u{e9}",
    "/a\tb",
    "",
];

const VERSIONS: [&str; 10] = [
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "HTTP/1.2",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/11",
];

const HOSTS: [&str; 8] = [
    "Host: a\r\n",
    "Host: a\r\n",
    "host:a:80\r\n",
    "HOST: [::1]:1 \r\n",
    "",
    "Host: a b\r\n",
    "Host: a/b\r\n",
    "Host: %41\r\n",
];

const HEADERS: [&str; 30] = [
    "X: y\r\n",
    "X-Empty:\r\n",
    "Accept: */*\r\n",
    "X-Spaces: \t a b \t\r\n",
    "X: \u{e9}\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Upgrade: h2c\r\n",
    "TE: trailers\r\n",
    "Expect: 100-continue\r\n",
    "Content-Length: 1\r\n",
    "Content-Length: +1\r\n",
    "Content-Length: 1, 1\r\n",
    "Content-Length: 9223372036854775808\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\n",
    "Host: b\r\n",
    "X : y\r\n",
    " X: y\r\n",
    "\tX: y\r\n",
    "X\r\n",
    ": y\r\n",
    "X: y\n",
    "X: y\rz\r\n",
    "X: \0\r\n",
    "\r\n",
];

const CHUNK_SIZES: [&str; 10] =
    ["0", "1", "a", "10", "000", "0x1", "-1", "ffffffffffffffff", "00000000000000001", ""];

const EXTENSIONS: [&str; 8] = ["", "", "", "", ";a=b", ";a=\"\n\"", " ", ";\0"];

/// The bytes of a connection.
pub(crate) fn connection(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for _ in 0..choices.int_in_range(1..=4)? {
        if rarely(choices)? {
            bytes.extend_from_slice("\r\n".repeat(choices.int_in_range(0..=9)?).as_bytes());
        }
        request(choices, &mut bytes)?;
    }
    if rarely(choices)? {
        damage(choices, &mut bytes)?;
    }
    if rarely(choices)? {
        bytes.truncate(choices.choose_index(bytes.len() + 1)?);
    }
    Ok(bytes)
}

/// Where to cut `length` bytes into pieces.
pub(crate) fn cuts(choices: &mut Unstructured<'_>, length: usize) -> Result<Vec<usize>> {
    let mut cuts = Vec::new();
    for _ in 0..choices.int_in_range(0..=8)? {
        cuts.push(choices.choose_index(length + 1)?);
    }
    cuts.sort_unstable();
    Ok(cuts)
}

/// Never, when there are no choices left.
fn rarely(choices: &mut Unstructured<'_>) -> Result<bool> {
    Ok(!choices.ratio(15, 16)?)
}

/// One of the first few of `words`, which are good, or rarely any of them.
fn word<'w>(choices: &mut Unstructured<'_>, words: &[&'w str], good: usize) -> Result<&'w str> {
    let among = if rarely(choices)? { words } else { &words[..good] };
    choices.choose(among).copied()
}

fn request(choices: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    let mut text = format!(
        "{} {} {}\r\n",
        word(choices, &METHODS, 4)?,
        word(choices, &TARGETS, 5)?,
        word(choices, &VERSIONS, 5)?
    );
    text += word(choices, &HOSTS, 4)?;
    for _ in 0..choices.int_in_range(0..=4)? {
        text += word(choices, &HEADERS, 12)?;
    }
    let length: usize = choices.int_in_range(0..=20)?;
    match choices.int_in_range(0..=3)? {
        0 => text += "\r\n",
        1 => {
            let digits = if rarely(choices)? { "00" } else { "" };
            text += &format!("Content-Length: {digits}{length}\r\n\r\n{}", "x".repeat(length));
        }
        _ => {
            text += "Transfer-Encoding: chunked\r\n\r\n";
            chunks(choices, &mut text)?;
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    Ok(())
}

fn chunks(choices: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    for _ in 0..choices.int_in_range(0..=3)? {
        let length: usize = choices.int_in_range(1..=20)?;
        let size = match rarely(choices)? {
            true => (*choices.choose(&CHUNK_SIZES)?).to_owned(),
            false => format!("{length:x}"),
        };
        let extension = word(choices, &EXTENSIONS, 5)?;
        *text += &format!("{size}{extension}\r\n{}\r\n", "y".repeat(length));
    }
    *text += "0\r\n";
    for _ in 0..choices.int_in_range(0..=2)? {
        *text += word(choices, &HEADERS, 8)?;
    }
    *text += "\r\n";
    Ok(())
}

/// Changes some bytes to such as a parser has to mind.
fn damage(choices: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    const BYTES: &[u8] = b"\r\n\t \0\x7f\xff:;,/?#=0aZ%[]@";
    for _ in 0..choices.int_in_range(1..=3)? {
        let place = choices.choose_index(bytes.len().max(1))?;
        let byte = *choices.choose(BYTES)?;
        match choices.int_in_range(0..=2)? {
            0 if place < bytes.len() => bytes[place] = byte,
            1 if place < bytes.len() => _ = bytes.remove(place),
            _ => bytes.insert(place.min(bytes.len()), byte),
        }
    }
    Ok(())
}
