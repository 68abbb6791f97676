"""Where a foreign store is: said wholly, or the process does not start."""

import pytest

from gateway.backends.objects.s3.place import place_of
from gateway.settings import SettingsError, read_settings

WHOLE = {"OBJECTS_URL": "https://s3.example.org:9000/", "S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret"}


def test_clients_may_reach_it_elsewhere() -> None:
    place = place_of(read_settings(WHOLE | {"S3_PUBLIC_URL": "http://public.example.org"}))
    assert (place.inside.endpoint, place.inside.verify) == ("https://s3.example.org:9000", True)
    assert (place.provider.endpoint, place.provider.verify) == ("http://public.example.org", False)
    assert "secret'" not in repr(place)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S3_ACCESS_KEY", ""),
        ("S3_SECRET_KEY", ""),
        ("S3_OWN_BUCKET", "No Name"),
        ("OBJECTS_URL", "https://"),
        ("OBJECTS_URL", "https://host:port"),
        ("OBJECTS_URL", "https://key:hidden@host"),
        ("OBJECTS_URL", "https://host/path"),
        ("S3_PUBLIC_URL", "host:9000"),
    ],
)
def test_what_is_missing_or_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as raised:
        place_of(read_settings(WHOLE | {name: value}))
    assert "hidden" not in str(raised.value)
