"""The few requests that the demo makes, by the standard library: to read, not to build on."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

ANSWER_LIMIT_S = 60
JOB_LIMIT_S = 60
ENDED = ("succeeded", "failed", "dead", "cancelled")
T = TypeVar("T")


class DemoError(Exception):
    """Something that should have worked; the text says what."""


def wait_for(what: str, look: Callable[[], T | None], *, limit_s: float) -> T:
    """What `look` finds, at the latest after `limit_s`. Raises DemoError then."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise DemoError(f"waited {limit_s:g} s in vain for {what}")


class Client:
    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        *,
        beside: str = "nothing else",
        images: Mapping[str, str] | None = None,
        patience: int = 1,
    ) -> None:
        """`images` are other names of the services' images, where nodes have them under such; `patience` is
        how many times longer things may take than on this machine alone."""
        self.url = url
        self.beside = beside
        self._images = images or {}
        self._patience = patience
        self._user = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        # No proxy of the environment: the gateway is on this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ready(self) -> bool:
        try:
            self._ask("GET", "/ready")
        except DemoError:
            return False
        return True

    def deploy(self, fdl: Path) -> None:
        """Every service of an FDL file, its script inlined, as oscar-cli does."""
        for entry in yaml.safe_load(fdl.read_text())["functions"]["oscar"]:
            for service in entry.values():
                script = (fdl.parent / service["script"]).read_text()
                image = self._images.get(service["image"], service["image"])
                body = json.dumps(service | {"script": script, "image": image}).encode()
                self._ask("POST", "/system/services", body)

    def run(self, service: str, body: bytes) -> bytes:
        """The answer of `POST /run`: a file the script left, in Base64, or the text it printed."""
        token = self._ask_json("GET", f"/system/services/{service}")["token"]
        return self._ask("POST", f"/run/{service}", body, authorization=f"Bearer {token}")

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        self._send("PUT", self._presign(bucket, key, "upload"), content, {})

    def download(self, bucket: str, key: str) -> bytes:
        return self._send("GET", self._presign(bucket, key, "download"), None, {})

    def list_objects(self, bucket: str, folder: str) -> list[str]:
        found = self._ask_json("GET", f"/system/buckets/{bucket}").get("objects") or []
        return [item["object_name"] for item in found if item["object_name"].startswith(folder)]

    def wait_for_job(self, service: str) -> str:
        """The id of the service's newest job once it succeeded. Raises DemoError with its log if not."""

        def look() -> dict[str, Any] | None:
            jobs: list[dict[str, Any]] = self._ask_json("GET", f"/v1/jobs?service={service}")["jobs"]
            return jobs[0] if jobs and jobs[0]["state"] in ENDED else None

        job = wait_for(f"a job of {service} to end", look, limit_s=JOB_LIMIT_S * self._patience)
        name = str(job["id"])
        if job["state"] != "succeeded":
            log = self._ask("GET", f"/system/logs/{service}/{name}").decode(errors="replace")
            raise DemoError(f"job {name} is {job['state']}, with this log:\n{log}")
        return name

    def _presign(self, bucket: str, key: str, operation: str) -> str:
        order = json.dumps({"object_key": key, "operation": operation}).encode()
        return str(self._ask_json("POST", f"/system/buckets/{bucket}/presign", order)["url"])

    def _ask_json(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(method, path, body))
        return answer

    def _ask(self, method: str, path: str, body: bytes | None = None, *, authorization: str = "") -> bytes:
        return self._send(method, self.url + path, body, {"Authorization": authorization or self._user})

    def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        # A type must be named: urllib would call everything a form.
        headers = {"Content-Type": "application/octet-stream"} | headers if body is not None else headers
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        place = f"{method} {url.partition('?')[0]}"
        try:
            with self._opener.open(request, timeout=ANSWER_LIMIT_S * self._patience) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            raise DemoError(f"{place}: {error.code} {error.reason}: {text}") from error
        except OSError as error:
            raise DemoError(f"{place}: {error}") from error
