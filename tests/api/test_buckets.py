"""`/system/buckets`: through the life of a bucket, and what is refused."""

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.gateway_rig import Gateway


async def fill(gateway: Gateway, bucket: str, *keys: str) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"content"

    for key in keys:
        await gateway.backends.objects.put(bucket, key, content())


async def test_a_bucket_is_created_shared_read_and_removed(gateway: Gateway) -> None:
    http = gateway.http
    created = await http.post("/system/buckets", json={"bucket_name": "life"})
    assert (created.status_code, created.content) == (201, b"")
    assert b'{"bucket_name":"life","visibility":"private"' in (await http.get("/system/buckets")).content
    for visibility in ("restricted", "public", "private"):
        body = {"bucket_name": "life", "visibility": visibility, "allowed_users": ["a", " b "]}
        assert (await http.put("/system/buckets", json=body)).status_code == 204
        shown = (await http.get("/system/buckets/life")).json()
        assert (shown["visibility"], shown["allowed_users"]) == (visibility, ["a", "b"])
        assert shown["owner"] == shown["metadata"]["owner_name"] == "cluster_admin"
    assert (await http.delete("/system/buckets/life")).status_code == 204
    assert (await http.delete("/system/buckets/life")).status_code == 404


async def test_the_name_may_stand_in_the_path_of_an_update(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "by-path"})
    answer = await gateway.http.put("/system/buckets/by-path", json={"visibility": "public"})
    assert answer.status_code == 204
    assert (await gateway.http.get("/system/buckets/by-path")).json()["visibility"] == "public"


async def test_a_bucket_with_a_folder_is_that_bucket(gateway: Gateway) -> None:
    assert (await gateway.http.post("/system/buckets", json={"bucket_name": "folded/in"})).status_code == 201
    assert (await gateway.http.get("/system/buckets/folded")).status_code == 200


async def test_a_bucket_made_for_a_service_says_so_and_keeps_saying_it(gateway: Gateway) -> None:
    rule = [{"storage_provider": "minio", "path": "made-for/in"}]
    await gateway.deploy("made-for", input=rule)
    await gateway.http.put("/system/buckets/made-for", json={"visibility": "public"})
    shown = (await gateway.http.get("/system/buckets/made-for")).json()
    assert shown["metadata"]["from_service"] == "made-for"


async def test_objects_are_listed_page_by_page_without_gaps(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "paged"})
    keys = ["a b", "a+b", "in/1", "in/2", "ñandú", "漢字"]
    await fill(gateway, "paged", *keys)
    found, page, pages = [], "", 0
    while True:
        answer = (await gateway.http.get("/system/buckets/paged", params={"limit": "2", "page": page})).json()
        found += [entry["object_name"] for entry in answer["objects"]]
        assert answer["returned_items"] == len(answer["objects"]) == 2
        pages += 1
        if not answer["is_truncated"]:
            assert "next_page" not in answer
            break
        page = answer["next_page"]
    assert (found, pages) == (sorted(keys, key=str.encode), 3)
    inside = (await gateway.http.get("/system/buckets/paged", params={"prefix": "in/"})).json()
    assert [entry["object_name"] for entry in inside["objects"]] == ["in/1", "in/2"]
    assert inside["objects"][0]["size_bytes"] == 7
    assert inside["objects"][0]["last_modified"].endswith("Z")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"bucket"',
        b"{}",
        b'{"bucket_name": 5}',
        b'{"bucket_name": "NO"}',
        b'{"bucket_name": "/"}',
        b'{"bucket_name": "oscar-gateway"}',
        b'{"bucket_name": "wrong", "visibility": "secret"}',
        b'{"bucket_name": "wrong", "allowed_users": "me"}',
        b'{"bucket_name": "wrong", "allowed_users": ["a b"]}',
    ],
)
async def test_what_makes_no_bucket_is_refused_in_one_line(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.http.post("/system/buckets", content=body)
    assert answer.status_code == 400
    assert answer.text
    assert "\n" not in answer.text


async def test_a_name_that_is_taken_is_a_conflict(gateway: Gateway) -> None:
    answers = [await gateway.http.post("/system/buckets", json={"bucket_name": "taken"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]


async def test_the_gateways_own_bucket_is_not_there(gateway: Gateway) -> None:
    own = "/system/buckets/oscar-gateway"
    assert (await gateway.http.get(own)).status_code == 404
    assert (await gateway.http.delete(own)).status_code == 404
    assert (await gateway.http.put(own, json={"visibility": "public"})).status_code == 404
    wanted = {"object_key": "results/x", "operation": "download"}
    assert (await gateway.http.post(f"{own}/presign", json=wanted)).status_code == 404
    assert "oscar-gateway" not in (await gateway.http.get("/system/buckets")).text


async def test_pages_that_were_never_handed_out_are_refused(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "no-page"})
    for query in ("page=%25%25", "page=ñ", "page=gIGA", "limit=0", "limit=1001", "limit=x"):
        assert (await gateway.http.get(f"/system/buckets/no-page?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("given", "expires"),
    [
        ({}, 900),
        ({"expires": 0}, 900),
        ({"expires": 60}, 60),
        ({"expires_in": 3600}, 3600),
        ({"expires_in": None}, 900),
    ],
)
async def test_a_link_lasts_as_long_as_asked_for(
    gateway: Gateway, given: dict[str, int | None], expires: int
) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "linked"})
    wanted = {"object_key": "/in/a file", "operation": "download", "extra_headers": None, **given}
    answer = (await gateway.http.post("/system/buckets/linked/presign", json=wanted)).json()
    assert (answer["object_key"], answer["operation"], answer["method"]) == ("in/a file", "download", "GET")
    assert parse_qs(urlsplit(answer["url"]).query)["X-Amz-Expires"] == [str(expires)]
    assert urlsplit(answer["url"]).path == "/linked/in/a%20file"
    assert "headers" not in answer


async def test_a_link_for_an_upload_names_the_headers_that_go_with_it(gateway: Gateway) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "uploads"})
    wanted = {"object_key": "x", "operation": "Upload", "content_type": "image/png"}
    answer = (await gateway.http.post("/system/buckets/uploads/presign", json=wanted)).json()
    assert (answer["method"], answer["headers"]) == ("PUT", {"Content-Type": "image/png"})
    assert answer["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    "wrong",
    [
        {"operation": "delete"},
        {"operation": None},
        {"object_key": ""},
        {"object_key": "x" * 1025},
        {"object_key": "a\0b"},
        {"object_key": "\ud800"},
        {"expires": -1},
        {"expires_in": 604801},
        {"expires_in": "900"},
        {"expires_in": True},
        {"expires_in": 10**40},
        {"extra_headers": {"a\r\nb": "c"}},
        {"extra_headers": {"x-a": "b\r\nc: d"}},
        {"extra_headers": {"Host": "evil.example.org"}},
        {"extra_headers": ["a"]},
        {"content_type": "a\nb", "operation": "upload"},
    ],
)
async def test_links_that_cannot_be_made_are_refused(gateway: Gateway, wrong: dict[str, object]) -> None:
    await gateway.http.post("/system/buckets", json={"bucket_name": "no-links"})
    wanted = {"object_key": "x", "operation": "download", **wrong}
    answer = await gateway.http.post("/system/buckets/no-links/presign", content=json.dumps(wanted))
    assert answer.status_code == 400
    assert answer.text


async def test_a_link_into_an_unknown_bucket_is_404(gateway: Gateway) -> None:
    wanted = {"object_key": "x", "operation": "download"}
    assert (await gateway.http.post("/system/buckets/absent/presign", json=wanted)).status_code == 404
