"""A cluster that runs pods, for tests: a namespace of one's own on it.

Found by `TEST_KUBECONFIG`, with `TEST_POD_IMAGE`, this project's image as its nodes know it, `TEST_POD_HOST`,
an address of this machine that its pods reach, and `TEST_SCRIPT_IMAGE`, any image with a shell. Without them
the test is skipped, and fails with `CI=true`.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

VARIABLES = ("TEST_KUBECONFIG", "TEST_POD_IMAGE", "TEST_POD_HOST", "TEST_SCRIPT_IMAGE")


@dataclass(frozen=True)
class ClusterNamespace:
    kubeconfig: str
    namespace: str
    pod_image: str
    pod_host: str
    script_image: str

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Its output. `given` is an object for `-f -`."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", self.kubeconfig, "-n", self.namespace, *arguments],
            input=None if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def found(self, *kinds: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", ",".join(kinds), "-o", "json"))["items"]
        return items


@contextmanager
def cluster_namespace() -> Iterator[ClusterNamespace]:
    given = [os.environ.get(name, "") for name in VARIABLES]
    if not all(given):
        missing = f"no cluster that runs pods: {', '.join(VARIABLES)} are not set"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    kubeconfig, pod_image, pod_host, script_image = given
    cluster = ClusterNamespace(
        kubeconfig, f"launcher-{secrets.token_hex(4)}", pod_image, pod_host, script_image
    )
    cluster.kubectl("create", "namespace", cluster.namespace)
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")
