"""A head seen before: what passes for it is told as the parser would have read it, whatever came."""

from typing import Any

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.api.asked import FORWARDED_FOR, KEPT_BACK, REQUEST_ID
from gateway.backends.invoker.upstream.headers import HOP_BY_HOP, WRITTEN_ANEW
from gateway.domain.headers import Headers
from gateway.wire.seen import FIXED, LENGTH, VARYING, Seen, see

BODY = b"hi"
LINES = [
    b"POST /run/echo?a=b HTTP/1.1",
    b"Host: gateway",
    b"Authorization: Bearer secret",
    b"X-Request-ID: call-1",
    b"traceparent:  00-1",
    b"Accept: same",
    b"Content-Length: 2",
]
RAW = b"\r\n".join(LINES) + b"\r\n\r\n" + BODY


class Read:
    """What the parser makes of one request, as the connection has it."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: Headers = []
        self.body = b""
        self.requests = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.requests += 1


def seen(data: bytes = RAW) -> Seen:
    read = Read(data)
    found = see(data, {"headers": read.headers, "url": read.url})
    assert found is not None
    return found


def raw(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def told(data: bytes, *, of: Seen) -> tuple[Any, bytes] | None:
    again = of.again(data)
    return None if again is None else (again.scope["headers"], data[again.length :])


def test_what_means_something_to_anybody_is_fixed() -> None:
    told_apart = {REQUEST_ID, FORWARDED_FOR}
    assert (KEPT_BACK - told_apart) | HOP_BY_HOP | (WRITTEN_ANEW - {LENGTH}) <= FIXED


def test_another_id_and_another_length_are_the_same_head() -> None:
    other = RAW.replace(b"call-1", b"another").replace(b"00-1", b"00-22").replace(b": 2", b": 5")
    again = seen().again(other + b"abc")
    assert again is not None
    assert dict(again.scope["headers"])[b"content-length"] == b"5"
    assert again.scope[VARYING] == [(b"x-request-id", b"another"), (b"traceparent", b"00-22")]
    assert other[again.length :] == b"hi"


@pytest.mark.parametrize(
    "line",
    [
        *[b"X-Request-ID: \xe9", b"X-Request-ID:\tcall-2", b"X-Request-ID: ", b"X-Request-ID : call-2"],
        *[b"X-Request-ID: a\nX-Evil: 1", b"X-Request-ID: a\rX-Evil: 1", b"X-Request-ID: a\r\n folded"],
        *[b"X-Request-ID: a\r\nContent-Length: 0", b"X-Request-ID: \x00", b"X-Request-ID: " + b"a" * 600],
    ],
)
def test_what_is_no_plain_value_is_read_anew(line: bytes) -> None:
    assert told(raw(*LINES[:3], line, *LINES[4:]), of=seen()) is None


@pytest.mark.parametrize("length", [b"02", b"+2", b"3", b"1", b"0x2", b"2,2", b"-1", b"\xb2", b""])
def test_a_length_that_is_not_just_that_of_what_came_is_read_anew(length: bytes) -> None:
    assert told(raw(*LINES[:6], b"Content-Length: " + length), of=seen()) is None


@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_anything_else_that_differs_is_read_anew(at: int) -> None:
    lines = [*LINES]
    lines[at] = lines[at][:-1] + b"9"
    assert told(raw(*lines), of=seen()) is None


@pytest.mark.parametrize("value", [b"X-Request-ID", b"close", b"traceparent, keep-alive"])
def test_where_headers_may_be_the_connections_own_none_may_vary(value: bytes) -> None:
    data = raw(*LINES[:6], b"Connection: " + value, LINES[6])
    one = seen(data)
    assert told(data, of=one) is not None
    assert told(data.replace(b"call-1", b"call-2"), of=one) is None


def test_whom_keep_alive_is_said_may_vary() -> None:
    data = raw(*LINES[:6], b"Connection: Keep-Alive", LINES[6])
    assert told(data.replace(b"call-1", b"call-2"), of=seen(data)) is not None


PIECES = st.one_of(
    st.sampled_from(
        [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"2", b"0", b"\r\n\r\n", b"\x00", b"X-A: 1\r\n"]
    ),
    st.binary(max_size=3),
)


@given(st.lists(st.tuples(st.integers(0, len(RAW)), st.integers(0, 3), PIECES), min_size=1, max_size=3))
@example([(RAW.index(b"call-1"), 3, b"xyz")])
@example([(RAW.index(b"Content-Length: 2") + 16, 1, b"3"), (len(RAW), 0, b"!")])
def test_whatever_is_changed_it_is_told_as_it_would_be_read(changes: list[tuple[int, int, bytes]]) -> None:
    data = RAW
    for at, dropped, put in changes:
        data = data[:at] + put + data[at + dropped :]
    found = told(data, of=seen())
    if found is not None:
        read = Read(data)
        assert (read.requests, read.method, read.url) == (1, b"POST", b"/run/echo?a=b")
        assert found == (read.headers, read.body)
