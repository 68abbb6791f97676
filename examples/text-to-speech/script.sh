#!/bin/sh
# In: a text in UTF-8. Out: a WAV file that speaks it, by eSpeak NG.
# VOICE is one of its languages (en, es, de, ...), WORDS_PER_MINUTE the speed, 80 to 450.
exec python3 - <<'PROGRAM'
import ctypes
import os
import wave
from pathlib import Path

import espeakng_loader

# Names and numbers of eSpeak NG's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2  # no sound card: samples go to a callback, and a call returns when all are there
INITIALIZE_DONT_EXIT = 0x8000
RATE = 1
POSITION_CHARACTER = 1
CHARS_UTF8 = 1
SAMPLES_TAKEN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def refuse(reason):
    # On standard output: that is what a failed call is answered with.
    print(f"text-to-speech: {reason}")
    raise SystemExit(1)


def read_text(path):
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        refuse("the input is not text in UTF-8")
    return text or refuse("the text is empty")


def speak(text, voice, words_per_minute):
    """(Hz, signed 16-bit samples of one channel)."""
    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    folder = os.fsencode(espeakng_loader.get_data_path())
    rate = espeak.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, folder, INITIALIZE_DONT_EXIT)
    if rate <= 0:
        refuse("eSpeak NG does not start")
    if espeak.espeak_SetVoiceByName(voice.encode()) != 0:
        refuse(f"there is no voice {voice!r}")
    espeak.espeak_SetParameter(RATE, words_per_minute, 0)

    samples = bytearray()

    @SAMPLES_TAKEN
    def take(start, count, _events):
        if start and count > 0:
            samples.extend(ctypes.string_at(start, count * 2))
        return 0

    espeak.espeak_SetSynthCallback(take)
    spoken = text.encode()
    espeak.espeak_Synth(
        spoken, ctypes.c_size_t(len(spoken) + 1), 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None
    )
    espeak.espeak_Synchronize()
    return rate, bytes(samples)


source = Path(os.environ["INPUT_FILE_PATH"])
speed = os.environ.get("WORDS_PER_MINUTE", "160")
if not speed.isdecimal() or not 80 <= int(speed) <= 450:
    refuse("WORDS_PER_MINUTE must be a number from 80 to 450")
rate, samples = speak(read_text(source), os.environ.get("VOICE", "en"), int(speed))
if not samples:
    refuse("there is nothing to pronounce in this text")
with wave.open(str(Path(os.environ["TMP_OUTPUT_DIR"], f"{source.stem}.wav")), "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(rate)
    file.writeframes(samples)
print(f"{len(samples) / 2 / rate:.1f} seconds of speech")
PROGRAM
