//! The lines of the access log, format by format, for plain and for hostile requests.
//!
//! What is expected of uvicorn's and gunicorn's formats was printed by uvicorn 0.54 and
//! gunicorn 27.0 for the same requests.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime};
use vivace_http::access_log::{Client, Colours, Format, Phrases, Record};

const CLIENT: Client<'_> = Client { host: b"127.0.0.1", port: 60084 };

fn plain() -> Record<'static> {
    Record {
        client: Some(CLIENT),
        scheme: "http",
        method: b"GET",
        path: b"/",
        raw_path: b"/",
        query: b"",
        http_version: "1.1",
        status: 200,
        response_bytes: 13,
        started: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_264_953_000_500),
        duration: Duration::from_micros(1_234_567),
        request_id: None,
        route: None,
        request_headers: &(),
        response_headers: &(),
    }
}

fn line(format: &mut Format, record: &Record<'_>) -> String {
    let mut out = b"before\n".to_vec();
    format.push_line(record, &mut out);
    let text = String::from_utf8(out).expect("lines are UTF-8");
    let line = text.strip_prefix("before\n").and_then(|rest| rest.strip_suffix('\n'));
    line.expect("a line is added behind what is there, and ends").to_owned()
}

#[test]
fn uvicorn_prints_these() {
    let proxied = Client { host: b"h", port: 0 };
    let rows = [
        (
            plain(),
            r#"INFO:     127.0.0.1:60084 - "GET / HTTP/1.1" 200 OK"#,
            "\x1b[32mINFO\x1b[0m:     127.0.0.1:60084 - \"\x1b[1mGET / HTTP/1.1\x1b[0m\" \
             \x1b[32m200 OK\x1b[0m",
        ),
        (
            Record {
                client: Some(Client { host: b"::1", port: 5 }),
                method: b"POST",
                path: "/caf\u{e9}/a b".as_bytes(),
                raw_path: b"/caf%C3%A9/a%20b",
                query: b"x=1&y=%20",
                http_version: "1.0",
                status: 413,
                ..plain()
            },
            r#"INFO:     ::1:5 - "POST /caf%C3%A9/a%20b?x=1&y=%20 HTTP/1.0" 413 Content Too Large"#,
            "\x1b[32mINFO\x1b[0m:     ::1:5 - \"\x1b[1mPOST /caf%C3%A9/a%20b?x=1&y=%20 \
             HTTP/1.0\x1b[0m\" \x1b[31m413 Content Too Large\x1b[0m",
        ),
        (
            Record { client: None, http_version: "2", status: 599, ..plain() },
            r#"INFO:      - "GET / HTTP/2" 599 "#,
            "\x1b[32mINFO\x1b[0m:      - \"\x1b[1mGET / HTTP/2\x1b[0m\" \x1b[91m599 \x1b[0m",
        ),
        (
            Record { client: Some(proxied), status: 101, ..plain() },
            r#"INFO:     h:0 - "GET / HTTP/1.1" 101 Switching Protocols"#,
            "\x1b[32mINFO\x1b[0m:     h:0 - \"\x1b[1mGET / HTTP/1.1\x1b[0m\" \
             \x1b[97m101 Switching Protocols\x1b[0m",
        ),
        (
            Record { client: Some(proxied), status: 307, ..plain() },
            r#"INFO:     h:0 - "GET / HTTP/1.1" 307 Temporary Redirect"#,
            "\x1b[32mINFO\x1b[0m:     h:0 - \"\x1b[1mGET / HTTP/1.1\x1b[0m\" \
             \x1b[33m307 Temporary Redirect\x1b[0m",
        ),
        (
            Record { client: Some(proxied), status: 700, ..plain() },
            r#"INFO:     h:0 - "GET / HTTP/1.1" 700 "#,
            "\x1b[32mINFO\x1b[0m:     h:0 - \"\x1b[1mGET / HTTP/1.1\x1b[0m\" 700 ",
        ),
    ];
    for (record, without, with) in rows {
        assert_eq!(line(&mut Format::uvicorn(Colours::Off), &record), without);
        assert_eq!(line(&mut Format::uvicorn(Colours::On), &record), with);
    }
}

#[test]
fn phrases_can_be_those_of_an_older_python() {
    let mut phrases = Phrases::default();
    phrases.set(413, "Request Entity Too Large");
    let mut format = Format::uvicorn_with_phrases(Colours::Off, phrases);
    let text = line(&mut format, &Record { status: 413, ..plain() });
    assert!(text.ends_with("413 Request Entity Too Large"), "{text}");
}

