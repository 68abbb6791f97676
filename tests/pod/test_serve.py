"""The synchronous pod: what comes back for a call, and that nothing of it stays."""

import asyncio
import base64
import contextlib
import io
import os
import signal
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.staging.pod_call import ENDED, LIMIT, POD
from tests.pod.pod_rig import SHELLS, PodRig, end_container, open_pod, start_loop
from tests.polling import until

EVERYTHING = """
case $(cat "$INPUT_FILE_PATH") in
  -text) cat "$INPUT_FILE_PATH"; echo told >&2 ;;
  -file) printf '\\000\\377' > "$TMP_OUTPUT_DIR/out.bin"; echo chatter ;;
  -files) cd "$TMP_OUTPUT_DIR"; mkdir sub; echo 1 > a; echo 2 > sub/b ;;
  -fail) echo no such city; exit 3 ;;
  -silent) exit 23 ;;
  -sleep) touch "$TMP_OUTPUT_DIR/begun"; sleep 60 & sleep 60; echo late ;;
  -stubborn) trap '' TERM; touch "$TMP_OUTPUT_DIR/begun"; sleep 60; sleep 60 ;;
  -much) head -c 3000000 /dev/zero ;;
  -big) head -c 3000000 /dev/zero > "$TMP_OUTPUT_DIR/big" ;;
  -leave) sleep 61 & echo left ;;
  -locked) cd "$TMP_OUTPUT_DIR"; mkdir d; echo in > d/f; chmod 0 d/f d ;;
  -gone) rm -rf "$TMP_OUTPUT_DIR" "$TMP_INPUT_DIR"; echo gone ;;
  -link) rmdir "$TMP_OUTPUT_DIR"; ln -s / "$TMP_OUTPUT_DIR"; echo linked ;;
  -own) echo "$TMP_INPUT_DIR" ;;
  *) wc -c < "$INPUT_FILE_PATH" ;;
esac
"""


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[PodRig]:
    async with open_pod(tmp_path, EVERYTHING) as rig:
        yield rig


@pytest.mark.parametrize("shell", SHELLS)
async def test_any_shell_of_an_image_will_do(shell: str, tmp_path: Path) -> None:
    async with open_pod(tmp_path, EVERYTHING, shell=shell) as pod:
        assert shown(await pod.call(b"-text")) == (200, "answered", b"-text")
        assert shown(await pod.call(b"-fail")) == (500, "failed", b"no such city\n")
        assert (await pod.call(b"-sleep", **{LIMIT: "0.2"})).status_code == 504
        assert shown(await pod.call(b"-leave")) == (200, "answered", b"left\n")
        await until(lambda: _no_scripts(pod))
        await until(lambda: _nothing_left(pod))


def shown(answer: httpx.Response) -> tuple[int, str, bytes]:
    assert answer.headers["content-length"] == str(len(answer.content))
    return answer.status_code, answer.headers[ENDED], answer.content


async def test_the_answer_is_as_every_invoker_gives_it(pod: PodRig) -> None:
    assert shown(await pod.call(b"-text")) == (200, "answered", b"-text")
    assert shown(await pod.call(b"-file")) == (200, "answered", base64.b64encode(b"\x00\xff"))
    raw = await pod.call(b"-file", accept="application/octet-stream")
    assert shown(raw) == (200, "answered", b"\x00\xff")
    assert raw.headers["content-type"] == "application/octet-stream"
    zipped = base64.b64decode((await pod.call(b"-files")).content)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.namelist() == ["a", "sub/b"]
    assert shown(await pod.call(b"-fail")) == (500, "failed", b"no such city\n")
    assert shown(await pod.call(b"-silent")) == (500, "failed", b"the script ended with exit status 23\n")
    await until(lambda: _nothing_left(pod))
    assert pod.log.read_text() == "told\n"


async def test_a_body_is_decoded_and_large_ones_pass(pod: PodRig) -> None:
    body = os.urandom(2_000_000)
    assert (await pod.call(base64.b64encode(body))).content.split() == [b"2000000"]
    assert (await pod.call(body)).content.split() == [b"2000000"]


async def test_output_over_a_limit_is_told_never_cut(pod: PodRig) -> None:
    much, big = await pod.call(b"-much"), await pod.call(b"-big")
    assert (much.status_code, b"LOG_LIMIT" in much.content) == (500, True)
    assert (big.status_code, b"OUTPUT_LIMIT" in big.content) == (500, True)


async def test_past_its_limit_the_script_and_what_it_started_are_ended(pod: PodRig) -> None:
    late = await pod.call(b"-sleep", **{LIMIT: "0.3"})
    assert shown(late) == (
        504,
        "time-limit",
        b"the script was ended after 0.3 s, which is the limit of a call\n",
    )
    await until(lambda: _no_scripts(pod))
    assert shown(await pod.call(b"-text"))[0] == 200


