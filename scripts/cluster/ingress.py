#!/usr/bin/python3
"""A Knative ingress for test clusters: a small controller with nginx as the data plane.

It lists and watches the ingresses.networking.internal.knative.dev of class lab.ingress.networking.knative.dev and the
Services they name, writes an nginx configuration from them, reloads nginx, waits until the new configuration answers,
and only then marks each Ingress Ready.  Every host of every rule (cluster-local names too) becomes one nginx server that
passes requests on to the ClusterIP of its backend, or of one of several backends drawn by weight (split_clients).
Any other host answers 404.  The Service knative-serving/lab-ingress leads to nginx; naming it in the status of an
Ingress makes Knative point <ksvc>.<namespace>.svc.cluster.local at it, so pods reach KServices by that name.

nginx is a child of this program: it runs from --dir (configuration, error log, pid file) and ends with it.  It neither
buffers nor limits bodies, and its timeouts are a day long, so that only Knative's own limits act.  Needs kubectl and nginx.
Not there: TLS, HTTP/2 to backends (so no gRPC), header matches (tag-header-based-routing), DomainMapping.
"""

import argparse
import contextlib
import ctypes
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

CLASS, CLASS_KEY = "lab.ingress.networking.knative.dev", "networking.knative.dev/ingress.class"
INGRESSES, SERVICES = "/apis/networking.internal.knative.dev/v1alpha1/ingresses", "/api/v1/services"
NS, NAME, LIBC = "knative-serving", "lab-ingress", ctypes.CDLL(None)
HEAD = """daemon off; worker_processes 2; pid nginx.pid; error_log error.log warn; user nobody nogroup;
events { worker_connections 4096; }
http {
  access_log off; server_tokens off;
  server_names_hash_max_size 8192; server_names_hash_bucket_size 512; map_hash_bucket_size 512; variables_hash_max_size 8192;
  client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
  client_max_body_size 0; client_body_timeout 1d; send_timeout 1d; keepalive_requests 1000000;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off; large_client_header_buffers 8 64k;
  proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; proxy_max_temp_file_size 0;
  proxy_connect_timeout 30s; proxy_send_timeout 1d; proxy_read_timeout 1d; proxy_buffer_size 64k; proxy_buffers 8 64k;
  proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Accel-Buffering;
  proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset Vary;
  map $http_upgrade $connection_up { default upgrade; "" ""; }
  server { listen LISTEN default_server;
    location = /lab-ingress-generation { return 200 "GENERATION"; }
    location / { return 404; } }
"""
STANDARD = {
    "Host": "$http_host",
    "Upgrade": "$http_upgrade",
    "Connection": "$connection_up",
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme",
}


def log(*a):
    print(datetime.datetime.now().strftime("%H:%M:%S.%f")[:-3], *a, flush=True)


def child(args, **k):
    """A child process that gets SIGTERM when this program ends, however it ends (1 is PR_SET_PDEATHSIG)."""
    return subprocess.Popen(args, preexec_fn=lambda: LIBC.prctl(1, signal.SIGTERM), **k)


def follow(kubectl, path, changed, store):
    """Thread: keeps store["objects"] equal to what the API server has at path, by list and watch; sets `changed` each time."""
    key, get = lambda o: (o["metadata"]["namespace"], o["metadata"]["name"]), [*kubectl, "get", "--raw"]
    while True:
        try:
            got = json.loads(subprocess.run([*get, path], check=True, stdout=subprocess.PIPE).stdout)
            objects = {key(o): o for o in got["items"]}
            store["objects"] = dict(objects)  # a fresh dict each time: another thread reads it
            changed.set()
            query = "?watch=1&timeoutSeconds=600&resourceVersion=" + got["metadata"]["resourceVersion"]
            for line in child([*get, path + query], stdout=subprocess.PIPE).stdout:
                event = json.loads(line)
                if event["type"] == "ERROR":  # the resource version is too old: list again
                    break
                objects.pop(key(event["object"]), None)
                if event["type"] != "DELETED":
                    objects[key(event["object"])] = event["object"]
                store["objects"] = dict(objects)
                changed.set()
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as e:
            log("watch of", path, repr(e))
        time.sleep(0.5)


