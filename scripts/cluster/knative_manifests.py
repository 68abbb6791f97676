#!/usr/bin/python3
"""Prints Knative's manifests as a small cluster without an image registry takes them:
    knative_manifests.py <file or folder> ...
Images are those that knative-up makes, nothing is requested of two cores, and what needs a metrics server is
left out.
"""

import re
import sys
from pathlib import Path

import yaml

NOT_HERE = ("HorizontalPodAutoscaler", "PodDisruptionBudget")
FIRST_PROBE_S = {"readinessProbe": 1, "livenessProbe": 20}


def files(places):
    for place in map(Path, places):
        yield from [place] if place.is_file() else sorted(place.rglob("*.yaml"))


def documents(text):
    text = re.sub(r"ko://knative.dev/serving/cmd/(\w+)", r"dev.local/kn-\1:1", text)
    for document in yaml.safe_load_all(text):
        if document and document["kind"] not in NOT_HERE:
            yield shrunk(document) if document["kind"] == "Deployment" else document


def shrunk(deployment):
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        container["imagePullPolicy"] = "Never"
        for kind in ("requests", "limits"):
            container.get("resources", {}).pop(kind, None)
        for probe, delay_s in FIRST_PROBE_S.items():
            if probe in container:
                container[probe]["initialDelaySeconds"] = delay_s
    return deployment


found = [document for file in files(sys.argv[1:]) for document in documents(file.read_text())]
sys.stdout.write(yaml.safe_dump_all(found))
