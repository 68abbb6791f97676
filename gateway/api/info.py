"""`/system/info` and `/system/config`: what this is, and how clients reach its store."""

import platform
from pathlib import Path
from typing import Any

from starlette.responses import Response

import gateway
from gateway.actions.allow_images import allow_images, allowed_images
from gateway.api import json_body
from gateway.api.answers import json_answer
from gateway.api.operations import Ask
from gateway.backends.identity.protocol import Caller
from gateway.backends.objects.protocol import Provider
from gateway.settings import listed

OSCAR_VERSION = "v4.1.2"
"""The OSCAR whose API is spoken here; its dashboard switches features on by it."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
GPU_DEVICE = Path("/dev/nvidiactl")


async def info(ask: Ask) -> Response:
    return json_answer(
        {
            "version": OSCAR_VERSION,
            "git_commit": f"oscar-gateway-{gateway.__version__}",
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "kubernetes_version": "none",
            "serverless_backend": {"name": _backend(ask), "version": gateway.__version__},
            "gateway_version": gateway.__version__,
        }
    )


async def read_config(ask: Ask) -> Response:
    return json_answer(
        {
            "config": {
                "name": "oscar",
                "namespace": "oscar",
                "services_namespace": "oscar-svc",
                "controller_service_account": "",
                "gpu_available": GPU_DEVICE.exists(),
                "interLink_available": False,
                "serverless_backend": _backend(ask),
                "yunikorn_enable": False,
                "kueue_enable": False,
                "volume_enable": False,
                "oidc_groups": list(listed(ask.backends.settings.oidc_groups)),
                "minio_quota_enabled": False,
            },
            "minio_provider": _provider(ask.backends.objects.provider, ask.caller),
            "allowed_image_repositories": list(await allowed_images(ask.backends)),
        }
    )


async def write_config(ask: Ask) -> Response:
    """Only the list of image repositories can be written. Raises Forbidden for anybody but the
    administrator."""
    body = json_body.parse_object(await ask.incoming.whole())
    wanted = json_body.texts(body, "allowed_image_repositories")
    return json_answer(list(await allow_images(ask.backends, wanted, ask.caller)))


def _provider(provider: Provider, caller: Caller) -> dict[str, Any]:
    """All five keys, always: oscar-cli ends in a panic when one is missing. The store's keys are the
    administrator's alone."""
    return {
        "endpoint": provider.endpoint,
        "verify": provider.verify,
        "access_key": provider.access_key if caller.admin else "",
        "secret_key": provider.secret_key if caller.admin else "",
        "region": provider.region,
    }


def _backend(ask: Ask) -> str:
    return ask.backends.settings.invoker_url.partition(":")[0]
