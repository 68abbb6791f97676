"""Matching: which objects a service's input rules take, and where its output rules put a file.

Rules for other providers than the gateway's own store neither take nor put anything here.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.domain.definition import Service


class Rule(Protocol):
    """A storage rule, of a definition or of a work order."""

    @property
    def bucket(self) -> str: ...
    @property
    def folder(self) -> str: ...
    @property
    def embedded(self) -> bool: ...
    @property
    def prefix(self) -> tuple[str, ...]: ...
    @property
    def suffix(self) -> tuple[str, ...]: ...


class Putting(Protocol):
    """What has output rules: a service, or what a work order says of one."""

    @property
    def output(self) -> Sequence[Rule]: ...


def takes(service: "Service", bucket: str, key: str) -> bool:
    """Whether this object is work for the service. Folders' own markers (`in/`) never are."""
    return not key.endswith("/") and any(
        rule.bucket == bucket and key.startswith(_below(rule)) and _chosen(rule, key[len(_below(rule)) :])
        for rule in service.input
        if rule.embedded
    )


def puts(service: Putting, bucket: str, key: str) -> bool:
    """Whether an output of the service may be put there."""
    return any(
        rule.bucket == bucket and key.startswith(_below(rule)) and _chosen(rule, key[len(_below(rule)) :])
        for rule in service.output
        if rule.embedded
    )


def destinations(service: Putting, relative_name: str) -> tuple[tuple[str, str], ...]:
    """Bucket and key of every place for an output file, each once. The name has slashes between folders."""
    places = (
        (rule.bucket, _below(rule) + relative_name)
        for rule in service.output
        if rule.embedded and _chosen(rule, relative_name)
    )
    return tuple(dict.fromkeys(places))


def buckets_of(service: "Service") -> tuple[str, ...]:
    """The buckets its rules need, each once, those of its input first."""
    return tuple(dict.fromkeys(rule.bucket for rule in _embedded(service)))


def input_buckets(service: "Service") -> frozenset[str]:
    """The buckets its work comes from."""
    return frozenset(rule.bucket for rule in service.input if rule.embedded)


def feeds_itself(service: "Service") -> bool:
    """Whether what it writes could be its own work, were it not marked."""
    return any(
        into.bucket == taken.bucket
        and (_below(into).startswith(_below(taken)) or _below(taken).startswith(_below(into)))
        for into in service.output
        for taken in service.input
        if into.embedded and taken.embedded
    )


def input_prefixes(service: "Service") -> tuple[tuple[str, str, str], ...]:
    """Bucket, key prefix and path of each input rule: what `takes` could take is listed under the prefix."""
    return tuple(
        dict.fromkeys((rule.bucket, _below(rule), rule.path) for rule in service.input if rule.embedded)
    )


def _embedded(service: "Service") -> Iterator[Rule]:
    return (rule for rule in (*service.input, *service.output) if rule.embedded)


def _below(rule: Rule) -> str:
    """What keys in the rule's folder begin with."""
    return f"{rule.folder}/" if rule.folder else ""


def _chosen(rule: Rule, name: str) -> bool:
    """One of the prefixes and one of the suffixes have to fit, as far as there are any."""
    return (not rule.prefix or name.startswith(rule.prefix)) and (
        not rule.suffix or name.endswith(rule.suffix)
    )
