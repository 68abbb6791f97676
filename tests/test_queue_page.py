"""docs/queue.md says what the broker is told to keep, and what stands on a message."""

import re
from pathlib import Path

from aio_pika.abc import AbstractMessage

from gateway.backends.queue.rabbitmq.layout import Layout
from gateway.backends.queue.rabbitmq.message import REASON_HEADER, Announcement, dead_letter, encode
from gateway.domain.job import JobId

PAGE = Path(__file__).parents[1] / "docs" / "queue.md"


def table(name: str) -> str:
    found = re.search(rf"<!-- {name}:.*?-->\n(.*?)\n<!-- end of {name} -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_page_lists_every_queue_with_its_arguments() -> None:
    rows = ["| queue | arguments |", "|---|---|"]
    for definition in Layout().definitions():
        arguments = ", ".join(f"`{name}: {value!r}`" for name, value in (definition.arguments or {}).items())
        rows.append(f"| `{definition.name}` | {arguments} |")
    assert table("queues") == "\n".join(rows), "\n".join(rows)


def test_the_page_lists_every_property_of_a_message() -> None:
    rows = ["| property or header | value |", "|---|---|", *properties(encode(Announcement(JobId("id"))))]
    letter = dead_letter(b"", content_type=None, returns=0, reason="")
    rows.append(f"| header `{REASON_HEADER}` | on dead letters: why nobody could work with it |")
    assert table("properties") == "\n".join(rows), "\n".join(rows)
    assert set(letter.headers) - set(encode(Announcement(JobId("id"))).headers) == {REASON_HEADER}


def properties(message: AbstractMessage) -> list[str]:
    """The rows of what the broker is given; what nobody set is left out."""
    meanings = {"oscar-gateway-returns": "how often it was given back; 0 at first"}
    plain = {
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "delivery_mode": f"{int(message.delivery_mode)} (persistent)",
        "type": message.type,
    }
    rows = [f"| `{name}` | `{value}` |" for name, value in plain.items()]
    return rows + [f"| header `{name}` | {meanings[name]} |" for name in message.headers]
