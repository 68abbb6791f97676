"""Ours is always the shorter limit: what Knative cuts off, once a byte of it was sent, it ends as if it were
whole."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.backends.invoker.knative.manifest import PodOptions, build_manifest, call_limit_s
from gateway.domain.definition import Service
from gateway.domain.deployed import Deployed

KNATIVES_MOST_S = 600
AT = datetime(2026, 11, 25, tzinfo=UTC)


def options(limit_s: float) -> PodOptions:
    return PodOptions("ours:1", "Never", "", limit_s, KNATIVES_MOST_S, log_limit=1, output_limit=1)


@pytest.mark.parametrize("setting_s", [0.5, 60, 300, 570, 571, 86400])
@pytest.mark.parametrize("annotation", [None, "1", "300", "600", "86400"])
def test_knatives_limits_are_longer_than_ours_and_never_longer_than_it_takes(
    setting_s: float, annotation: str | None
) -> None:
    annotations = {"oscar-gateway/call-seconds": annotation} if annotation else {}
    service = Service.model_validate(
        {"name": "grey", "image": "img", "script": "true", "annotations": annotations}
    )
    ours_s = call_limit_s(service, options(setting_s))
    manifest = build_manifest(Deployed(service, "uid", AT, AT), options(setting_s))
    pod: dict[str, Any] = manifest.service["spec"]["template"]["spec"]
    for limit in ("timeoutSeconds", "responseStartTimeoutSeconds"):
        assert ours_s + 10 < pod[limit] <= KNATIVES_MOST_S
    assert ours_s <= (float(annotation) if annotation else setting_s)
    assert "idleTimeoutSeconds" not in pod
