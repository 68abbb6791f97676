"""Marks: what our jobs leave on what they write."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.mark import mark, written_by

HERE = {"bucket": "out", "key": "a/ü.txt"}


def test_a_job_knows_what_a_job_of_its_service_wrote_there() -> None:
    text = mark(service_uid="u1", job="cowsay-x", **HERE)
    assert written_by(text, service_uid="u1", **HERE)


def test_another_service_did_not_write_it() -> None:
    text = mark(service_uid="u1", job="cowsay-x", **HERE)
    for other in ("u2", "u", "u11", ""):
        assert not written_by(text, service_uid=other, **HERE)


def test_a_copy_elsewhere_is_a_new_file() -> None:
    text = mark(service_uid="u1", job="cowsay-x", **HERE)
    assert not written_by(text, service_uid="u1", bucket="out", key="b/ü.txt")
    assert not written_by(text, service_uid="u1", bucket="in", key="a/ü.txt")


@given(st.text(max_size=300))
def test_no_text_of_others_passes_for_a_mark(text: str) -> None:
    assert not written_by(text, service_uid="u1", **HERE)


@given(st.text(min_size=3, max_size=63), st.text(max_size=1024))
def test_a_mark_fits_a_header(bucket: str, key: str) -> None:
    text = mark(service_uid="0" * 16, job="a" * 60, bucket=bucket, key=key)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 200
    assert written_by(text, service_uid="0" * 16, bucket=bucket, key=key)
