"""The example services' scripts, run as a gateway runs them, with the tools of this environment."""

import io
import os
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
# This interpreter's folder first: the development lock holds the examples' tools too.
PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    text: str
    files: dict[str, bytes]


class Scripts:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, service: str, content: bytes, name: str = "event-file-1", **variables: str) -> Outcome:
        """Variables in lower case become environment variables."""
        source, output = self._folder / "input" / name, self._folder / "output"
        source.parent.mkdir()
        output.mkdir()
        source.write_bytes(content)
        environment = {
            "PATH": PATH,
            "INPUT_FILE_PATH": str(source),
            "TMP_INPUT_DIR": str(source.parent),
            "TMP_OUTPUT_DIR": str(output),
            **{key.upper(): value for key, value in variables.items()},
        }
        script = EXAMPLES / service / "script.sh"
        ended = subprocess.run(
            ["/bin/sh", script], env=environment, capture_output=True, text=True, timeout=20, check=False
        )
        files = {file.name: file.read_bytes() for file in output.iterdir()}
        return Outcome(ended.returncode, ended.stdout + ended.stderr, files)


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (30, 20)) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size, "orange").save(target, kind)
    return target.getvalue()


@pytest.mark.parametrize("message", [b"moo", b'{"message": "moo"}'], ids=["text", "json"])
def test_the_cow_says_the_message(scripts: Scripts, message: bytes) -> None:
    outcome = scripts.run("cowsay", message)
    assert outcome.status == 0
    assert "| moo |" in outcome.text
    assert "(oo)" in outcome.text
    assert outcome.files == {}


def test_a_message_from_a_bucket_leaves_a_file(scripts: Scripts) -> None:
    outcome = scripts.run(
        "cowsay", "¡muuu!".encode(), "saludo uno.txt", storage_object_key="cowsay/input/saludo uno.txt"
    )
    assert outcome.files["saludo uno-cow.txt"].decode() == outcome.text


def test_text_that_looks_like_json_is_said_as_it_is_when_the_type_is_text(scripts: Scripts) -> None:
    assert '{"message": "moo"}' in scripts.run("cowsay", b'{"message": "moo"}', input_type="text").text


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", "auto", "empty"),
        (b" \n", "auto", "empty"),
        (b'{"message": ""}', "auto", "empty"),
        (b'{"text": "moo"}', "auto", '{"message": "..."}'),
        (b'{"message": 1}', "json", '{"message": "..."}'),
        (b"moo", "json", "not JSON"),
        (b"\xff\xfe", "auto", "UTF-8"),
        (b"moo", "xml", "INPUT_TYPE"),
    ],
)
def test_the_cow_refuses_what_is_no_message(scripts: Scripts, content: bytes, kind: str, reason: str) -> None:
    outcome = scripts.run("cowsay", content, input_type=kind)
    assert outcome.status == 1
    assert outcome.text.startswith("cowsay: ")
    assert reason in outcome.text


def test_a_photograph_loses_its_colours_and_nothing_else(scripts: Scripts) -> None:
    photo = (EXAMPLES / "grayscale" / "photo.jpg").read_bytes()
    outcome = scripts.run("grayscale", photo, "photo.jpg")
    assert outcome.status == 0
    assert list(outcome.files) == ["photo-gray.jpg"]
    before, after = Image.open(io.BytesIO(photo)), Image.open(io.BytesIO(outcome.files["photo-gray.jpg"]))
    assert (before.mode, after.mode, after.format) == ("RGB", "L", "JPEG")
    assert after.size == before.size
    assert len(set(after.get_flattened_data())) > 100


@pytest.mark.parametrize(
    ("kind", "mode", "name", "greys"),
    [
        ("PNG", "RGB", "event-file-1-gray.png", "L"),
        ("PNG", "RGBA", "event-file-1-gray.png", "LA"),
        ("WEBP", "RGB", "event-file-1-gray.png", "L"),
        ("JPEG", "CMYK", "event-file-1-gray.jpg", "L"),
    ],
)
def test_other_kinds_of_image_become_grey_too(
    scripts: Scripts, kind: str, mode: str, name: str, greys: str
) -> None:
    outcome = scripts.run("grayscale", picture(kind, mode))
    assert outcome.status == 0
    assert Image.open(io.BytesIO(outcome.files[name])).mode == greys


def test_a_photograph_taken_sideways_is_turned_upright(scripts: Scripts) -> None:
    target, marks = io.BytesIO(), Image.Exif()
    marks[0x0112] = 6  # the camera was held a quarter turn
    Image.new("RGB", (30, 20)).save(target, "JPEG", exif=marks)
    outcome = scripts.run("grayscale", target.getvalue())
    assert Image.open(io.BytesIO(outcome.files["event-file-1-gray.jpg"])).size == (20, 30)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not an image", "not an image"),
        (picture("PNG")[:-30], "cannot be read"),
        (picture("JPEG", size=(600, 400))[:900], "cannot be read"),
    ],
    ids=["empty", "text", "cut PNG", "cut JPEG"],
)
def test_what_is_not_an_image_is_refused(scripts: Scripts, content: bytes, reason: str) -> None:
    outcome = scripts.run("grayscale", content)
    assert outcome.status == 1
    assert outcome.text.startswith("grayscale: ")
    assert reason in outcome.text
    assert outcome.files == {}


def test_a_text_is_spoken(scripts: Scripts) -> None:
    outcome = scripts.run("text-to-speech", b"Good morning, everybody.", "greeting.txt")
    assert outcome.status == 0
    assert list(outcome.files) == ["greeting.wav"]
    with wave.open(io.BytesIO(outcome.files["greeting.wav"])) as sound:
        samples = sound.readframes(sound.getnframes())
        assert 0.5 < sound.getnframes() / sound.getframerate() < 5
    assert len(set(samples)) > 100


def test_the_voice_changes_what_is_heard(tmp_path: Path) -> None:
    def spoken(**variables: str) -> bytes:
        folder = tmp_path / "-".join(variables.values())
        folder.mkdir()
        return Scripts(folder).run("text-to-speech", b"Radio", **variables).files["event-file-1.wav"]

    english, spanish, slow = spoken(voice="en"), spoken(voice="es"), spoken(voice="en", words_per_minute="80")
    assert english != spanish
    assert len(slow) > len(english)


@pytest.mark.parametrize(
    ("content", "variables", "reason"),
    [
        (b"", {}, "empty"),
        (b"\xff\xd8\xff", {}, "UTF-8"),
        (b"hello", {"voice": "klingonese"}, "no voice"),
        (b"hello", {"words_per_minute": "fast"}, "WORDS_PER_MINUTE"),
        (b"hello", {"words_per_minute": "9000"}, "WORDS_PER_MINUTE"),
    ],
)
def test_what_cannot_be_spoken_is_refused(
    scripts: Scripts, content: bytes, variables: dict[str, str], reason: str
) -> None:
    outcome = scripts.run("text-to-speech", content, **variables)
    assert outcome.status == 1
    assert outcome.text.startswith("text-to-speech: ")
    assert reason in outcome.text
    assert outcome.files == {}
