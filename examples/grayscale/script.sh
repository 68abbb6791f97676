#!/bin/sh
# In: a photograph (JPEG, PNG, WebP, ...). Out: the same in shades of grey, as one file:
# a JPEG stays a JPEG, everything else becomes a PNG.
exec python3 - <<'PROGRAM'
import os
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError


def refuse(reason):
    # On standard output: that is what a failed call is answered with.
    print(f"grayscale: {reason}")
    raise SystemExit(1)


def open_upright(path):
    try:
        with Image.open(path) as image:
            # The camera's orientation mark is applied: it would be lost with the other metadata.
            return image.format, ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        refuse("the input is not an image")
    except Image.DecompressionBombError:
        refuse("the image has too many pixels")
    except (OSError, SyntaxError, ValueError) as error:
        refuse(f"the image cannot be read: {error}")


source = Path(os.environ["INPUT_FILE_PATH"])
if source.stat().st_size == 0:
    refuse("the input is empty: send an image")
kind, photo = open_upright(source)
suffix = "jpg" if kind == "JPEG" else "png"
target = Path(os.environ["TMP_OUTPUT_DIR"], f"{source.stem}-gray.{suffix}")
photo.convert("LA" if photo.has_transparency_data and suffix == "png" else "L").save(target)
print(f"{kind}, {photo.width} x {photo.height} pixels: {target.name}")
PROGRAM
