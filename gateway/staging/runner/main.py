"""The runner's one pass: take the order, start the script, follow it, write down how it ended."""

import os
import signal

from gateway.staging import layout
from gateway.staging.capture import Capture
from gateway.staging.runner.descendants import adopt_orphans, end_all
from gateway.staging.runner.following import Following
from gateway.staging.runner.order import Exit, Order, reserve_exit, take_order, write_exit
from gateway.staging.runner.script import prepare_script, release_script


def main(workspace: str, alive: int) -> int:
    """`alive` is the locked descriptor that tells we live: our last act is to let go of it by ending."""
    os.set_inheritable(alive, False)
    order = take_order(workspace)
    reserve_exit(workspace)
    write_exit(workspace, _run(workspace, order), durable=not order.tied)
    return 0


def _run(workspace: str, order: Order) -> Exit:
    adopt_orphans()
    wake = _wake_on_signals()
    capture = Capture(workspace, stdout_limit=order.stdout_limit, log_limit=order.log_limit)
    script = prepare_script(order)
    # Before the script begins: from here on, nobody may start it again.
    os.close(os.open(f"{workspace}/{layout.BEGAN}", os.O_CREAT | os.O_WRONLY, 0o600))
    failure = release_script(script)
    if failure:
        end_all(script.pid)
        return Exit("not-started", None, failure, 0.0)
    following = Following(order, workspace, script=script, capture=capture, wake=wake)

    def interrupt(_number: int, _frame: object) -> None:
        following.interrupted = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    return following.until_end()


def _wake_on_signals() -> int:
    """A descriptor that becomes readable with each signal."""
    wake, told = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return wake
