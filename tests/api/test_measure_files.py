"""Measures of several processes: added up, never falling, gone on with after a kill."""

from pathlib import Path

import pytest

from gateway.api.measure_files import FILE, MeasureFiles
from gateway.api.measures import Measures
from gateway.domain.job import Census


def text_of(measures: Measures) -> str:
    return measures.render(Census({}, {}), {}, services=0, unreadable=0).decode()


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    for folder in folders:
        folder.mkdir()
    return folders


async def test_whoever_is_asked_tells_what_all_counted(folders: list[Path]) -> None:
    measures = [Measures() for _ in folders]
    files = [MeasureFiles(*each, folders) for each in zip(measures, folders, strict=True)]
    for number, each in enumerate(measures):
        each.called(service="shout", outcome="ok")
        each.answered(method="POST", route="/run/{service}", status=200, took_s=0.3 + number)
    for kept in files:
        await kept.keep()
    texts = {text_of(await kept.sum()) for kept in files}
    assert len(texts) == 1
    (text,) = texts
    assert 'oscar_gateway_calls_total{outcome="ok",service="shout"} 3.0' in text
    labels = 'method="POST",route="/run/{service}",status="200"'
    assert f'oscar_gateway_request_seconds_bucket{{le="0.5",{labels}}} 1.0' in text
    assert f"oscar_gateway_request_seconds_sum{{{labels}}} 3.9" in text


async def test_who_is_started_again_goes_on_counting(folders: list[Path]) -> None:
    killed = Measures()
    killed.routed(route="direct", why="short")
    await MeasureFiles(killed, folders[0], folders).keep()
    again = Measures()
    files = MeasureFiles(again, folders[0], folders)
    again.routed(route="direct", why="short")
    assert 'oscar_gateway_routes_total{reason="short",route="direct"} 2.0' in text_of(await files.sum())


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"requests": [[1]]}'])
async def test_a_file_that_is_none_counts_nothing(folders: list[Path], content: bytes) -> None:
    (folders[1] / FILE).write_bytes(content)
    measures = Measures()
    measures.noticed(outcome="accepted")
    files = MeasureFiles(measures, folders[0], folders)
    assert 'oscar_gateway_events_total{outcome="accepted"} 1.0' in text_of(await files.sum())
