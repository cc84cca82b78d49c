"""Requests that RFC 9112 and RFC 9110 want rejected: the right status, one answer, the end.

Each is sent whole, in every two parts and byte by byte. h11 gives a second opinion: what it
rejects we reject; where we are stricter the table says why.
"""

from __future__ import annotations

import pytest
from support import h11_opinion
from support.serving import unique
from support.splits import byte_by_byte, each_split

# What an attacker would like to be taken for a request of its own.
SMUGGLED = b"GET /hello HTTP/1.1\r\nHost: smuggled\r\n\r\n"

HOST = b"Host: a\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n"

NOT_LOOKED_AT = "h11 leaves it to the application"


class Case:
    """A request, what it is answered with, and why h11 thinks otherwise if it does."""

    def __init__(
        self, raw: bytes, *statuses: int, h11: str | None = None, rest: bytes = SMUGGLED
    ) -> None:
        self.raw = raw + rest
        self.statuses = statuses or (400,)
        self.h11 = h11


def request(headers: bytes, line: bytes = b"GET /echo HTTP/1.1", body: bytes = b"") -> bytes:
    return line + b"\r\n" + headers + b"\r\n" + body


def post(headers: bytes, body: bytes = b"") -> bytes:
    return request(headers, b"POST /echo HTTP/1.1", body)


def line(text: bytes) -> bytes:
    return request(HOST, text)


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body)


