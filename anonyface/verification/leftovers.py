"""Whole pictures inside the file of a picture: thumbnails, previews, further frames."""

from __future__ import annotations

import io

from PIL import Image

from anonyface.media.opening import pillow_warnings_off

# How the formats of embedded pictures begin.
BEGINNINGS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"WEBPVP8": "WebP"}
HEADER_BYTES = 2**20
"""What is read to tell a picture's size: several full 64 KB segments may come before it."""
MAX_LOOKS = 64
"""Places looked at; a file with more of them is told to hold more than was looked at."""


def embedded_pictures(data: bytes) -> tuple[str, ...]:
    """List the pictures that lie inside a file besides the one it shows.

    Every place where a JPEG, PNG or WebP could begin is tried; what Pillow can open counts. So an
    Exif or Photoshop thumbnail, the second frame of an MPO and whatever hangs behind the end of the
    picture are found. Not found: pictures that are compressed once more, encoded as text or split
    over several segments, thumbnails in HEVC or AV1, frames of animations.

    Args:
        data: The bytes of the file.

    Returns:
        One text for each, such as ``"JPEG of 160x120 at byte 312"``, in the order of the file.
    """
    found = []
    places = _places(data)
    for offset, kind in places[:MAX_LOOKS]:
        size_wh = _size_of(data[offset : offset + HEADER_BYTES], kind)
        if size_wh is not None:
            found.append(f"{kind} of {size_wh[0]}x{size_wh[1]} at byte {offset}")
    if len(places) > MAX_LOOKS:
        found.append(f"{len(places) - MAX_LOOKS} more places that look like pictures")
    return tuple(found)


def _places(data: bytes) -> list[tuple[int, str]]:
    """Return where in a file, behind its own beginning, a picture may begin."""
    places = []
    for mark, kind in BEGINNINGS.items():
        before = 8 if kind == "WebP" else 0  # "RIFF" and the length
        at = data.find(mark, before + 1)
        while at >= 0:
            places.append((at - before, kind))
            at = data.find(mark, at + 1)
    return sorted(places)


def _size_of(data: bytes, kind: str) -> tuple[int, int] | None:
    """Return width and height of the picture that begins here, None if there is none."""
    try:
        with pillow_warnings_off(), Image.open(io.BytesIO(data), formats=[kind]) as picture:
            return picture.size
    except Exception:  # noqa: BLE001 - Pillow's readers fail in many ways on what is no picture
        return None
