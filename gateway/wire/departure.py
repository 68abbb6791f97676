"""A departure: the moment a client goes away before it has its whole answer."""

from collections.abc import Callable

DEPARTURE = "oscar_gateway.departure"
"""Where in a request's scope its client's stands."""

ANSWER = "oscar_gateway.answer"
"""Where in a request's scope stands what gives its whole answer at once (`Request.answer`)."""

LATER = "oscar_gateway.later"
"""Where in a request's scope stands what lets its app end before there is an answer (`Request.later`)."""


class Departure:
    """`callback`, set by whoever works for the client, is called once."""

    __slots__ = ("callback", "happened")

    def __init__(self) -> None:
        self.callback: Callable[[], None] | None = None
        self.happened = False

    def happen(self) -> None:
        self.happened = True
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()
