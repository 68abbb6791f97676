"""Allow images: which repositories a service's image may come from. Kept in one small file beside the
data; empty allows all."""

import asyncio
import json

from gateway.backends.connect import Backends
from gateway.backends.identity.protocol import Caller
from gateway.domain.problems import Forbidden, Invalid, StorageFull, Unavailable
from gateway.private_file import replace_file

FILE = "allowed_image_repositories.json"
LENGTH_LIMIT = 512


async def allowed_images(backends: Backends) -> tuple[str, ...]:
    """Prefixes of image names. Raises Unavailable when the list cannot be read: then nothing is known to
    be allowed."""
    try:
        return tuple(json.loads((backends.settings.data_dir / FILE).read_bytes()))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise Unavailable("the list of allowed images cannot be read") from error


async def allow_images(backends: Backends, repositories: tuple[str, ...], caller: Caller) -> tuple[str, ...]:
    """Replace the list; durable when it returns. Services that are deployed already stay. Raises
    Forbidden, Invalid, StorageFull."""
    if not caller.admin:
        raise Forbidden("only the administrator may change the configuration")
    if any(len(one) > LENGTH_LIMIT for one in repositories):
        raise Invalid(
            f"allowed_image_repositories: at most {LENGTH_LIMIT} characters each",
            field="allowed_image_repositories",
        )
    try:
        content = json.dumps(repositories).encode()
        await asyncio.to_thread(replace_file, backends.settings.data_dir / FILE, content)
    except OSError as error:
        raise StorageFull("the list of allowed images cannot be kept") from error
    return repositories


async def require_allowed_image(backends: Backends, image: str) -> None:
    """Raises Invalid unless the list is empty or the image's name begins with one of its entries."""
    allowed = await allowed_images(backends)
    if allowed and not image.startswith(allowed):
        raise Invalid(f"image: {image!r} is not from an allowed repository", field="image")
