"""HTTP/1.1 byte by byte, against the gateway as it is served: what is refused, what is cut, what goes
through, and that nothing of it is ever executed twice."""

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.wire.raw import PATIENCE_S, Asked, Client, drain

SMUGGLED = b"POST /run/echo HTTP/1.1\r\nHost: gateway\r\nContent-Length: 7\r\n\r\nevil=42"

BAD_FRAMING = [
    ("Content-Length: 5", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 5"),
    ("Content-Length: 5", "Content-Length: 6"),
    ("Content-Length: 5", "Content-Length: 5"),
    ("Content-Length: 5, 5",),
    ("Content-Length: +5",),
    ("Content-Length: -5",),
    ("Content-Length: 0x5",),
    ("Content-Length: 5 5",),
    ("Content-Length: ",),
    ("Content-Length: 99999999999999999999",),
    ("Content-Length : 5",),
    ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding: identity",),
    ("Transfer-Encoding: gzip, chunked",),
    ("Transfer-Encoding: chunked, gzip",),
    ("Transfer-Encoding: chunked, chunked",),
    ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding : chunked",),
    ("Transfer-Encoding: \x0bchunked",),
    ("Transfer-Encoding: chunked\r\n folded",),
    ("X: a\nContent-Length: 5",),
    ("Host: another", "Content-Length: 5"),
    ("Upgrade: h2c", "Connection: Upgrade", "Content-Length: 5"),
]


@pytest.mark.parametrize("headers", BAD_FRAMING, ids=" | ".join)
def test_a_body_whose_end_may_be_read_in_two_ways_is_refused(
    client: Client, asked: Asked, headers: tuple[str, ...]
) -> None:
    answer = client.exchange(client.head(*headers) + b"0\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert asked.heads == []


@pytest.mark.parametrize(
    "chunks",
    [b"5\r\nhelloX", b"zz\r\nhello\r\n", b"-1\r\n\r\n", b"5;\x00=1\r\nhello\r\n", b"FFFFFFFFFFFFFFFFF\r\n"],
)
def test_chunks_that_are_none_execute_nothing(client: Client, asked: Asked, chunks: bytes) -> None:
    answer = client.exchange(client.head("Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n" + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"", answer
    assert asked.bodies == []


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"POST /run/echo HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_request_is_a_400(client: Client, raw: bytes) -> None:
    assert client.exchange(raw).startswith(b"HTTP/1.1 400 ")


def test_a_request_without_a_host_is_a_400(client: Client) -> None:
    assert client.exchange(b"GET /health HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert client.exchange(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("head", ["X: " + "a" * 100_000, "\r\n".join(f"X{n}: abcdefgh" for n in range(7000))])
def test_a_head_of_100_kb_is_refused(client: Client, asked: Asked, head: str) -> None:
    assert client.exchange(client.head(head, "Content-Length: 0")).startswith(b"HTTP/1.1 431 ")
    assert asked.heads == []


def test_pipelined_requests_are_answered_in_their_order(client: Client, asked: Asked) -> None:
    several = b"".join(client.head("Content-Length: 1") + b"%d" % number for number in range(9))
    answer = client.exchange(several + client.head("Content-Length: 1", "Connection: close") + b"9")
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [b"%d" % n for n in range(10)]
    assert asked.bodies == [b"%d" % n for n in range(10)]


def test_a_bad_request_behind_a_good_one_is_not_taken_for_its_answer(client: Client, asked: Asked) -> None:
    answer = client.exchange(client.head("Content-Length: 4") + b"good" + b"\x00 bad\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert asked.bodies == [b"good"]


@pytest.mark.parametrize("cut", [1, 70_000, 299_999, 300_000, 300_001])
def test_a_large_body_ends_where_it_was_declared_to(client: Client, asked: Asked, cut: int) -> None:
    body = (SMUGGLED * 300_000)[:300_000]
    first = client.head("Content-Length: 300000")
    behind = client.head("Content-Length: 2") + b"hi" + client.head("Content-Length: 3", "Connection: close")
    raw = first + body + behind + b"end"
    with client.open() as connection:
        connection.sendall(raw[: len(first) + cut])
        assert asked.started.wait(PATIENCE_S)
        connection.sendall(raw[len(first) + cut :])
        answers = drain(connection)
    assert asked.bodies == [body, b"hi", b"end"]
    assert answers.count(b"HTTP/1.1 200 OK") == 3 + body.count(b"HTTP/1.1 200 OK")
    assert answers.endswith(b"\r\n\r\nend")


def test_nothing_follows_the_large_body_of_a_last_request(client: Client, asked: Asked) -> None:
    body = b"x" * 300_000
    with client.open() as connection:
        connection.sendall(client.head("Content-Length: 300000", "Connection: close") + body[:1000])
        assert asked.started.wait(PATIENCE_S)
        connection.sendall(body[1000:] + SMUGGLED)
        drain(connection)
    assert len(asked.heads) == 1


def test_a_head_request_has_no_body(client: Client) -> None:
    answer = client.exchange(client.head(method="HEAD", target="/run/echo"))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\n")


def test_who_expects_to_be_told_is_told_to_go_on(client: Client, asked: Asked) -> None:
    with client.open() as connection:
        connection.sendall(client.head("Expect: 100-continue", "Content-Length: 5"))
        assert drain(connection, until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert drain(connection, until=b"hello").endswith(b"hello")
    assert "expect" not in asked.heads[0]


def test_who_is_refused_is_not_told_to_go_on(client: Client, asked: Asked) -> None:
    head = client.head("Expect: 100-continue", "Content-Length: 5").replace(client.token.encode(), b"0" * 64)
    assert client.exchange(head).startswith(b"HTTP/1.1 401 ")
    assert asked.heads == []


def test_the_way_is_told_and_the_credential_kept(client: Client, asked: Asked) -> None:
    more = (
        "X-Forwarded-For: 192.0.2.1",
        "Forwarded: for=192.0.2.1",
        "X-Mine: 1",
        "Connection: X-Hop",
        "X-Hop: 1",
    )
    client.exchange(client.head(*more, "Content-Length: 0", target="/run/echo?a=b"))
    head = asked.heads[0]
    assert head.startswith("post /?a=b http/1.1\nhost: echo\n")
    assert "x-forwarded-for: 192.0.2.1, 127.0.0.1\n" in head
    assert 'forwarded: for=192.0.2.1, for=127.0.0.1;host="gateway";proto=http' in head
    assert "x-mine: 1" in head
    assert not {"authorization", "x-hop", client.token} & set(head.replace(":", "").split())


def test_the_answer_tells_where_the_time_went(client: Client) -> None:
    answer = client.exchange(client.head("Content-Length: 0")).decode("latin-1")
    for part in ("gateway;dur=", "queue;dur=", "start;dur=", "run;dur="):
        assert part in answer
    assert "x-oscar-route: direct; reason=short" in answer
    assert answer.lower().count("\r\ndate:") == 1


def test_a_page_of_another_origin_may_read_the_answer(client: Client, asked: Asked) -> None:
    page = client.head("Content-Length: 4", "Origin: https://a.example.org")
    answer = client.exchange(page + b"body")
    assert answer.endswith(b"\r\n\r\nbody")
    assert b"access-control-allow-origin: *\r\n" in answer
    assert asked.bodies == [b"body"]


@pytest.mark.parametrize(("where", "status"), [("before", 502), ("head", 502)])
def test_a_backend_that_dies_before_its_answer_is_a_502_and_is_asked_once(
    client: Client, asked: Asked, where: str, status: int
) -> None:
    head = client.head("Content-Length: 5", target=f"/run/echo?die={where}")
    assert client.exchange(head + b"hello").startswith(b"HTTP/1.1 %d " % status)
    assert len(asked.bodies) == 1


def test_a_backend_that_dies_amid_its_answer_cuts_ours_off(client: Client, asked: Asked) -> None:
    answer = client.exchange(client.head("Content-Length: 5", target="/run/echo?die=body") + b"hello")
    assert answer == b"" or (b"content-length: 5" in answer.lower() and not answer.endswith(b"hello"))
    assert len(asked.bodies) == 1


def test_a_client_that_leaves_amid_its_head_or_body_executes_nothing(client: Client, asked: Asked) -> None:
    for sent in (client.head("Content-Length: 5")[:-6], client.head("Content-Length: 500000") + b"hel"):
        with client.open() as connection:
            connection.sendall(sent)
            drain(connection, patience_s=0.2)
    wait_for(lambda: asked.closed.is_set() or not asked.heads)
    assert asked.bodies == []


def test_a_client_that_leaves_while_it_waits_ends_the_call(client: Client, asked: Asked) -> None:
    with client.open() as connection:
        connection.sendall(client.head("Content-Length: 0", target="/run/echo?wait"))
        assert asked.started.wait(10)
        assert not asked.closed.is_set()
    assert asked.closed.wait(10)


def test_a_slow_head_holds_nobody_else_up(client: Client, asked: Asked) -> None:
    slow = [client.open() for _ in range(50)]
    for connection in slow:
        connection.sendall(b"POST /run/echo HTTP/1.1\r\nHost: g\r\nX-Slow")
    answer = client.exchange(client.head("Content-Length: 2", "Connection: close") + b"ok")
    assert answer.endswith(b"ok")
    for connection in slow:
        connection.close()
    assert len(asked.heads) == 1


def test_a_large_body_goes_through_in_chunks_both_ways(
    client: Client, asked: Asked, process: GatewayProcess
) -> None:
    body = bytes(range(256)) * 4096
    with process.http() as http:
        answer = http.post(
            "/run/echo", content=iter([body[start : start + 50_000] for start in range(0, len(body), 50_000)])
        )
        assert answer.content == body
        assert http.post("/run/echo", content=body).content == body
    assert "transfer-encoding: chunked" in asked.heads[0]
    assert f"content-length: {len(body)}" in asked.heads[1]
