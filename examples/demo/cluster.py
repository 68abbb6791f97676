"""The demo's gateway on a cluster: installed by Helm from this repository's chart, with a broker, a database,
an object store, Kubernetes and Knative beside it, all real. Within scripts/with-cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.client import Client, DemoError

IMAGES = {
    f"oscar-gateway-examples/{name}": f"dev.local/{name}:1"
    for name in ("cowsay", "grayscale", "text-to-speech")
}
"""As scripts/cluster/image made them: Knative asks no registry about names that begin so."""


@contextmanager
def installed_gateway(data_dir: Path, log: Path) -> Iterator[Client]:
    """A client of a gateway that serves. Raises DemoError if it does not come up. What both processes wrote
    is in `log` afterwards."""
    # Needs what tests need, which the other demo does without.
    from tests.servers.installation import VARIABLES, installation  # noqa: PLC0415

    if missing := [name for name in VARIABLES if not os.environ.get(name)]:
        raise DemoError(f"{', '.join(missing)} not set: run it by make cluster-demo")
    try:
        with installation(data_dir) as installed:
            try:
                yield Client(
                    installed.endpoints["url"],
                    installed.endpoints["username"],
                    installed.endpoints["password"],
                    beside="RabbitMQ, PostgreSQL, MinIO, Kubernetes and Knative",
                    images=IMAGES,
                    # A small node starts the job's pod when it has ended the one that answered the call.
                    patience=5,
                )
            finally:
                labels = ("-l", "app.kubernetes.io/name=oscar-gateway", "--prefix", "--tail=-1")
                log.write_text(installed.kubectl("-n", installed.namespace, "logs", *labels))
    except AssertionError as error:
        raise DemoError(str(error)) from error