def quoted(s):
    if not re.fullmatch(r"[^\x00-\x1f$]*", s):  # a dollar sign cannot be escaped in an nginx string
        raise ValueError("unsupported character in %r" % s)
    return '"%s"' % s.replace("\\", "\\\\").replace('"', '\\"')


def upstream(split, services, upstreams):
    """The name of the upstream block for the Service and port of a split."""
    ns, name, port = split["serviceNamespace"], split["serviceName"], split["servicePort"]
    spec = services[ns, name]["spec"]
    port = next(p["port"] for p in spec["ports"] if port in (p["port"], p.get("name")))
    if spec.get("clusterIP", "None") in ("", "None"):
        raise LookupError("Service %s/%s has no ClusterIP" % (ns, name))
    u = "u.%s.%s.%d" % (ns, name, port)
    upstreams[u] = "  upstream %s { server %s:%d max_fails=0; keepalive 64; keepalive_timeout 5s; }\n" % (
        u,
        spec["clusterIP"],
        port,
    )
    return u


def location(path, services, upstreams, maps):
    """One location block.  Several splits add a draw (split_clients), and maps from it to the upstream and the headers."""
    if path.get("headers") or path.get("rewriteHost"):
        raise ValueError("header matches and rewriteHost are not supported")
    splits = [s for s in path["splits"] if s.get("percent", 100) > 0]
    targets = [upstream(s, services, upstreams) for s in splits]
    headers = [{**path.get("appendHeaders", {}), **s.get("appendHeaders", {})} for s in splits]
    target, sets = targets[0], {h: quoted(v) for h, v in headers[0].items()}
    if len(splits) > 1:
        draw, names = "$draw%d" % len(maps), sorted({h for d in headers for h in d})
        shares = ["%d%% s%d;" % (s["percent"], i) for i, s in enumerate(splits[:-1])] + [
            "* s%d;" % (len(splits) - 1)
        ]
        table = lambda var, values: (
            "  map %s %s { %s }\n" % (draw, var, " ".join("s%d %s;" % p for p in enumerate(values)))
        )
        target, sets = draw + "_to", {h: "%s_h%d" % (draw, i) for i, h in enumerate(names)}
        maps.append(
            "  split_clients $request_id %s { %s }\n%s%s"
            % (
                draw,
                " ".join(shares),
                table(target, targets),
                "".join(table(sets[h], [quoted(d.get(h, "")) for d in headers]) for h in names),
            )
        )
    lines = " ".join("proxy_set_header %s %s;" % p for p in {**STANDARD, **sets}.items())
    return "    location %s { proxy_pass http://%s; %s }\n" % (quoted(path.get("path") or "/"), target, lines)


def render(ingresses, services, listen):
    """The nginx configuration after its head, and the Ingresses that it serves."""
    upstreams, maps, servers, served = {}, [], {}, []
    for key, ingress in sorted(ingresses.items()):
        meta = ingress["metadata"]
        if meta.get("annotations", {}).get(CLASS_KEY) != CLASS or meta.get("deletionTimestamp"):
            continue
        try:
            for rule in ingress["spec"].get("rules", []):
                body = "".join(location(p, services, upstreams, maps) for p in rule["http"]["paths"])
                for host in rule["hosts"]:
                    servers.setdefault(
                        host, "  server { listen %s; server_name %s;\n%s  }\n" % (listen, quoted(host), body)
                    )
            served.append(ingress)
        except (LookupError, StopIteration, ValueError) as e:
            log("ingress %s/%s waits: %r" % (*key, e))
    return "".join(maps) + "".join(upstreams.values()) + "".join(servers.values()) + "}\n", served


def workers(nginx):
    """The worker processes that accept connections: process ids.  An old one says in its title that it does not any more."""
    listed = pathlib.Path("/proc/%d/task/%d/children" % (nginx.pid, nginx.pid)).read_text().split()
    titles = {}
    for pid in listed:
        with contextlib.suppress(OSError):  # ended meanwhile
            titles[pid] = pathlib.Path("/proc", pid, "cmdline").read_bytes()
    return {pid for pid, title in titles.items() if b"shutting down" not in title}


