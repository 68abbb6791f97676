"""A Knative ingress for test clusters: a small controller with nginx as the data plane.

It lists and watches the ingresses.networking.internal.knative.dev of class
lab.ingress.networking.knative.dev and the Services they name, writes an nginx configuration from them,
reloads nginx, waits until the new configuration answers, and only then marks each Ingress Ready. The
Service knative-serving/lab-ingress leads to nginx; naming it in the status of an Ingress makes Knative
point <ksvc>.<namespace>.svc.cluster.local at it, so pods reach KServices by that name.

Runs on the machine's own Python, and needs kubectl and nginx.
Not there: TLS, HTTP/2 to backends (so no gRPC), header matches (tag-header-based-routing), DomainMapping.
"""

import argparse
import signal
import sys
import threading
import time

from cluster import Kubectl, follow
from configuration import render
from nginx import Nginx
from status import announce, mark_ready
from telling import tell

INGRESSES = "/apis/networking.internal.knative.dev/v1alpha1/ingresses"
SERVICES = "/api/v1/services"
TOGETHER_S = 0.05
"""Changes that come so close together make one reload."""


def main():
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    kubectl = Kubectl(asked.kubectl, asked.kubeconfig)
    with Nginx(asked.dir, address=asked.address, port=asked.port) as nginx:
        if not nginx.takes():
            sys.exit(f"nginx did not start: see error.log in {asked.dir}")
        announce(kubectl, address=asked.address, port=asked.port)
        serve(kubectl, nginx)
    sys.exit("nginx ended")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", required=True, help="of the configuration, error log and pid file")
    parser.add_argument("--address", default="10.244.0.1")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--kubeconfig", required=True)
    return parser.parse_args()


def serve(kubectl, nginx):
    """For as long as nginx runs, what the cluster asks for is what it serves."""
    changed = threading.Event()
    ingresses, services = {}, {}
    for path, store in ((INGRESSES, ingresses), (SERVICES, services)):
        threading.Thread(target=follow, args=(kubectl, path, changed, store), daemon=True).start()
    while nginx.runs():
        if not changed.wait(2) or not (ingresses and services):
            continue
        time.sleep(TOGETHER_S)
        changed.clear()
        body, served = render(ingresses["objects"], services["objects"], nginx.listen)
        if not nginx.load(body):
            tell(f"nginx did not take generation {nginx.generation} - see error.log")
            continue
        for ingress in served:
            mark_ready(kubectl, ingress)


if __name__ == "__main__":
    main()