async def test_a_client_that_leaves_ends_the_script(pod: PodRig) -> None:
    leaving = asyncio.create_task(pod.call(b"-sleep"))
    await until(lambda: _begun(pod))
    leaving.cancel()
    await until(lambda: _no_scripts(pod))
    await until(lambda: _nothing_left(pod))
    assert shown(await pod.call(b"-text"))[0] == 200


async def test_what_a_script_left_running_is_ended_with_it(pod: PodRig) -> None:
    assert shown(await pod.call(b"-leave")) == (200, "answered", b"left\n")
    await until(lambda: _no_scripts(pod))


async def test_folders_a_script_locked_are_read_and_removed(pod: PodRig) -> None:
    assert base64.b64decode((await pod.call(b"-locked")).content) == b"in\n"
    await until(lambda: _nothing_left(pod))


async def test_a_script_may_remove_or_replace_its_folders(pod: PodRig) -> None:
    assert shown(await pod.call(b"-gone")) == (200, "answered", b"gone\n")
    assert shown(await pod.call(b"-link")) == (200, "answered", b"linked\n")
    await until(lambda: _nothing_left(pod))


async def test_a_script_that_ignores_term_is_killed(tmp_path: Path) -> None:
    async with open_pod(tmp_path, EVERYTHING) as pod:
        late = await pod.call(b"-stubborn", **{LIMIT: "0.2"})
        assert late.status_code == 504
        assert shown(await pod.call(b"-text"))[0] == 200


async def test_calls_wait_for_a_slot_and_for_no_longer_than_their_limit(tmp_path: Path) -> None:
    async with open_pod(tmp_path, EVERYTHING) as pod:
        long = asyncio.create_task(pod.call(b"-sleep", **{LIMIT: "4"}))
        await until(lambda: _begun(pod))
        refused = await pod.call(b"-text", **{LIMIT: "0.2"})
        assert (refused.status_code, refused.headers[ENDED]) == (503, "not-started")
        assert b"nothing was executed" in refused.content
        assert (await pod.call(b"-text", **{LIMIT: "20"})).status_code == 200
        assert (await long).status_code == 504


async def test_slots_run_calls_side_by_side_each_in_its_own_folders(tmp_path: Path) -> None:
    async with open_pod(tmp_path, 'echo "$TMP_INPUT_DIR"; sleep 0.5', slots=4) as pod:
        async with asyncio.timeout(1.6):
            answers = await asyncio.gather(*(pod.call() for _ in range(4)))
        assert len({answer.content for answer in answers}) == 4


async def test_ending_one_slots_script_leaves_the_others_alone(tmp_path: Path) -> None:
    async with open_pod(tmp_path, "sleep 0.7; echo done", slots=2) as pod:
        cut, whole = await asyncio.gather(pod.call(b"", **{LIMIT: "0.2"}), pod.call())
        assert (cut.status_code, whole.status_code, whole.content) == (504, 200, b"done\n")


async def test_a_call_whose_container_ends_is_told_so_and_the_next_one_waits_for_it(tmp_path: Path) -> None:
    async with open_pod(tmp_path, EVERYTHING) as pod:
        lost = asyncio.create_task(pod.call(b"-sleep"))
        await until(lambda: _begun(pod))
        end_container(pod.loop)
        answer = await lost
        assert shown(answer) == (500, "lost", b"the script's container ended while it ran\n")
        assert answer.headers[POD]
        assert not await pod.ready()
        with (tmp_path / "log").open("ab") as log:
            pod.loop = start_loop(tmp_path, "dash", log=log, slots=1)
        assert shown(await pod.call(b"-text"))[0] == 200


async def test_it_ends_in_order_and_so_does_the_loop(tmp_path: Path) -> None:
    async with open_pod(tmp_path, "sleep 0.5; echo whole") as pod:
        last = asyncio.create_task(pod.call())
        await until(lambda: _waiting(pod))
        pod.sidecar.send_signal(signal.SIGTERM)
        assert (await last).content == b"whole\n"
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(pod.sidecar.wait) == 0
            assert await asyncio.to_thread(pod.loop.wait) == 0


async def _nothing_left(pod: PodRig) -> bool:
    return pod.left() == []


async def _begun(pod: PodRig) -> bool:
    return any(pod.calls.glob("call-*/output/begun"))


async def _waiting(pod: PodRig) -> bool:
    return bool(list(pod.calls.glob("call-*/stdout")))


async def _no_scripts(pod: PodRig) -> bool:
    return _scripts(pod) == 0


def _scripts(pod: PodRig) -> int:
    """Processes that see the pod's folders, the loop's own aside."""
    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            seen = process.environ().get("TMP_INPUT_DIR", "").startswith(str(pod.calls))
            found += seen and process.status() != psutil.STATUS_ZOMBIE
    return found