def mark_ready(kubectl, ingress):
    """Sets the status of an Ingress, once per generation."""
    meta, old = ingress["metadata"], ingress.get("status", {})
    ready = ("Ready", "True") in [(c["type"], c["status"]) for c in old.get("conditions", [])]
    if ready and old.get("observedGeneration") == meta["generation"]:
        return
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    lb = {"ingress": [{"domainInternal": NAME + "." + NS + ".svc.cluster.local"}]}
    status = {
        "observedGeneration": meta["generation"],
        "publicLoadBalancer": lb,
        "privateLoadBalancer": lb,
        "conditions": [
            {"type": t, "status": "True", "lastTransitionTime": now}
            for t in ("LoadBalancerReady", "NetworkConfigured", "Ready")
        ],
    }
    patch = [
        "patch",
        "ingresses.networking.internal.knative.dev",
        meta["name"],
        "--type=merge",
        "--subresource=status",
    ]
    r = subprocess.run(
        [*kubectl, "-n", meta["namespace"], *patch, "-p", json.dumps({"status": status})],
        capture_output=True,
        text=True,
    )
    log(
        "ready" if r.returncode == 0 else r.stderr.strip(),
        meta["namespace"],
        meta["name"],
        "generation",
        meta["generation"],
    )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", required=True)
    for name, default in (("address", "10.244.0.1"), ("kubectl", "kubectl"), ("kubeconfig", None)):
        p.add_argument("--" + name, default=default, required=default is None)
    p.add_argument("--port", type=int, default=80)
    a = p.parse_args()
    kubectl = [a.kubectl, "--kubeconfig", a.kubeconfig]
    folder, listen = os.path.abspath(a.dir), "%s:%d" % (a.address, a.port)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    os.makedirs(folder, exist_ok=True)

    def write(body, generation):
        head = HEAD.replace("LISTEN", listen).replace("GENERATION", str(generation))
        pathlib.Path(folder, "nginx.conf").write_text(head + body)

    def answers(generation):
        try:
            with opener.open("http://%s/lab-ingress-generation" % listen, timeout=2) as answer:
                return answer.read() == b"%d" % generation
        except OSError:
            return False

    def takes(nginx, generation, old=frozenset()):
        """Whether that configuration answers, and no old worker accepts connections any more, also on a busy machine."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if answers(generation) and not old & workers(nginx):
                return True
            time.sleep(0.02)
        return False

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    last, generation = "}\n", 0
    write(last, generation)
    nginx = child(["nginx", "-p", folder + "/", "-c", folder + "/nginx.conf"])
    try:
        if not takes(nginx, 0):
            sys.exit("nginx did not start: see error.log in " + folder)
        objects = [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "spec": {"ports": [{"name": "http", "port": 80, "targetPort": a.port}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": a.port}],
                "endpoints": [{"addresses": [a.address]}],
            },
        ]
        for o in objects:
            o["metadata"] = {"name": NAME, "namespace": NS, "labels": {"kubernetes.io/service-name": NAME}}
            subprocess.run(
                [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-"],
                input=json.dumps(o).encode(),
                check=True,
            )
        changed = threading.Event()
        ingresses, services = {}, {}
        for path, store in ((INGRESSES, ingresses), (SERVICES, services)):
            threading.Thread(target=follow, args=(kubectl, path, changed, store), daemon=True).start()
        while nginx.poll() is None:
            if not changed.wait(2) or not (ingresses and services):
                continue
            time.sleep(0.05)  # changes that come together make one reload
            changed.clear()
            body, served = render(ingresses["objects"], services["objects"], listen)
            if body != last:
                generation += 1
                write(body, generation)
                old = workers(nginx)
                nginx.send_signal(
                    signal.SIGHUP
                )  # a configuration that nginx refuses leaves the old one in place
                if not takes(nginx, generation, old):
                    log("nginx did not take generation", generation, "- see error.log")
                    continue
                last = body
            for ingress in served:
                mark_ready(kubectl, ingress)
        sys.exit("nginx ended")
    finally:
        nginx.terminate()
        nginx.wait(10)


if __name__ == "__main__":
    main()
