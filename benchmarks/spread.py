"""How evenly connections spread over processes: each accepting from one socket that all inherited, against
each listening by its own (SO_REUSEPORT), which is what the gateway does."""

import asyncio
import multiprocessing
import multiprocessing.synchronize
import os
import socket
from collections import Counter
from multiprocessing.process import BaseProcess
from statistics import median

import uvloop

RUNS, CONNECTIONS, START_S = 5, (16, 200), 30.0
PROCESSES = (2, 4)


async def measure() -> None:
    print("\nthe busiest process's share of all connections, times the number of processes (even: 1.0)")
    print(f"{'':28}{'median':>10}{'min':>10}{'max':>10}")
    for processes in PROCESSES:
        for connections in CONNECTIONS:
            for shared in (False, True):
                busiest = await _busiest(processes, connections, shared=shared)
                name = f"{processes}, {connections} at once, {'own' if shared else 'inherited'}"
                print(f"{name:28}{median(busiest):10.2f}{min(busiest):10.2f}{max(busiest):10.2f}")


async def _busiest(processes: int, connections: int, *, shared: bool) -> list[float]:
    spawning = multiprocessing.get_context("fork")
    with _bound(0, shared=shared) as kept:
        port = kept.getsockname()[1]
        if not shared:
            kept.listen(2048)
        ready = spawning.Semaphore(0)
        children: list[BaseProcess] = []
        for _ in range(processes):
            listening = _bound(port, shared=True) if shared else kept.dup()
            children.append(spawning.Process(target=_serve, args=(listening, ready)))
            children[-1].start()
            listening.close()
        try:
            for _ in children:
                await asyncio.to_thread(ready.acquire, timeout=START_S)
            return [await _share(port, connections) * processes for _ in range(RUNS)]
        finally:
            for child in children:
                child.kill()
                child.join()


def _bound(port: int, *, shared: bool) -> socket.socket:
    bound = socket.socket()
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _serve(listening: socket.socket, ready: multiprocessing.synchronize.Semaphore) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d\n" % os.getpid())
        await reader.read()
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(answer, sock=listening, backlog=2048):
            ready.release()
            await asyncio.Event().wait()

    uvloop.run(serve())


async def _share(port: int, connections: int) -> float:
    async def ask() -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return await reader.readline(), writer

    answers = await asyncio.gather(*(ask() for _ in range(connections)))
    for _, writer in answers:
        writer.close()
    return max(Counter(who for who, _ in answers).values()) / connections
