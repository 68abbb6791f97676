"""Rules: which objects a store tells the gateway of, as its bucket notification has them. Pure.

A bucket has one such configuration for everybody, replaced as a whole: what others put there is kept as it
is, and what is ours is known by its id.
"""

import hashlib
import re
from collections.abc import Iterable

from gateway.backends.objects.markup import Markup, Node, document, element

EVENTS = tuple(f"s3:ObjectCreated:{what}" for what in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
"""Not `ObjectCreated:*`: MinIO counts tagging an object among them."""
RULES_LIMIT = 100
"""Amazon takes no more; MinIO takes seconds from 1,000 on."""

_REFUSED = re.compile(r"\\|(?<![^/])\.{1,2}(?![^/])")
"""In a prefix, by MinIO: a backslash, or `.` or `..` between slashes."""


def merged(current: Node, *, owner: str, arn: str, prefixes: Iterable[str]) -> bytes | None:
    """The configuration with rules for exactly these prefixes among ours, None if it says so already.

    Ours are those of the id `<owner>-…`.
    """
    wanted = {rule.id: rule for rule in (_Rule(owner, arn, prefix) for prefix in covering(prefixes))}
    kept: list[str] = []
    there: set[str] = set()
    stale = False
    for node in current.children:
        name = node.value("Id") or node.value("ID") or ""
        if not re.fullmatch(re.escape(owner) + "-[0-9a-f]{24}", name):
            kept.append(_written(node))
        elif name in wanted and wanted[name].stands_in(node):
            there.add(name)
        else:
            stale = True
    if not stale and there == set(wanted):
        return None
    return document("NotificationConfiguration", *kept, *(rule.written() for rule in wanted.values()))


def covering(prefixes: Iterable[str]) -> list[str]:
    """The fewest prefixes below which everything below the given ones is: overlapping ones are refused, and
    what is too much is sorted out when the notice comes."""
    found: list[str] = []
    for prefix in sorted({_cut(prefix) for prefix in prefixes}):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return [_common(found[0], found[-1])] if len(found) > RULES_LIMIT else found


class _Rule:
    def __init__(self, owner: str, arn: str, prefix: str) -> None:
        self._arn = arn
        self._prefix = prefix
        self._kind, self._target = _kind_of(arn)
        digest = hashlib.sha256(f"{arn} {prefix}".encode("utf-8", "surrogatepass")).hexdigest()
        self.id = f"{owner}-{digest[:24]}"

    def stands_in(self, node: Node) -> bool:
        """The id says which prefix and target; that nobody has changed it by hand, these."""
        events = {event.text for event in node.all("Event")}
        return (
            node.value(self._target) == self._arn and events == set(EVENTS) and self._prefix in _values(node)
        )

    def written(self) -> str:
        chosen = element("FilterRule", element("Name", "prefix"), element("Value", self._prefix))
        return element(
            self._kind,
            element("Id", self.id),
            element(self._target, self._arn),
            *(element("Event", event) for event in EVENTS),
            *([element("Filter", element("S3Key", chosen))] if self._prefix else ()),
        )


def _kind_of(arn: str) -> tuple[str, str]:
    """The configuration's element and its target's, by the service in the ARN."""
    kinds = {
        "sns": ("TopicConfiguration", "Topic"),
        "lambda": ("CloudFunctionConfiguration", "CloudFunction"),
    }
    return kinds.get("".join(arn.split(":")[2:3]), ("QueueConfiguration", "Queue"))


def _values(node: Node) -> list[str]:
    """Of its filter; an empty prefix where there is none."""
    keys = [key for each in node.all("Filter") for key in each.all("S3Key")]
    return [rule.value("Value") or "" for key in keys for rule in key.all("FilterRule")] or [""]


def _written(node: Node) -> str:
    text = node.text if not node.children else ""
    return element(node.name, text, *(Markup(_written(child)) for child in node.children))


def _cut(prefix: str) -> str:
    """As far as a store takes it."""
    found = _REFUSED.search(prefix)
    return prefix[: found.start()] if found else prefix


def _common(first: str, last: str) -> str:
    """What all between these two, in order, begin with."""
    same = 0
    while first[same : same + 1] and first[same : same + 1] == last[same : same + 1]:
        same += 1
    return first[:same]
