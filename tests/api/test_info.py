"""What the gateway tells of itself: info, configuration, status."""

from pathlib import Path

import pytest

from gateway.actions.allow_images import require_allowed_image
from gateway.domain.problems import Invalid, Unavailable
from tests.api.gateway_rig import Gateway, open_gateway


async def test_info_has_the_fields_that_oscar_cli_prints(gateway: Gateway) -> None:
    info = (await gateway.http.get("/system/info")).json()
    assert list(info)[:4] == ["version", "git_commit", "architecture", "kubernetes_version"]
    assert info["version"] == "v4.1.2"
    assert all(isinstance(value, str) for value in info["serverless_backend"].values())


async def test_the_configuration_has_the_stores_five_keys_with_their_types(gateway: Gateway) -> None:
    config = (await gateway.http.get("/system/config")).json()
    provider = config["minio_provider"]
    types = {"endpoint": str, "verify": bool, "access_key": str, "secret_key": str, "region": str}
    assert {key: type(value) for key, value in provider.items()} == types
    assert all(value != "" for value in provider.values())
    assert config["config"]["name"] == "oscar"
    assert config["config"]["oidc_groups"] == []


async def test_the_list_of_allowed_images_is_kept_and_outlives_the_process(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        assert (await gateway.http.get("/system/config")).json()["allowed_image_repositories"] == []
        wanted = {"allowed_image_repositories": ["ghcr.io/grycap/", " docker.io/library/ ", ""], "name": "x"}
        answer = await gateway.http.put("/system/config", json=wanted)
        assert (answer.status_code, answer.json()) == (200, ["ghcr.io/grycap/", "docker.io/library/"])
    async with open_gateway(tmp_path, working=False) as gateway:
        config = (await gateway.http.get("/system/config")).json()
    assert config["allowed_image_repositories"] == ["ghcr.io/grycap/", "docker.io/library/"]


async def test_an_image_must_begin_as_one_that_is_allowed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await require_allowed_image(gateway.backends, "anything/at/all")
        await gateway.http.put(
            "/system/config", json={"allowed_image_repositories": ["ghcr.io/grycap/", "busybox"]}
        )
        await require_allowed_image(gateway.backends, "ghcr.io/grycap/cowsay:latest")
        await require_allowed_image(gateway.backends, "busybox")
        for image in ("docker.io/ghcr.io/grycap/x", "ghcr.io/grycapx", "Busybox", ""):
            with pytest.raises(Invalid) as refused:
                await require_allowed_image(gateway.backends, image)
            assert refused.value.field == "image"


async def test_a_list_of_allowed_images_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        (tmp_path / "allowed_image_repositories.json").write_text("not JSON")
        with pytest.raises(Unavailable):
            await require_allowed_image(gateway.backends, "anything")
        assert (await gateway.http.get("/system/config")).status_code == 503


async def test_a_list_of_allowed_images_that_is_no_list_is_refused(gateway: Gateway) -> None:
    for wrong in ("docker.io", [1], [["x"]], ["x" * 1000], ["x"] * 2000):
        answer = await gateway.http.put("/system/config", json={"allowed_image_repositories": wrong})
        assert answer.status_code == 400
        assert answer.text.startswith("allowed_image_repositories: ")


async def test_the_status_counts_in_whole_numbers(gateway: Gateway) -> None:
    status = (await gateway.http.get("/system/status")).json()
    (node,) = status["cluster"]["nodes"]
    numbers = [
        *status["cluster"]["metrics"]["cpu"].values(),
        *status["cluster"]["metrics"]["memory"].values(),
        *node["cpu"].values(),
        *node["memory"].values(),
        *status["oscar"]["pods"]["states"].values(),
        *status["minio"].values(),
        status["oscar"]["jobs_count"],
    ]
    assert all(type(number) is int and number >= 0 for number in numbers)
    assert node["cpu"]["capacity_cores"] % 1000 == 0
    assert status["oscar"]["deployment"]["creation_timestamp"].endswith("Z")


async def test_the_status_counts_jobs_and_objects(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("counted")
        await gateway.submit("counted")
        await gateway.http.post("/system/buckets", json={"bucket_name": "counted"})
        status = (await gateway.http.get("/system/status")).json()
    assert status["oscar"]["pods"]["states"]["Pending"] == status["oscar"]["jobs_count"] == 1
    assert status["minio"] == {"buckets_count": 1, "total_objects": 0}
