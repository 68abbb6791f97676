"""Credentials nobody gave: made at the first start and kept beside the data, readable by this user alone."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from gateway.settings import Settings, SettingsError

MADE: dict[str, Callable[[], str]] = {
    "oscar_password": lambda: secrets.token_urlsafe(18),
    "s3_access_key": lambda: "oscar" + secrets.token_hex(6),
    "s3_secret_key": lambda: secrets.token_urlsafe(30),
}


def with_credentials(settings: Settings) -> Settings:
    """The settings with no credential empty; what is given wins over what is kept. Raises SettingsError if
    it cannot be kept."""
    path = settings.data_dir / "credentials.json"
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
        missing = {name: make() for name, make in MADE.items() if name not in kept}
        if missing:
            kept |= missing
            _write(path, json.dumps(kept, indent=1))
    except (OSError, ValueError) as error:
        raise SettingsError(f"DATA_DIR: credentials.json cannot be kept there: {error}") from error
    return settings.model_copy(update={name: kept[name] for name in MADE if not getattr(settings, name)})


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
