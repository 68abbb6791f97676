"""From Ingresses and Services to nginx's configuration. Every host of every rule (cluster-local names too)
becomes one server that passes requests on to the ClusterIP of its backend, or of one of several drawn by
weight (split_clients).
"""

import re

from telling import tell

CLASS, CLASS_KEY = "lab.ingress.networking.knative.dev", "networking.knative.dev/ingress.class"
STANDARD = {
    "Host": "$http_host",
    "Upgrade": "$http_upgrade",
    "Connection": "$connection_up",
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme",
}


def render(ingresses, services, listen):
    """What comes after the head, and the Ingresses that it serves; one that cannot be served is told of."""
    blocks, served = Blocks(services), []
    for key, ingress in sorted(ingresses.items()):
        if not ours(ingress["metadata"]):
            continue
        try:
            for rule in ingress["spec"].get("rules", []):
                blocks.add_rule(rule, listen)
            served.append(ingress)
        except (LookupError, StopIteration, ValueError) as error:
            tell(f"ingress {'/'.join(key)} waits: {error!r}")
    return blocks.text(), served


def ours(metadata):
    return metadata.get("annotations", {}).get(CLASS_KEY) == CLASS and not metadata.get("deletionTimestamp")


class Blocks:
    """The blocks of a configuration, while it is made."""

    def __init__(self, services):
        self._services = services
        self._maps = []
        self._upstreams = {}
        self._servers = {}

    def text(self):
        return "".join([*self._maps, *self._upstreams.values(), *self._servers.values()]) + "}\n"

    def add_rule(self, rule, listen):
        """A server for each host, unless another rule has it. Raises LookupError, ValueError."""
        locations = "".join(self._location(path) for path in rule["http"]["paths"])
        for host in rule["hosts"]:
            server = f"  server {{ listen {listen}; server_name {quoted(host)};\n{locations}  }}\n"
            self._servers.setdefault(host, server)

    def _location(self, path):
        if path.get("headers") or path.get("rewriteHost"):
            raise ValueError("header matches and rewriteHost are not supported")
        splits = [split for split in path["splits"] if split.get("percent", 100) > 0]
        targets = [self._upstream(split) for split in splits]
        headers = [{**path.get("appendHeaders", {}), **split.get("appendHeaders", {})} for split in splits]
        if len(splits) > 1:
            target, sets = self._draw(splits, targets, headers)
        else:
            target, sets = targets[0], {name: quoted(value) for name, value in headers[0].items()}
        lines = " ".join(f"proxy_set_header {name} {value};" for name, value in {**STANDARD, **sets}.items())
        place = quoted(path.get("path") or "/")
        return f"    location {place} {{ proxy_pass http://{target}; {lines} }}\n"

    def _upstream(self, split):
        """The name of the block for the Service and port of a split."""
        namespace, name, port = split["serviceNamespace"], split["serviceName"], split["servicePort"]
        spec = self._services[namespace, name]["spec"]
        port = next(one["port"] for one in spec["ports"] if port in (one["port"], one.get("name")))
        if spec.get("clusterIP", "None") in ("", "None"):
            raise LookupError(f"Service {namespace}/{name} has no ClusterIP")
        upstream = f"u.{namespace}.{name}.{port}"
        server = f"server {spec['clusterIP']}:{port} max_fails=0; keepalive 64; keepalive_timeout 5s;"
        self._upstreams[upstream] = f"  upstream {upstream} {{ {server} }}\n"
        return upstream

    def _draw(self, splits, targets, headers):
        """Variables for the upstream and the headers of a request, by a draw among the splits."""
        draw = f"$draw{len(self._maps)}"
        shares = [f"{split['percent']}% s{place};" for place, split in enumerate(splits[:-1])]
        shares.append(f"* s{len(splits) - 1};")
        names = sorted({name for one in headers for name in one})
        sets = {name: f"{draw}_h{place}" for place, name in enumerate(names)}
        of_headers = [
            table(draw, sets[name], [quoted(one.get(name, "")) for one in headers]) for name in names
        ]
        split_clients = f"  split_clients $request_id {draw} {{ {' '.join(shares)} }}\n"
        self._maps.append("".join([split_clients, table(draw, f"{draw}_to", targets), *of_headers]))
        return f"{draw}_to", sets


def table(draw, variable, values):
    """A map from the place that was drawn to a value."""
    entries = " ".join(f"s{place} {value};" for place, value in enumerate(values))
    return f"  map {draw} {variable} {{ {entries} }}\n"


def quoted(text):
    if not re.fullmatch(r"[^\x00-\x1f$]*", text):  # a dollar sign cannot be escaped in an nginx string
        raise ValueError(f"unsupported character in {text!r}")
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