#[test]
fn gunicorn_prints_these() {
    let request: &[(&[u8], &[u8])] = &[
        (b"Host", b"h"),
        (b"X-Forwarded-For", b"1.2.3.4"),
        (b"x-forwarded-for", b"5.6.7.8"),
        (b"referer", b"http://a/\"b\""),
        (b"authorization", b"Basic YW5uOnNlY3JldA=="),
    ];
    let response: &[(&str, &str)] = &[("content-type", "text/plain"), ("x-a", "1")];
    let record = Record {
        client: Some(Client { host: b"10.0.0.1", port: 1 }),
        path: "/caf\u{e9}".as_bytes(),
        raw_path: b"/caf%C3%A9",
        query: b"x=1",
        request_headers: &request,
        response_headers: &response,
        ..plain()
    };
    let mut format = Format::atoms(
        "%(h)s %(l)s %(u)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\" %(D)s %(L)s %(M)s %(T)s \
         %(m)s %(U)s %(q)s %(H)s %(B)s %({X-Forwarded-For}i)s %({content-type}o)s %({nope}o)s 100%%",
    )
    .expect("a pattern of gunicorn");
    for (microseconds, times) in [
        (1_234_567, "1234567 1.234567 1234 1"),
        (999, "999 0.000999 0 0"),
        (60_000_000, "60000000 60.000000 60000 60"),
    ] {
        let record = Record { duration: Duration::from_micros(microseconds), ..record };
        assert_eq!(
            line(&mut format, &record),
            format!(
                "10.0.0.1 - ann \"GET /caf%C3%A9?x=1 HTTP/1.1\" 200 13 \"http://a/\\\"b\\\"\" \"-\" \
                 {times} GET /caf\u{e9} x=1 HTTP/1.1 13 5.6.7.8 text/plain - 100%"
            )
        );
    }
    let mut process = Format::atoms("%(p)s").expect("a pattern");
    assert_eq!(line(&mut process, &record), format!("<{}>", std::process::id()));
    let mut time = Format::atoms("%(t)s").expect("a pattern");
    let time = line(&mut time, &record);
    assert!(time.starts_with('[') && time.ends_with(']') && time.len() == 28, "{time}");
}

#[test]
fn a_user_is_only_named_by_a_proper_header() {
    let mut format = Format::atoms("%(u)s").expect("a pattern");
    for (value, user) in [
        ("Basic YW5uOnNlY3JldA==", "ann"),
        ("basic YTpiOmM=", "a"),
        ("Basic OnNlY3JldA==", "-"),
        ("Basic YW5u", "-"),
        ("Basic ???", "-"),
        ("Bearer YW5uOnNlY3JldA==", "-"),
        ("Basic", "-"),
        ("Basic YQpiOmM=", r"a\x0ab"),
    ] {
        let headers: &[(&str, &str)] = &[("authorization", value)];
        let record = Record { request_headers: &headers, ..plain() };
        assert_eq!(line(&mut format, &record), user, "{value}");
    }
}

#[test]
fn atoms_beyond_those_of_gunicorn() {
    let mut format = Format::atoms(
        "%(client_addr)s - \"%(request_line)s\" %(status_code)s %(route)s %(request_id)s %(scheme)s",
    )
    .expect("a pattern");
    assert_eq!(
        line(&mut format, &plain()),
        r#"127.0.0.1:60084 - "GET / HTTP/1.1" 200 OK - - http"#
    );
    let record = Record { route: Some(b"/{id}"), request_id: Some(b"a\"b"), ..plain() };
    assert_eq!(
        line(&mut format, &record),
        r#"127.0.0.1:60084 - "GET / HTTP/1.1" 200 OK /{id} a\"b http"#
    );
}

#[test]
fn json_and_logfmt_say_the_same() {
    let headers: &[(&str, &str)] = &[("user-agent", "curl/8 (x=y)"), ("referer", "http://a/")];
    let record = Record {
        query: b"a=1",
        route: Some(b"/items/{id}"),
        request_id: Some(b"r-1"),
        request_headers: &headers,
        ..plain()
    };
    let pid = std::process::id();
    assert_eq!(
        line(&mut Format::json(), &record),
        format!(
            "{{\"time\":\"2026-11-21T12:42:33.000500Z\",\"level\":\"info\",\"client\":\"127.0.0.1\",\
             \"port\":60084,\"scheme\":\"http\",\"http_version\":\"1.1\",\"method\":\"GET\",\
             \"path\":\"/\",\"query\":\"a=1\",\"route\":\"/items/{{id}}\",\"status\":200,\
             \"bytes\":13,\"duration_ms\":1234.567,\"request_id\":\"r-1\",\
             \"user_agent\":\"curl/8 (x=y)\",\"referer\":\"http://a/\",\"pid\":{pid}}}"
        )
    );
    assert_eq!(
        line(&mut Format::logfmt(), &record),
        format!(
            "time=2026-11-21T12:42:33.000500Z level=info client=127.0.0.1 port=60084 scheme=http \
             http_version=1.1 method=GET path=/ query=\"a=1\" route=/items/{{id}} status=200 \
             bytes=13 duration_ms=1234.567 request_id=r-1 user_agent=\"curl/8 (x=y)\" \
             referer=http://a/ pid={pid}"
        )
    );
    let record = Record { client: None, duration: Duration::from_nanos(7_999), ..plain() };
    assert_eq!(
        line(&mut Format::logfmt(), &record),
        format!(
            "time=2026-11-21T12:42:33.000500Z level=info scheme=http http_version=1.1 method=GET \
             path=/ status=200 bytes=13 duration_ms=0.007 pid={pid}"
        )
    );
}

