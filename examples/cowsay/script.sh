#!/bin/sh
# In: a message, as plain text or as JSON {"message": "..."}; INPUT_TYPE (auto, json, text) says which.
# Out: a cow that says it: on standard output, and as a file when the message was an object in a bucket.
exec python3 - <<'PROGRAM'
import json
import os
import textwrap
from pathlib import Path

import cowsay


def refuse(reason):
    # On standard output: that is what a failed call is answered with.
    print(f"cowsay: {reason}")
    raise SystemExit(1)


def parse(text, kind):
    if kind == "text":
        return text
    try:
        given = json.loads(text)
    except ValueError:
        return text if kind == "auto" else refuse("the input is not JSON")
    if isinstance(given, dict) and isinstance(given.get("message"), str):
        return given["message"]
    return refuse('JSON must look like {"message": "..."}')


source = Path(os.environ["INPUT_FILE_PATH"])
kind = os.environ.get("INPUT_TYPE", "auto")
if kind not in ("auto", "json", "text"):
    refuse("INPUT_TYPE must be auto, json or text")
try:
    message = parse(source.read_text(encoding="utf-8"), kind).strip()
except UnicodeDecodeError:
    refuse("the input is not text in UTF-8")
if not message:
    refuse("the message is empty")

lines = [textwrap.fill(line, 45) for line in message.splitlines()]
cow = cowsay.get_output_string("cow", "\n".join(lines))
print(cow)
if "STORAGE_OBJECT_KEY" in os.environ:
    Path(os.environ["TMP_OUTPUT_DIR"], f"{source.stem}-cow.txt").write_text(cow + "\n", encoding="utf-8")
PROGRAM
