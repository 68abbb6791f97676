"""Where things are in a job's pod: the workspace, which all its containers see; the pipes between them, in
the workspace; and what is ours alone."""

from pathlib import Path

from gateway.staging import layout

ROOT = Path(layout.CONTAINER_ROOT)

RUN = ROOT / "run"
RUNNER = RUN / "runner.sh"
ENVIRONMENT = RUN / "environment"
ALIVE = RUN / "alive"
"""A FIFO that the runner holds open for as long as it lives. In it: see runner.sh."""
STOP = RUN / "stop"
"""A FIFO: names of signals for all processes of the script's container."""
PIPE = RUN / "pipe"
"""A FIFO from the script's standard output to the container's own and STDOUT."""
STDOUT = RUN / "stdout"

OWN = Path("/own")
ORDER = OWN / "order.json"

TERMINATION_LOG = Path("/dev/termination-log")
"""What stands there is in the pod's status: Kubernetes' own place for last words, 4 KiB."""
