"""Work orders: what a gateway writes, a pod reads."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.domain.event import StoredObject
from gateway.domain.job import AttemptId, JobId, Payload
from gateway.domain.problems import Invalid
from gateway.domain.work_order import OutputRule, Rules, Work, WorkOrder, read_work_order

JOB = JobId("cowsay-abcdefghij0123456789")
ORDER = WorkOrder(
    attempt=AttemptId(f"{JOB}-1"),
    service_uid="uid",
    work=Work(JOB, payload=Payload(3, inline=b"\0\xff\n")),
    script="echo 'ñ \udcff'",
    config="name: cowsay\n",
    own_bucket="own",
    limit_s=2.5,
    output_limit=1 << 40,
    log_limit=1024,
    verify=False,
    environment={"A": "b\n'c'", "EVENT": "{}"},
    service=Rules((OutputRule("data", "out", prefix=("a",), suffix=(".png", ".txt")),)),
)
STORED = StoredObject("in", "a b/ñ", "etag", datetime(2026, 1, 2, 3, 4, 5, 678000, UTC), 7, "v1", "mark")


@pytest.mark.parametrize(
    "work",
    [
        ORDER.work,
        Work(JOB, payload=Payload(1 << 30, key="payloads/1")),
        Work(JOB, stored=STORED, notice=b'{"Records": []}', file_stage_in=True),
    ],
)
def test_what_was_written_is_read(work: Work) -> None:
    order = replace(ORDER, work=work)
    assert read_work_order(order.to_json()) == order


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b"\xff", b'{"service": {"output": [{}]}}'])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid):
        read_work_order(text)
