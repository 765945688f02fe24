"""Pictures inside the file of a picture."""

import io

import numpy as np
import pytest
from PIL import Image

from anonyface.verification.leftovers import MAX_LOOKS, embedded_pictures


def encoded(kind, size_wh=(64, 48), **options):
    noise = np.random.default_rng(3).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_plain_picture_holds_no_other(kind):
    assert embedded_pictures(encoded(kind, (300, 200))) == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("outer", ["JPEG", "PNG"])
def test_what_hangs_behind_the_end(outer, kind):
    data = encoded(outer)
    name = {"WEBP": "WebP"}.get(kind, kind)
    assert embedded_pictures(data + encoded(kind, (16, 12))) == (
        f"{name} of 16x12 at byte {len(data)}",
    )


def test_an_exif_thumbnail():
    thumbnail = encoded("JPEG", (40, 30))
    # A TIFF header, an empty first directory, a second one with offset and length of a JPEG.
    entries = b"\x02\x00" + b"".join(
        tag.to_bytes(2, "little") + b"\x04\x00\x01\x00\x00\x00" + value.to_bytes(4, "little")
        for tag, value in ((0x0201, 44), (0x0202, len(thumbnail)))
    )
    block = b"II*\x00\x08\x00\x00\x00" + b"\x00\x00\x0e\x00\x00\x00" + entries + b"\x00" * 4
    block += thumbnail
    assert block[44:46] == b"\xff\xd8"
    data = encoded("JPEG", exif=b"Exif\x00\x00" + block)
    (found,) = embedded_pictures(data)
    assert found.startswith("JPEG of 40x30 at byte ")


def test_the_second_frame_of_an_mpo():
    first, second = (Image.fromarray(np.full((20, 30, 3), v, np.uint8)) for v in (10, 200))
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second])
    (found,) = embedded_pictures(out.getvalue())
    assert found.startswith("JPEG of 30x20 at byte ")


def test_what_only_looks_like_a_picture():
    assert embedded_pictures(encoded("PNG") + b"\xff\xd8\xff\xe0 nothing") == ()
    assert embedded_pictures(b"") == ()


def test_very_many_places_are_not_all_looked_at():
    data = encoded("PNG") + b"\xff\xd8\xff\xe0" * (MAX_LOOKS + 5)
    assert embedded_pictures(data) == ("5 more places that look like pictures",)
