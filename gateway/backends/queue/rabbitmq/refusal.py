"""What the broker, or the way to it, says no with, in our words: no address, no user, no password in them."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
    ProtocolSyntaxError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused

from gateway.domain.problems import Unavailable

AMQP_ERRORS = (AMQPError, ChannelInvalidStateError, OSError, RuntimeError, TimeoutError)
"""Everything the client raises when the broker says no, is away or goes away. RuntimeError is what it says
about a connection that has just closed."""

AWAY = "the broker is not reachable"
BLOCKED = "the broker takes no messages: its memory or disk alarm is on"

_REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((TimeoutError,), "the broker does not answer"),
    (
        (ProbableAuthenticationError, AuthenticationError),
        "the broker refuses the user or password of QUEUE_URL",
    ),
    (
        (IncompatibleProtocolError, ProtocolSyntaxError),
        "what answers at QUEUE_URL does not speak AMQP 0-9-1",
    ),
    (
        (ChannelAccessRefused,),
        "the user of QUEUE_URL may not configure, write and read the gateway's queues",
    ),
    ((PublishError, ChannelNotFoundEntity), "a queue of the gateway is gone from the broker"),
    ((DeliveryError,), "the broker's queue is full"),
)
"""The first that fits: PublishError is a DeliveryError."""

_DIFFERENCE = re.compile(
    r"inequivalent arg '(?P<argument>[^']+)' for queue '(?P<queue>[^']+)' in vhost .*?: "
    r"received (?P<wanted>.+?) but current is (?P<found>.+)$"
)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raises Unavailable for whatever the client raises inside."""
    try:
        yield
    except AMQP_ERRORS as error:
        raise unavailable(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled us: the client ends what waits for a connection that was closed in this way.
        raise Unavailable(AWAY, retry_after_s=1) from error


def unavailable(error: BaseException) -> Unavailable:
    """The Problem for an error of AMQP_ERRORS."""
    return Unavailable(_why(error), retry_after_s=1)


def _why(error: BaseException) -> str:
    if isinstance(error, ChannelPreconditionFailed):
        return _difference(str(error))
    if isinstance(error, InvalidFrameError) and "Connection.OpenOk" in str(error):
        # The client does not tell what the broker answered instead.
        return "the broker has no such virtual host as QUEUE_URL's, or its user has no right to it"
    return next((why for kinds, why in _REASONS if isinstance(error, kinds)), AWAY)


def _difference(reply: str) -> str:
    found = _DIFFERENCE.search(reply)
    if found is None:
        return "a queue of the broker is not as it was declared"
    return (
        f"queue {found['queue']} is there with another {found['argument']}: {_value(found['found'])}, not "
        f"{_value(found['wanted'])}; delete it (the ledger has its jobs) or use another virtual host"
    )


def _value(told: str) -> str:
    """`the value '20' of type 'signedint'`, `'20'` or `none`, without the wire's words."""
    quoted = re.search(r"'([^']*)'", told)
    return quoted[1] if quoted else told