/// A client tries to end the line, to forge another, to colour it, to reverse it, to end the
/// quotes, and to send what is no text.
#[test]
fn hostile_bytes_stay_in_their_place() {
    let attack: &[u8] = b"x\r\n\"\\\x1b[2J\x00\x7f\xc2\x9b\xe2\x80\xae\xff\" 200 OK\nINFO: forged";
    let headers: &[(&str, &[u8])] =
        &[("user-agent", attack), ("referer", attack), ("x-any", attack)];
    let record = Record {
        client: Some(Client { host: attack, port: 0 }),
        method: attack,
        path: attack,
        raw_path: attack,
        query: attack,
        request_id: Some(attack),
        route: Some(attack),
        request_headers: &headers,
        response_headers: &headers,
        ..plain()
    };
    let text = r#"x\x0d\x0a\"\\\x1b[2J\x00\x7f\xc2\x9b\xe2\x80\xae\xff\" 200 OK\x0aINFO: forged"#;
    let path = "x%0D%0A%22%5C%1B%5B2J%00%7F%C2%9B%E2%80%AE%FF%22%20200%20OK%0AINFO%3A%20forged";
    let query = r"x%0D%0A%22\%1B[2J%00%7F%C2%9B%E2%80%AE%FF%22%20200%20OK%0AINFO:%20forged";
    assert_eq!(
        line(&mut Format::uvicorn(Colours::Off), &record),
        format!("INFO:     {text}:0 - \"{text} {path}?{query} HTTP/1.1\" 200 OK")
    );
    let mut atoms =
        Format::atoms("%(h)s \"%(r)s\" \"%(f)s\" \"%(a)s\" %({x-any}i)s %({x-any}o)s %(U)s %(q)s")
            .expect("a pattern");
    assert_eq!(
        line(&mut atoms, &record),
        format!(
            "{text} \"{text} {text}?{text} HTTP/1.1\" \"{text}\" \"{text}\" {text} {text} {text} \
             {text}"
        )
    );
    let json = line(&mut Format::json(), &record);
    let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let expected = "x\r\n\"\\\x1b[2J\0\x7f\u{9b}\u{202e}\\xff\" 200 OK\nINFO: forged";
    for key in ["client", "method", "path", "query", "route", "request_id", "user_agent"] {
        assert_eq!(read[key], expected, "{key}");
    }
    let quoted = &json[json.find("\"method\":").expect("a field") + 9..];
    let quoted = &quoted[..quoted.find(",\"path\"").expect("the next field")];
    let logfmt = line(&mut Format::logfmt(), &record);
    assert!(logfmt.contains(&format!(" method={quoted} path={quoted} ")), "{logfmt}");
    for line in [&json, &logfmt] {
        assert!(!line.chars().any(|each| each.is_control() || each == '\u{202e}'), "{line}");
    }
}

#[test]
fn formats_go_by_name() {
    for (name, part) in [
        ("text", "INFO:     127.0.0.1"),
        ("json", "{\"time\""),
        ("logfmt", "time="),
        ("%(h)s", "127.0.0.1"),
    ] {
        let mut format = Format::named(name, Colours::Off).expect("a format");
        assert!(line(&mut format, &plain()).starts_with(part), "{name}");
    }
    let error = Format::named("apache", Colours::Off).err().expect("not a format");
    assert_eq!(
        error.to_string(),
        "access log format, byte 0: neither text, json, logfmt nor a pattern with atoms, such \
         as %(h)s"
    );
}

#[test]
fn the_embedder_learns_which_fields_to_keep() {
    assert!(Format::uvicorn(Colours::Off).request_headers().is_empty());
    assert_eq!(Format::json().request_headers(), [&b"user-agent"[..], b"referer"]);
    let atoms = Format::atoms("%(a)s %({ETag}o)s").expect("a pattern");
    assert_eq!(atoms.request_headers(), [b"user-agent"]);
    assert_eq!(atoms.response_headers(), [b"etag"]);
    for (name, route, request_id) in [
        ("text", false, false),
        ("json", true, true),
        ("logfmt", true, true),
        ("%(h)s", false, false),
        ("%(route)s", true, false),
        ("%(request_id)s", false, true),
    ] {
        let format = Format::named(name, Colours::Off).expect("a format");
        assert_eq!((format.wants_route(), format.wants_request_id()), (route, request_id));
    }
}