REQUEST_LINES = {
    "no method": Case(line(b" /echo HTTP/1.1")),
    "no target": Case(line(b"GET HTTP/1.1")),
    "empty target": Case(line(b"GET  HTTP/1.1")),
    "no version": Case(line(b"GET /echo"), 400, 505),
    "empty version": Case(line(b"GET /echo ")),
    "only a method": Case(line(b"GET")),
    "two spaces before the target": Case(line(b"GET  /echo HTTP/1.1")),
    "two spaces after the target": Case(line(b"GET /echo  HTTP/1.1")),
    "space at the end": Case(line(b"GET /echo HTTP/1.1 ")),
    "space at the start": Case(line(b" GET /echo HTTP/1.1")),
    "tab for a space": Case(line(b"GET\t/echo HTTP/1.1")),
    "tab before the version": Case(line(b"GET /echo\tHTTP/1.1")),
    "form feed for a space": Case(line(b"GET\x0c/echo HTTP/1.1")),
    "space in the target": Case(line(b"GET /ec ho HTTP/1.1")),
    "method with a separator": Case(line(b"G(T /echo HTTP/1.1")),
    "method with a colon": Case(line(b"GET: /echo HTTP/1.1")),
    "method with NUL": Case(line(b"G\0T /echo HTTP/1.1")),
    "method beyond ASCII": Case(line(b"G\xc9T /echo HTTP/1.1")),
    "quoted method": Case(line(b'"GET" /echo HTTP/1.1')),
    "target with NUL": Case(line(b"GET /ec\0ho HTTP/1.1")),
    "target with a control": Case(line(b"GET /ec\x01ho HTTP/1.1")),
    "target with DEL": Case(line(b"GET /ec\x7fho HTTP/1.1")),
    "target beyond ASCII": Case(line(b"GET /\xc3\xa9 HTTP/1.1")),
    "target with CR": Case(line(b"GET /ec\rho HTTP/1.1")),
    "target without a slash": Case(line(b"GET echo HTTP/1.1"), h11=NOT_LOOKED_AT),
    "host as the target": Case(line(b"GET example.com:80 HTTP/1.1"), h11=NOT_LOOKED_AT),
    "asterisk without OPTIONS": Case(line(b"GET * HTTP/1.1"), h11=NOT_LOOKED_AT),
    "version of another protocol": Case(line(b"GET /echo ICY/1.1"), 400, 505),
    "version in lower case": Case(line(b"GET /echo http/1.1"), 400, 505),
    "version without a minor": Case(line(b"GET /echo HTTP/1"), 400, 505),
    "version without a dot": Case(line(b"GET /echo HTTP/11"), 400, 505),
    "version with more digits": Case(line(b"GET /echo HTTP/1.10"), 400, 505),
    "version with a sign": Case(line(b"GET /echo HTTP/1.+1"), 400, 505),
    "version with a letter": Case(line(b"GET /echo HTTP/1.1x"), 400, 505),
    "version with a space": Case(line(b"GET /echo HTTP/ 1.1"), 400, 505),
    "version 0.9": Case(line(b"GET /echo HTTP/0.9"), 400, 505, h11="it serves any digit"),
    "version 2.0": Case(line(b"GET /echo HTTP/2.0"), 400, 505, h11="it serves any digit"),
    "version 3.1": Case(line(b"GET /echo HTTP/3.1"), 400, 505, h11="it serves any digit"),
    "bare CR for the line break": Case(b"GET /echo HTTP/1.1\rHost: a\r\n\r\n"),
    "CR CR LF": Case(b"GET /echo HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    "HTTP/0.9": Case(b"GET /echo\r\n", 400, 505),
    "TLS": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", rest=b"\r\n\r\n"),
    "bytes of chance": Case(bytes(range(128, 256)), rest=b"\r\n\r\n"),
    "SSH": Case(b"SSH-2.0-OpenSSH_9.9\r\n", 400, 505),
    "an answer": Case(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400, 505),
}

LF = "h11 takes LF for CRLF: RFC 9112, 2.2, allows it, and smuggling lives on it"

LINE_BREAKS = {
    "LF after the request line": Case(b"GET /echo HTTP/1.1\nHost: a\r\n\r\n", h11=LF),
    "LF after a header": Case(b"GET /echo HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", h11=LF),
    "LF for the empty line": Case(b"GET /echo HTTP/1.1\r\nHost: a\r\n\n", h11=LF),
    "LF everywhere": Case(b"GET /echo HTTP/1.1\nHost: a\n\n", h11=LF),
    "CR in a value": Case(request(HOST + b"X: a\rb\r\n")),
    "CR at the end of a value": Case(request(HOST + b"X: a\r\r\n")),
    "CR at the start of a line": Case(request(HOST + b"\rX: a\r\n")),
    "folded value": Case(request(HOST + b"X: a\r\n b\r\n"), h11="h11 unfolds it"),
    "value folded with a tab": Case(request(HOST + b"X: a\r\n\tb\r\n"), h11="h11 unfolds it"),
    "folded length": Case(
        post(HOST + b"Content-Length:\r\n 5\r\n", b"hello"), h11="h11 unfolds it"
    ),
    "folded coding": Case(
        post(HOST + b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), h11="h11 unfolds it"
    ),
    "space before the first header": Case(request(b" X: a\r\n" + HOST)),
    "tab before the first header": Case(request(b"\tX: a\r\n" + HOST)),
    "a line of a space": Case(request(HOST + b" \r\n"), h11="h11 unfolds it"),
}

HEADERS = {
    "space before the colon": Case(request(HOST + b"X : a\r\n")),
    "tab before the colon": Case(request(HOST + b"X\t: a\r\n")),
    "space before the colon of Host": Case(request(b"Host : a\r\n")),
    "space before the colon of a length": Case(post(HOST + b"Content-Length : 5\r\n", b"hello")),
    "space before the colon of a coding": Case(
        post(HOST + b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")
    ),
    "no colon": Case(request(HOST + b"X\r\n")),
    "no name": Case(request(HOST + b": a\r\n")),
    "space in a name": Case(request(HOST + b"X Y: a\r\n")),
    "NUL in a name": Case(request(HOST + b"X\0: a\r\n")),
    "separator in a name": Case(request(HOST + b"X(Y): a\r\n")),
    "slash in a name": Case(request(HOST + b"X/Y: a\r\n")),
    "quote in a name": Case(request(HOST + b'"X": a\r\n')),
    "brace in a name": Case(request(HOST + b"{X}: a\r\n")),
    "name beyond ASCII": Case(request(HOST + b"X\xe9: a\r\n")),
    "control in a name": Case(request(HOST + b"X\x0b: a\r\n")),
    "NUL in a value": Case(request(HOST + b"X: a\0b\r\n")),
    "NUL as a value": Case(request(HOST + b"X: \0\r\n")),
}

HOSTS = {
    "no Host": Case(request(b"X: a\r\n")),
    "no header at all": Case(request(b"")),
    "two Hosts": Case(request(b"Host: a\r\nHost: b\r\n")),
    "two equal Hosts": Case(request(b"Host: a\r\nHost: a\r\n")),
    "two Hosts apart": Case(request(b"Host: a\r\nX: y\r\nhost: a\r\n")),
    "space in Host": Case(request(b"Host: a b\r\n"), h11=NOT_LOOKED_AT),
    "slash in Host": Case(request(b"Host: a/b\r\n"), h11=NOT_LOOKED_AT),
    "user in Host": Case(request(b"Host: user@a\r\n"), h11=NOT_LOOKED_AT),
    "URL as Host": Case(request(b"Host: http://a\r\n"), h11=NOT_LOOKED_AT),
    "query in Host": Case(request(b"Host: a?b\r\n"), h11=NOT_LOOKED_AT),
    "port of letters": Case(request(b"Host: a:b\r\n"), h11=NOT_LOOKED_AT),
    "open bracket in Host": Case(request(b"Host: [::1\r\n"), h11=NOT_LOOKED_AT),
}

LENGTHS = {
    name: Case(post(HOST + b"Content-Length: " + value + b"\r\n", b"hello"), *statuses)
    for name, (value, *statuses) in {
        "plus sign": (b"+5",),
        "minus sign": (b"-5",),
        "minus zero": (b"-0",),
        "hexadecimal": (b"0x5",),
        "hexadecimal digit": (b"a",),
        "empty": (b"",),
        "words": (b"five",),
        "decimals": (b"5.0",),
        "exponent": (b"5e0",),
        "space inside": (b"5 5",),
        "underscore": (b"5_0",),
        "semicolon": (b"5;",),
        "comma at the end": (b"5,",),
        "comma at the start": (b",5",),
        "list of different": (b"5, 6",),
        "list of nonsense": (b"5, x",),
        "quoted": (b'"5"',),
        "superscript": (b"\xb2",),
        "form feed": (b"\x0c5",),
        "vertical tab": (b"5\x0b",),
        "64 bits and one": (b"18446744073709551616", 400, 413),
        "forty digits": (b"9" * 40, 400, 413),
    }.items()
} | {
    "two that differ": Case(post(HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello")),
    "two that differ in zeros": Case(
        post(HOST + b"Content-Length: 5\r\nContent-Length: 6\r\ncontent-length: 5\r\n", b"hello")
    ),
}
LENGTHS["64 bits and one"].h11 = "h11 has integers of up to twenty digits"

CODINGS = {
    name: Case(
        post(HOST + b"Transfer-Encoding: " + value + b"\r\n", b"5\r\nhello\r\n0\r\n\r\n"), 400, 501
    )
    for name, value in {
        "empty coding": b"",
        "unknown": b"rot13",
        "gzip": b"gzip",
        "gzip last": b"chunked, gzip",
        "gzip first": b"gzip, chunked",
        "identity": b"identity",
        "identity first": b"identity, chunked",
        "chunked twice": b"chunked, chunked",
        "prefix": b"xchunked",
        "suffix": b"chunkedx",
        "quoted coding": b'"chunked"',
        "parameter": b"chunked;q=1",
        "semicolon after the coding": b"chunked;",
        "space inside the coding": b"chun ked",
        "two words": b"chunked chunked",
        "vertical tab before": b"\x0bchunked",
        "form feed after": b"chunked\x0c",
        "control before": b"\x01chunked",
        "look-alike": b"chun\xc5\xaeed",
    }.items()
} | {
    "two headers": Case(post(CHUNKED + b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400, 501),
    "two headers, the second unknown": Case(
        post(CHUNKED + b"Transfer-Encoding: cow\r\n", b"0\r\n\r\n"), 400, 501
    ),
    "in HTTP/1.0": Case(
        request(CHUNKED, b"POST /echo HTTP/1.0", b"0\r\n\r\n"),
        h11="h11 reads it; RFC 9112, 6.1: the framing is faulty",
    ),
}

TOO_LARGE = (400, 413)

CHUNKS = {
    "empty size": Case(chunks(b"\r\nhello\r\n0\r\n\r\n")),
    "size of letters": Case(chunks(b"xyz\r\nhello\r\n0\r\n\r\n")),
    "size with a minus": Case(chunks(b"-5\r\nhello\r\n0\r\n\r\n")),
    "size with a plus": Case(chunks(b"+5\r\nhello\r\n0\r\n\r\n")),
    "size with 0x": Case(chunks(b"0x5\r\nhello\r\n0\r\n\r\n")),
    "size with an underscore": Case(chunks(b"0_5\r\nhello\r\n0\r\n\r\n")),
    "size after a space": Case(chunks(b" 5\r\nhello\r\n0\r\n\r\n")),
    "size after a tab": Case(chunks(b"\t5\r\nhello\r\n0\r\n\r\n")),
    "size with a space inside": Case(chunks(b"5 5\r\nhello\r\n0\r\n\r\n")),
    "size and a comma": Case(chunks(b"5,5\r\nhello\r\n0\r\n\r\n")),
    "size of 65 bits": Case(
        chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        *TOO_LARGE,
        h11="h11 has integers without end",
    ),
    "size of 80 bits": Case(
        chunks(b"f" * 20 + b"\r\nhello\r\n0\r\n\r\n"),
        *TOO_LARGE,
        h11="h11 has integers without end",
    ),
    "size of many digits": Case(chunks(b"0" * 300 + b"5\r\nhello\r\n0\r\n\r\n"), *TOO_LARGE),
    "LF after the size": Case(chunks(b"5\nhello\r\n0\r\n\r\n")),
    "LF after the last size": Case(chunks(b"5\r\nhello\r\n0\n\r\n")),
    "CR after the size": Case(chunks(b"5\rhello\r\n0\r\n\r\n")),
    "CR CR LF after the size": Case(chunks(b"5\r\r\nhello\r\n0\r\n\r\n")),
    "LF after the data": Case(chunks(b"5\r\nhello\n0\r\n\r\n")),
    "nothing after the data": Case(chunks(b"5\r\nhello0\r\n\r\n")),
    "more data than said": Case(chunks(b"5\r\nhelloworld\r\n0\r\n\r\n")),
    "CR and something after the data": Case(chunks(b"5\r\nhello\rX0\r\n\r\n")),
    "LF in an extension": Case(chunks(b"5;a=\nb\r\nhello\r\n0\r\n\r\n")),
    "CR in an extension": Case(
        chunks(b"5;a=\rb\r\nhello\r\n0\r\n\r\n"), h11="h11 takes any byte but LF in an extension"
    ),
    "NUL in an extension": Case(
        chunks(b"5;a=\0b\r\nhello\r\n0\r\n\r\n"), h11="h11 takes any byte but LF in an extension"
    ),
    "trailer without a colon": Case(chunks(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n")),
    "trailer with a space": Case(chunks(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n")),
    "trailer folded": Case(chunks(b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"), h11="h11 unfolds it"),
    "trailer with NUL": Case(chunks(b"5\r\nhello\r\n0\r\nX: a\0\r\n\r\n")),
    "trailer with LF": Case(chunks(b"5\r\nhello\r\n0\r\nX: y\n\r\n"), h11=LF),
}

TABLES = [REQUEST_LINES, LINE_BREAKS, HEADERS, HOSTS, LENGTHS, CODINGS, CHUNKS]
CASES = {name: case for table in TABLES for name, case in table.items()}


def test_names_are_not_used_twice():
    assert len(CASES) == sum(map(len, TABLES))


@pytest.mark.parametrize("name", CASES)
def test_rejected(server, name):
    """Whole, at every split and byte by byte."""
    case = CASES[name]

    def judge(wire):
        response = wire.response()
        assert response.status in case.statuses
        assert response.closes, "the answer does not say that the connection closes"
        assert wire.ends(), "the connection ended with an RST"

    # The smuggled request is one piece: it does not matter where that is split.
    whole = len(case.raw) - len(SMUGGLED) if case.raw.endswith(SMUGGLED) else len(case.raw)
    but = range(whole + 2, len(case.raw))
    each_split(server, case.raw, judge, rejected=True, but=but)
    byte_by_byte(server, case.raw, judge, rejected=True)


@pytest.mark.parametrize("name", CASES)
def test_second_opinion(name):
    """h11 rejects it too, unless the table says why not."""
    case = CASES[name]
    opinion = h11_opinion.of(case.raw)
    if case.h11 is None:
        assert opinion.rejected is not None
    else:
        assert opinion.rejected is None, "h11 agrees: the table is out of date"


def test_the_application_is_not_called(server):
    """Not for what is wrong in the head, not for what comes after it."""
    first, second = unique(), unique()
    with server.connect() as wire:
        wire.send(
            b"GET /hello?id=%b HTTP/1.1\r\nHost : a\r\n\r\n" % first.encode()
            + b"GET /hello?id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % second.encode()
        )
        assert wire.response().status == 400
        assert wire.ends()
    # The log of accesses and the applications' own notes both would tell.
    assert server.get(f"/hello?id={first}").status == 200
    assert server.seen(first).notes == ["called"]
    assert server.get(f"/hello?id={second}").status == 200
    assert server.seen(second).notes == ["called"]


def test_after_a_good_request(server):
    """The good one is answered, then the bad one, then nothing."""
    with server.connect() as wire:
        wire.send(SMUGGLED + b"GET / HTTP/1.1\r\n: a\r\n\r\n" + SMUGGLED)
        assert wire.response().body == b"hello"
        assert wire.response().status == 400
        assert wire.ends()
