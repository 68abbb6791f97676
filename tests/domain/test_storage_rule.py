"""Storage rules: paths and providers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.domain.storage_rule import StorageRule


@pytest.mark.parametrize(
    ("path", "kept", "bucket", "folder"),
    [
        ("bucket/folder", "bucket/folder", "bucket", "folder"),
        (" /bucket/a/b/ ", "bucket/a/b", "bucket", "a/b"),
        ("bucket/", "bucket/", "bucket", ""),
        ("/bucket", "bucket/", "bucket", ""),
        ("bucket/a b+ü", "bucket/a b+ü", "bucket", "a b+ü"),
    ],
)
def test_a_path_is_a_bucket_and_a_folder(path: str, kept: str, bucket: str, folder: str) -> None:
    rule = StorageRule(path=path)
    assert (rule.path, rule.bucket, rule.folder) == (kept, bucket, folder)
    assert StorageRule(path=rule.path) == rule


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        "/",
        "//",
        "bucket//a",
        "bucket/../a",
        "bucket/./a",
        "..",
        "UP/a",
        "bucket/a\0",
        "bucket/\n",
        "b/a",
        "bucket/" + "x" * 1000,
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        StorageRule(path=path)


@pytest.mark.parametrize("provider", ["ftp", "minio.", ".x", "MINIO", "minio default\n"])
def test_only_oscars_kinds_of_providers_are_known(provider: str) -> None:
    with pytest.raises(ValidationError):
        StorageRule(path="bucket/a", storage_provider=provider)


def test_only_the_default_provider_is_the_gateways_own() -> None:
    own = {
        provider: StorageRule(path="bucket/a", storage_provider=provider).embedded
        for provider in (
            "minio",
            "minio.default",
            "minio.other",
            "s3.x",
            "webdav.dav",
            "rucio.r",
            "onedata.o",
        )
    }
    assert {provider for provider, embedded in own.items() if embedded} == {"minio", "minio.default"}


def test_paths_of_other_kinds_are_theirs_to_read() -> None:
    rule = StorageRule(path="/A folder/b", storage_provider="webdav.dav")
    assert rule.path == "/A folder/b"
    assert rule.in_bucket_of("cowsay") == rule


@given(st.text(max_size=40))
def test_any_path_is_refused_or_stays_below_its_bucket(path: str) -> None:
    try:
        rule = StorageRule(path=path).in_bucket_of("cowsay")
    except ValueError:
        return
    assert not {".", ".."} & set(rule.path.split("/"))
    assert "\0" not in rule.path
    assert StorageRule(path=rule.path) == rule
