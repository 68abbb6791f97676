"""What each process may do in the namespace of services: all that its backends ask for, and no more. The
chart's Roles are held to this list."""

from dataclasses import dataclass

READ = frozenset({"get", "list", "watch"})
WRITE = frozenset({"create", "update", "delete"})


@dataclass(frozen=True, slots=True)
class Right:
    group: str
    resource: str
    verbs: frozenset[str]


_CALLS = (
    Right("serving.knative.dev", "revisions", READ),
    Right("", "pods/log", frozenset({"get"})),
    Right("", "events", frozenset({"list", "get"})),
)

GATEWAY = (
    *_CALLS,
    # Deploys services and answers their calls.
    Right("", "configmaps", READ | WRITE),
    Right("", "secrets", frozenset({"get", "list"}) | WRITE),
    Right("serving.knative.dev", "services", READ | WRITE),
    # Cancels jobs and shows their logs; it launches none.
    Right("batch", "jobs", READ | {"patch", "delete"}),
    Right("", "pods", READ | {"patch"}),
)

WORKER = (
    *_CALLS,
    Right("", "configmaps", READ),
    Right("", "secrets", frozenset({"get", "list"})),
    Right("serving.knative.dev", "services", READ),
    # Launches attempts, ends them and removes what is left of them; one worker watches for all.
    Right("batch", "jobs", READ | {"create", "patch", "delete"}),
    Right("", "pods", READ | {"patch"}),
    Right("coordination.k8s.io", "leases", frozenset({"get", "create", "update"})),
)
