"""The layout: what the parts of a run's workspace are called. Shared with the runner, so it imports
nothing."""

SCRIPT = "config/script.sh"
CONFIG = "config/function_config.yaml"
INPUT = "input"
OUTPUT = "output"
SCRATCH = "scratch"
"""Working directory, HOME and TMPDIR of a script that runs as a process."""

BODY = "body"
STDOUT = "stdout"
STDOUT_CUT = "stdout.cut"
"""There when the script printed more than is kept."""
LOG = "log"

CONTAINER_ROOT = "/oscar"
"""The workspace in a container, where OSCAR's images expect the script."""

ORDER = "order"
ALIVE = "alive"
"""Locked for as long as the runner lives."""
BEGAN = "began"
STOP = "stop"
EXIT = "exit"
