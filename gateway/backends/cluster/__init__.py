"""The Kubernetes API as the cluster's backends use it: raw JSON over pooled connections, every wait bounded,
errors as Problems. Imported by what a URL picks only: the library behind it costs 40 MB."""

from gateway.backends.cluster.client import Cluster
from gateway.backends.cluster.connection import open_cluster
from gateway.backends.cluster.refusals import ClusterConflict, QuotaExceeded
from gateway.backends.cluster.watching import Change

__all__ = ["Change", "Cluster", "ClusterConflict", "QuotaExceeded", "open_cluster"]
