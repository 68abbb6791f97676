"""Matching: which objects a service's input rules take, and where its output rules put a file.

Rules for other providers than the gateway's own store neither take nor put anything here.
"""

from collections.abc import Iterator

from gateway.domain.definition import Service
from gateway.domain.storage_rule import StorageRule


def takes(service: Service, bucket: str, key: str) -> bool:
    """Whether this object is work for the service. Folders' own markers (`in/`) never are."""
    return not key.endswith("/") and any(
        rule.bucket == bucket and key.startswith(_below(rule)) and _chosen(rule, key[len(_below(rule)) :])
        for rule in service.input
        if rule.embedded
    )


def destinations(service: Service, relative_name: str) -> tuple[tuple[str, str], ...]:
    """Bucket and key of every place for an output file, each once. The name has slashes between folders."""
    places = (
        (rule.bucket, _below(rule) + relative_name)
        for rule in service.output
        if rule.embedded and _chosen(rule, relative_name)
    )
    return tuple(dict.fromkeys(places))


def buckets_of(service: Service) -> tuple[str, ...]:
    """The buckets its rules need, each once, those of its input first."""
    return tuple(dict.fromkeys(rule.bucket for rule in _embedded(service)))


def input_buckets(service: Service) -> frozenset[str]:
    """The buckets its work comes from."""
    return frozenset(rule.bucket for rule in service.input if rule.embedded)


def feeds_itself(service: Service) -> bool:
    """Whether what it writes could be its own work, were it not marked."""
    return any(
        into.bucket == taken.bucket
        and (_below(into).startswith(_below(taken)) or _below(taken).startswith(_below(into)))
        for into in service.output
        for taken in service.input
        if into.embedded and taken.embedded
    )


def input_prefixes(service: Service) -> tuple[tuple[str, str, str], ...]:
    """Bucket, key prefix and path of each input rule: what `takes` could take is listed under the prefix."""
    return tuple(
        dict.fromkeys((rule.bucket, _below(rule), rule.path) for rule in service.input if rule.embedded)
    )


def _embedded(service: Service) -> Iterator[StorageRule]:
    return (rule for rule in (*service.input, *service.output) if rule.embedded)


def _below(rule: StorageRule) -> str:
    """What keys in the rule's folder begin with."""
    return f"{rule.folder}/" if rule.folder else ""


def _chosen(rule: StorageRule, name: str) -> bool:
    """One of the prefixes and one of the suffixes have to fit, as far as there are any."""
    return (not rule.prefix or name.startswith(rule.prefix)) and (
        not rule.suffix or name.endswith(rule.suffix)
    )
