"""Credentials nobody gave: made at the first start and kept beside the data, readable by this user alone."""

import json
import secrets
from collections.abc import Callable

from gateway.private_file import make_folder, replace_file
from gateway.settings import Settings, SettingsError

MADE: dict[str, Callable[[], str]] = {
    "oscar_password": lambda: secrets.token_urlsafe(18),
    "s3_access_key": lambda: "oscar" + secrets.token_hex(6),
    "s3_secret_key": lambda: secrets.token_urlsafe(30),
    "claim_key": lambda: secrets.token_urlsafe(32),
}


def with_credentials(settings: Settings) -> Settings:
    """The settings with no credential empty but those of a foreign store, which nobody can make up; what is
    given wins over what is kept. Raises SettingsError if it cannot be kept."""
    if settings.launcher_url.startswith("kubernetes:") and not (settings.embedded or settings.claim_key):
        raise SettingsError("CLAIM_KEY: is needed where several processes do the work: all have the same")
    path = settings.data_dir / "credentials.json"
    embedded = settings.objects_url.startswith("file:")
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
        made = {name: make for name, make in MADE.items() if embedded or not name.startswith("s3_")}
        missing = {name: make() for name, make in made.items() if name not in kept}
        if missing:
            kept |= missing
            make_folder(path.parent)
            replace_file(path, json.dumps(kept, indent=1).encode())
    except (OSError, ValueError) as error:
        raise SettingsError(f"DATA_DIR: credentials.json cannot be kept there: {error}") from error
    return settings.model_copy(update={name: kept[name] for name in made if not getattr(settings, name)})
