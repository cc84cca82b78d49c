//! Lists in header fields (RFC 9110 section 5.6.1): tokens, and extensions with parameters.
//!
//! A field may be there several times; its values then make one list. Empty elements are skipped.

/// One element of `Sec-WebSocket-Extensions` (RFC 6455 section 9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ws) struct Extension {
    pub(in crate::ws) name: String,
    /// In order; a parameter need not have a value.
    pub(in crate::ws) parameters: Vec<(String, Option<String>)>,
}

/// Whether the list in `value` contains `token`, in any case.
pub(super) fn contains(value: &[u8], token: &[u8]) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// The subprotocols in the `values` of `Sec-WebSocket-Protocol`; `None` if there is a byte in
/// them that cannot be in a header field of text.
///
/// The RFC wants tokens. Servers have never checked it, and there are clients that send base64
/// with `/` and `=` for lack of another field.
pub(super) fn subprotocols(values: &[&[u8]]) -> Option<Vec<String>> {
    values.iter().flat_map(|value| elements(value)).map(visible).collect()
}

/// The extensions in the `values` of `Sec-WebSocket-Extensions`; `None` if they are malformed.
pub(super) fn extensions(values: &[&[u8]]) -> Option<Vec<Extension>> {
    let mut extensions = vec![];
    for value in values {
        let mut rest = Rest(value);
        loop {
            while rest.skip(b',') {}
            if rest.0.is_empty() {
                break;
            }
            extensions.push(rest.extension()?);
            if !rest.0.is_empty() && !rest.skip(b',') {
                return None;
            }
        }
    }
    Some(extensions)
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

fn visible(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What is left of a field's value.
struct Rest<'value>(&'value [u8]);

impl Rest<'_> {
    fn extension(&mut self) -> Option<Extension> {
        let name = self.token()?;
        let mut parameters = vec![];
        while self.skip(b';') {
            let name = self.token()?;
            let value = if self.skip(b'=') { Some(self.value()?) } else { None };
            parameters.push((name, value));
        }
        Some(Extension { name, parameters })
    }

    /// White space, and `byte` if it is next.
    fn skip(&mut self, byte: u8) -> bool {
        self.0 = self.0.trim_ascii_start();
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = self.0[1..].trim_ascii_start();
        }
        found
    }

    fn token(&mut self) -> Option<String> {
        let end = self.0.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest.trim_ascii_start();
        if token.is_empty() { None } else { visible(token) }
    }

    /// A token, or one in quotes.
    fn value(&mut self) -> Option<String> {
        let Some(b'"') = self.0.first() else { return self.token() };
        let mut value = vec![];
        let mut bytes = self.0[1..].iter();
        loop {
            match bytes.next()? {
                b'"' => break,
                b'\\' => value.push(*bytes.next()?),
                &byte => value.push(byte),
            }
        }
        self.0 = bytes.as_slice().trim_ascii_start();
        let is_token = !value.is_empty() && value.iter().copied().all(is_token_byte);
        if is_token { visible(&value) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_any_case_and_place() {
        for (value, found) in [
            (&b"Upgrade"[..], true),
            (b"keep-alive, upGRADE", true),
            (b" ,,upgrade ,close", true),
            (b"upgraded", false),
            (b"h2c upgrade", false),
            (b"", false),
        ] {
            assert_eq!(contains(value, b"upgrade"), found, "{:?}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn subprotocols_of_several_fields_are_one_list() {
        let values: [&[u8]; 3] = [b"chat, superchat", b"", b" v1.soap ,, token/a+b=="];
        let expected = ["chat", "superchat", "v1.soap", "token/a+b=="];
        assert_eq!(subprotocols(&values), Some(expected.map(String::from).to_vec()));
        assert_eq!(subprotocols(&[]), Some(vec![]));
        assert_eq!(subprotocols(&[b"a b"]), None);
        assert_eq!(subprotocols(&[b"caf\xc3\xa9"]), None);
        assert_eq!(subprotocols(&[b"\xff"]), None);
    }

    fn extension(name: &str, parameters: &[(&str, Option<&str>)]) -> Extension {
        let parameters =
            parameters.iter().map(|&(name, value)| (name.into(), value.map(String::from)));
        Extension { name: name.into(), parameters: parameters.collect() }
    }

    #[test]
    fn extensions_with_their_parameters() {
        for (values, expected) in [
            (vec![], vec![]),
            (vec!["", " , "], vec![]),
            (vec!["foo"], vec![extension("foo", &[])]),
            (vec![",foo , bar,"], vec![extension("foo", &[]), extension("bar", &[])]),
            (vec!["foo", "bar"], vec![extension("foo", &[]), extension("bar", &[])]),
            (
                vec!["foo;a ; b=1;c = \"x\";a=2, foo"],
                vec![
                    extension(
                        "foo",
                        &[("a", None), ("b", Some("1")), ("c", Some("x")), ("a", Some("2"))],
                    ),
                    extension("foo", &[]),
                ],
            ),
            (vec!["foo; a=\"\\1\\0\""], vec![extension("foo", &[("a", Some("10"))])]),
        ] {
            let bytes: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(extensions(&bytes), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn malformed_extensions() {
        for value in [
            "foo bar",
            "foo;",
            "foo;;a",
            "foo; a=",
            "foo; =1",
            ";a",
            "foo; a=1 2",
            "foo; a=\"",
            "=",
            "foo; a=\"\"",
            "foo; a=\"x y\"",
            "foo; a=\"x",
            "foo; a=\"x\\",
            "f(o)o",
            "foo; a=\"x\"y",
            "caf\u{e9}",
        ] {
            assert_eq!(extensions(&[value.as_bytes()]), None, "{value}");
        }
    }
}
