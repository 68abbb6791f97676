"""What the API server has, by kubectl: followed by list and watch."""

import ctypes
import json
import signal
import subprocess
import time

from telling import tell

AGAIN_S = 0.5
WATCHED_S = 600
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Kubectl:
    """Of one cluster."""

    def __init__(self, program, kubeconfig):
        self._command = [program, "--kubeconfig", kubeconfig]

    def run(self, *arguments, check=True, **options):
        """A completed process; options as subprocess.run has them."""
        return subprocess.run([*self._command, *arguments], check=check, **options)

    def listed(self, path):
        return json.loads(self.run("get", "--raw", path, stdout=subprocess.PIPE).stdout)

    def watched(self, path, version):
        """Event by event, until the server ends it."""
        query = f"?watch=1&timeoutSeconds={WATCHED_S}&resourceVersion={version}"
        command = [*self._command, "get", "--raw", path + query]
        with child(command, stdout=subprocess.PIPE) as watching:
            try:
                yield from map(json.loads, watching.stdout)
            finally:
                watching.kill()


def child(command, **options):
    """A process that gets SIGTERM when this program ends, however it ends."""

    def end_with_parent():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    # Nothing else is done between fork and exec, so no lock of another thread is needed there.
    return subprocess.Popen(command, preexec_fn=end_with_parent, **options)  # noqa: PLW1509


def follow(kubectl, path, changed, store):
    """Keep store["objects"] equal to what the API server has at path, for ever; sets `changed` each time."""
    while True:
        try:
            for objects in states(kubectl, path):
                store["objects"] = objects
                changed.set()
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            tell(f"watch of {path} {error!r}")
        time.sleep(AGAIN_S)


def states(kubectl, path):
    """All objects there, by namespace and name: first as listed, then after every change. Each a dict of its
    own, since another thread reads it."""
    got = kubectl.listed(path)
    objects = {key(one): one for one in got["items"]}
    yield dict(objects)
    for event in kubectl.watched(path, got["metadata"]["resourceVersion"]):
        if event["type"] == "ERROR":  # the resource version is too old: list again
            return
        objects.pop(key(event["object"]), None)
        if event["type"] != "DELETED":
            objects[key(event["object"])] = event["object"]
        yield dict(objects)


def key(one):
    return one["metadata"]["namespace"], one["metadata"]["name"]
