"""FDL: the file clients keep definitions in and unwrap: `functions.oscar: [{<cluster id>: <definition>}]`."""

from collections.abc import Mapping

from gateway.domain.problems import Invalid

_SHARED = ("storage_providers", "clusters")
"""What stands beside `functions` and belongs to every service of the file."""


def unwrap_fdl(document: Mapping[str, object]) -> Mapping[str, object]:
    """The one service an FDL file defines; anything else is returned as it is. Raises Invalid."""
    file = {key.lower(): value for key, value in document.items()}
    functions = file.get("functions")
    if functions is None or "name" in file:
        return document
    cluster, service = _only_entry(functions)
    given = {key.lower() for key, value in service.items() if value is not None}
    added = {key: file[key] for key in _SHARED if key in file and key not in given}
    if "cluster_id" not in given:
        added["cluster_id"] = cluster
    unwrapped = {**service, **added}
    _require_text(unwrapped)
    return unwrapped


def _only_entry(functions: object) -> tuple[str, Mapping[str, object]]:
    named = {key.lower(): value for key, value in functions.items()} if isinstance(functions, Mapping) else {}
    entries = named.get("oscar")
    if not isinstance(entries, list):
        raise Invalid("functions.oscar: must be a list of one service", field="functions.oscar")
    if len(entries) != 1 or not isinstance(entries[0], Mapping) or len(entries[0]) != 1:
        raise Invalid(
            "functions.oscar: must hold one service; deploy several one by one", field="functions.oscar"
        )
    ((cluster, service),) = entries[0].items()
    if not isinstance(service, Mapping):
        raise Invalid("functions.oscar[0]: the service must be a mapping", field="functions.oscar[0]")
    return str(cluster), service


def _require_text(service: Mapping[str, object]) -> None:
    """In a file `script` is the name of another file, which the client reads; here nobody can."""
    script = next((value for key, value in service.items() if key.lower() == "script"), None)
    if isinstance(script, str) and script.endswith(".sh") and len(script.split()) == 1:
        raise Invalid(
            "script: is the name of a file, which only a client can read: send its text", field="script"
        )
