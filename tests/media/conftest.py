"""Photos with everything in them that must not come out again."""

import io
import struct
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

SECRETS = (b"SERIAL-4711", b"LENS-0815", b"Anna at home", b"MAKERNOTE-PREVIEW", b"IPTC-CAPTION")
XMP_SECRET = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">Anna at home, face region</x:xmpmeta>'


@pytest.fixture
def pixels():
    """(48, 64, 3): no two rows or columns alike, so that every flip and turn shows."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:48, :64]
    ramp = np.stack([x * 3, y * 4, 255 - x - y], axis=2) + rng.integers(-9, 10, (48, 64, 3))
    return np.clip(ramp, 0, 255).astype(np.uint8)


@pytest.fixture
def encode():
    """Return a function (pixels or PIL image, format, options) -> bytes of an image file."""

    def encode_with_pillow(image, file_format, options=None):
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        buffer = io.BytesIO()
        image.save(buffer, file_format, **(options or {}))
        return buffer.getvalue()

    return encode_with_pillow


def jpeg_bytes(pixels, quality=90):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def full_exif(thumbnail, orientation=1):
    """Exif with camera, dates, author, GPS, serials, notes, comment and a thumbnail in IFD1."""
    exif = Image.Exif()
    exif.endian = "<"
    exif[0x010E] = "Anna at home"
    exif[0x010F] = "Canon"
    exif[0x0110] = "EOS R5"
    exif[0x0112] = orientation
    exif[0x0131] = "SERIAL-4711 firmware"
    exif[0x0132] = "2024:05:06 07:08:09"
    exif[0x013B] = "José".encode()
    exif[0x8298] = "(c) 2024"
    photo = exif.get_ifd(0x8769)
    photo[0x829A] = IFDRational(1, 250)
    photo[0x829D] = IFDRational(28, 10)
    photo[0x8827] = 400
    photo[0x9003] = "2024:05:06 07:08:09"
    photo[0x9204] = IFDRational(-1, 3)
    photo[0x9214] = (320, 240, 90, 120)  # subject area: where the face is
    photo[0x927C] = b"MAKERNOTE-PREVIEW" + thumbnail
    photo[0x9286] = b"ASCII\x00\x00\x00Anna at home"
    photo[0xA431] = "SERIAL-4711"
    photo[0xA432] = (IFDRational(24), IFDRational(70), IFDRational(28, 10), IFDRational(28, 10))
    photo[0xA435] = "LENS-0815"
    gps = exif.get_ifd(0x8825)
    gps[1] = "N"
    gps[2] = (IFDRational(52), IFDRational(31), IFDRational(12))
    block = bytearray(exif.tobytes()[6:])
    # IFD1 goes behind; the pointer to it stands after the entries of IFD0, which is at 8.
    pointer = 8 + 2 + 12 * struct.unpack_from("<H", block, 8)[0]
    assert struct.unpack_from("<L", block, pointer)[0] == 0
    block += b"\x00" * (len(block) % 2)
    struct.pack_into("<L", block, pointer, len(block))
    at = len(block) + 2 + 3 * 12 + 4
    block += struct.pack("<H", 3)
    block += struct.pack("<HHLL", 0x0103, 3, 1, 6)
    block += struct.pack("<HHLL", 0x0201, 4, 1, at)
    block += struct.pack("<HHLL", 0x0202, 4, 1, len(thumbnail))
    return b"Exif\x00\x00" + bytes(block) + struct.pack("<L", 0) + thumbnail


@dataclass
class Leaky:
    """A JPEG full of secrets, and the small pictures hidden in it."""

    data: bytes
    hidden: list


@pytest.fixture
def leaky(pixels):
    """A JPEG with thumbnail, GPS, serials, XMP, IPTC, a comment and a picture behind its end."""
    marker = np.zeros((16, 24, 3), np.uint8)
    marker[4:12, 8:16] = (255, 0, 0)
    thumbnail = jpeg_bytes(marker)
    behind = jpeg_bytes(marker[:, ::-1], quality=60)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x0cIPTC-CAPTION"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer,
        "JPEG",
        exif=full_exif(thumbnail),
        xmp=XMP_SECRET,
        comment=b"Anna at home",
        extra=b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc,
        dpi=(300, 300),
    )
    return Leaky(buffer.getvalue() + behind, [thumbnail, behind])


@pytest.fixture
def secrets():
    return SECRETS


@pytest.fixture
def rich_exif():
    """Return a function orientation -> Exif bytes with everything a camera may write."""

    def build(orientation=1):
        return full_exif(jpeg_bytes(np.full((8, 8, 3), 90, np.uint8)), orientation)

    return build


@pytest.fixture
def stored_as():
    """Exif orientation -> what a camera held that way stores for an upright scene."""
    return {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }


def s15(*values):
    """ICC s15Fixed16 numbers."""
    return b"".join(struct.pack(">l", round(value * 65536)) for value in values)


def lut8(inputs, outputs, grid, colours):
    """An ICC lut8Type table (ICC.1:2022, 10.11) with straight curves."""
    curve = bytes(range(256))
    head = b"mft1\x00\x00\x00\x00" + bytes([inputs, outputs, grid, 0])
    matrix = s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return head + matrix + curve * inputs + colours + curve * outputs


@pytest.fixture(scope="session")
def cmyk_profile():
    """A small printer profile: Lab tables both ways for inks that are a bit darker than ideal."""
    from PIL import Image, ImageCms

    axis = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(axis, axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 4)
    rgb = (1 - 0.9 * inks[:, :3]) * (1 - 0.9 * inks[:, 3:])
    lab_of = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    image = Image.fromarray(np.rint(rgb * 255).astype(np.uint8)[None])
    lab = np.asarray(ImageCms.applyTransform(image, lab_of)).reshape(-1, 3).copy()
    lab[:, 1:] ^= 0x80  # Pillow's a and b are signed, those of a profile have an offset
    to_lab = lut8(4, 3, 9, lab.tobytes())
    level = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(1, -1, 3)
    grid[..., 1:] ^= 0x80
    rgb_of = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    back = np.asarray(
        ImageCms.applyTransform(Image.frombytes("LAB", (17**3, 1), grid.tobytes()), rgb_of)
    )
    cmy = np.clip((1 - back.reshape(-1, 3) / 255) / 0.9, 0, 1)
    from_lab = lut8(3, 4, 17, np.rint(np.c_[cmy, cmy[:, 0] * 0] * 255).astype(np.uint8).tobytes())
    text = b"text\x00\x00\x00\x00test\x00"
    tags = [
        (b"cprt", text),
        (b"desc", b"desc" + b"\x00" * 4 + struct.pack(">L", 5) + b"test\x00" + b"\x00" * 78),
        (b"wtpt", b"XYZ \x00\x00\x00\x00" + s15(0.9642, 1, 0.8249)),
        (b"A2B0", to_lab),
        (b"B2A0", from_lab),
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += b"\x00" * (-len(data) % 4)
        table += name + struct.pack(">LL", at + len(body), len(data))
        body += data
    whole = struct.pack(">L", len(tags)) + table + body
    header = struct.pack(
        ">L4sL4s4s4s", 128 + len(whole), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\x00" * 28
    header += s15(0.9642, 1, 0.8249)
    return header.ljust(128, b"\x00") + whole
