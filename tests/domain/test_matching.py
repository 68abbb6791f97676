"""Which objects are work for a service, and where its output goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.matching import buckets_of, destinations, input_prefixes, takes
from tests.domain.definitions import service


@pytest.mark.parametrize(
    ("bucket", "key", "taken"),
    [
        ("inbox", "a/x.txt", True),
        ("inbox", "a/sub/x.txt", True),
        ("inbox", "a/x.png", False),
        ("inbox", "a/.txt", True),
        ("inbox", "ab/x.txt", False),
        ("inbox", "a", False),
        ("inbox", "a/", False),
        ("inbox", "a/sub.txt/", False),
        ("inbox", "A/x.txt", False),
        ("other", "a/x.txt", False),
        ("whole", "anything", True),
        ("whole", "b/anything", True),
        ("whole", "b/", False),
        ("chosen", "img/in-1.png", True),
        ("chosen", "img/1.png", False),
        ("chosen", "img/sub/in-1.png", False),
        ("far", "x/y", False),
    ],
)
def test_an_object_is_taken_by_bucket_folder_prefix_and_suffix(bucket: str, key: str, taken: bool) -> None:
    one = service(
        input=[
            {"path": "inbox/a", "suffix": [".txt", ".md"]},
            {"path": "whole/"},
            {"path": "chosen/img", "prefix": ["in-"], "suffix": [".png"]},
            {"path": "far/x", "storage_provider": "minio.other"},
        ]
    )
    assert takes(one, bucket, key) is taken


def test_an_output_goes_to_every_rule_that_accepts_its_relative_name() -> None:
    one = service(
        output=[
            {"path": "out/all"},
            {"path": "out/text", "suffix": [".txt"]},
            {"path": "out/both", "prefix": ["r-"], "suffix": [".txt", ".png"]},
            {"path": "all/"},
            {"path": "out/all"},
            {"path": "far/x", "storage_provider": "s3.far"},
        ]
    )
    assert destinations(one, "r-1.png") == (
        ("out", "all/r-1.png"),
        ("out", "both/r-1.png"),
        ("all", "r-1.png"),
    )
    assert destinations(one, "sub/r-1.txt") == (
        ("out", "all/sub/r-1.txt"),
        ("out", "text/sub/r-1.txt"),
        ("all", "sub/r-1.txt"),
    )


def test_the_buckets_of_a_service_are_those_of_its_own_rules_each_once() -> None:
    one = service(
        input=[{"path": "inbox/a"}, {"path": "inbox/b"}, {"path": "dav", "storage_provider": "webdav.x"}],
        output=[{"path": "out/a"}, {"path": "inbox/c"}, {"path": "far/x", "storage_provider": "s3.far"}],
        mount={"path": "shared"},
    )
    assert buckets_of(one) == ("inbox", "out")
    assert input_prefixes(one) == (("inbox", "a/", "inbox/a"), ("inbox", "b/", "inbox/b"))


@given(
    st.sampled_from(["inbox/a", "inbox/", "other/a/b"]),
    st.sampled_from(["inbox", "other"]),
    st.text(max_size=12),
)
def test_what_is_taken_is_found_by_listing_the_prefixes(path: str, bucket: str, key: str) -> None:
    one = service(input=[{"path": path, "suffix": ["", "x"]}])
    listed = any(bucket == where and key.startswith(prefix) for where, prefix, _ in input_prefixes(one))
    assert takes(one, bucket, key) == (listed and not key.endswith("/"))
