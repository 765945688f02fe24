"""JPEG files that hold the old face a second time, in every place cameras and editors know."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.corpus.containers import (
    ASCII,
    BYTE,
    LONG,
    SHORT,
    UNDEFINED,
    Blob,
    Ifd,
    box,
    exif_segment,
    icc_segments,
    into_jpeg,
    photoshop_resource,
    segment,
    without_jfif,
    write_tiff,
    xmp_segments,
)
from benchmarks.corpus.kinds import SRGB, Keeps, Kind, Sitter, encode


def base64_of(s: Sitter) -> bytes:
    """Return the small JPEG as text."""
    return base64.b64encode(s.thumbnail)


def xmp(inside: bytes, attributes: bytes = b"") -> bytes:
    """Return an XMP packet with some elements and attributes in its one description."""
    return (
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        b' xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/"'
        b' xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
        b' xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"'
        b' xmlns:GImage="http://ns.google.com/photos/1.0/image/"'
        b' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
        b" " + attributes + b">" + inside + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
        b'<?xpacket end="w"?>'
    )


def xmp_thumbnails(s: Sitter) -> bytes:
    """Return XMP with the small JPEG as Photoshop and Lightroom store it, lines broken."""
    text = base64_of(s)
    lines = b"&#xA;".join(text[at : at + 76] for at in range(0, len(text), 76))
    return xmp(
        b'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:width>240'
        b"</xmpGImg:width><xmpGImg:format>JPEG</xmpGImg:format><xmpGImg:image>"
        + lines
        + b"</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>"
    )


def thumbnail_ifd(s: Sitter) -> Ifd:
    """Return the second directory of an Exif block, with the small JPEG."""
    return Ifd(
        {
            0x0103: (SHORT, [6]),
            0x0201: (LONG, Blob(s.thumbnail)),
            0x0202: (LONG, [len(s.thumbnail)]),
        }
    )


def strip_entries(image: Image.Image) -> dict[int, tuple[int, Blob | list[int]]]:
    """Return the TIFF tags of an uncompressed RGB picture in one strip."""
    raw = image.tobytes()
    return {
        0x0100: (LONG, [image.width]),
        0x0101: (LONG, [image.height]),
        0x0102: (SHORT, [8, 8, 8]),
        0x0103: (SHORT, [1]),
        0x0106: (SHORT, [2]),
        0x0111: (LONG, Blob(raw)),
        0x0115: (SHORT, [3]),
        0x0116: (LONG, [image.height]),
        0x0117: (LONG, [len(raw)]),
    }


def exif_thumbnail(s: Sitter, order: str = "<") -> bytes:
    """Return an Exif block with a thumbnail."""
    first = Ifd({0x010F: (ASCII, b"Maker\0"), 0x0112: (SHORT, [1])}, next=thumbnail_ifd(s))
    return write_tiff(first, order=order)


def _exif_strips(s: Sitter) -> bytes:
    small = s.hidden.resize((168, 126))  # a segment holds no more
    return write_tiff(Ifd({0x010F: (ASCII, b"Maker\0")}, next=Ifd(strip_entries(small))))


def maker_note(s: Sitter) -> bytes:
    """Return an Exif block with a preview inside the maker's own notes."""
    note = b"MAKER\0\1\2" + s.thumbnail
    return write_tiff(Ifd({0x8769: (LONG, [Ifd({0x927C: (UNDEFINED, note)})])}))


def _comment_in_utf16(s: Sitter) -> bytes:
    text = b"UNICODE\0" + base64_of(s).decode().encode("utf-16-le")
    return write_tiff(Ifd({0x8769: (LONG, [Ifd({0x9286: (UNDEFINED, text)})])}))


def _exif_app1(tiff: bytes, s: Sitter) -> bytes:
    return into_jpeg(s.jpeg, exif_segment(tiff))


def _jfif(s: Sitter) -> bytes:
    small = s.hidden.resize((168, 126))
    head = b"JFIF\0\1\2\0\0\1\0\1" + bytes(small.size) + small.tobytes()
    return into_jpeg(without_jfif(s.jpeg), segment(0xE0, head))


def _jfxx(kind: int, s: Sitter) -> bytes:
    small = s.hidden.resize((168, 126))
    if kind == 0x10:
        body = s.thumbnail
    elif kind == 0x13:
        body = bytes(small.size) + small.tobytes()
    else:
        flat = s.hidden.quantize(256)
        palette = bytes(flat.getpalette() or []).ljust(768, b"\0")
        body = bytes(flat.size) + palette + flat.tobytes()
    return into_jpeg(s.jpeg, segment(0xE0, b"JFXX\0" + bytes([kind]) + body), first=False)


def photoshop_thumbnail(s: Sitter, number: int = 1036) -> bytes:
    """Return Photoshop's block with a thumbnail; 1033 is the old one with red and blue swapped."""
    picture = s.hidden if number == 1036 else Image.merge("RGB", s.hidden.split()[::-1])
    data = encode(picture, "JPEG", quality=88)
    width, height = picture.size
    sizes = (1, width, height, width * 3, width * height * 3, len(data))
    head = b"".join(n.to_bytes(4, "big") for n in sizes) + b"\0\x18\0\1"
    return b"Photoshop 3.0\0" + photoshop_resource(number, head + data)


def _extended(name: bytes, s: Sitter) -> bytes:
    picture = base64.b64encode(encode(s.photo, "JPEG", quality=97, subsampling=0))
    extension = xmp(b"", name + b':Mime="image/jpeg" ' + name + b':Data="' + picture + b'"')
    digest = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    main = xmp(b"", b'xmpNote:HasExtendedXMP="' + digest + b'"')
    return into_jpeg(s.jpeg, xmp_segments(main, extension, digest))


def movie(s: Sitter) -> bytes:
    """Return a short MPEG-4 film of the person."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        height, width = s.photo.shape[:2]
        writer = cv2.VideoWriter(
            str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height), True
        )
        for _ in range(4):
            writer.write(cv2.cvtColor(s.photo, cv2.COLOR_RGB2BGR))
        writer.release()
        return path.read_bytes()


def _motion_photo(s: Sitter) -> bytes:
    film = movie(s)
    note = b'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="%d"' % len(film)
    return into_jpeg(s.jpeg, xmp_segments(xmp(b"", note))) + film


def _samsung(s: Sitter) -> bytes:
    entry = b"\0\0\x30\x0a" + (16).to_bytes(4, "little") + b"MotionPhoto_Data" + s.thumbnail
    size = len(entry).to_bytes(4, "little")
    directory = b"SEFH" + b"\x6b\0\0\0" + b"\1\0\0\0" + b"\0\0\x30\x0a" + size + size
    return s.jpeg + entry + directory + len(directory).to_bytes(4, "little") + b"SEFT"


def _zip(s: Sitter) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("before.bmp", encode(s.hidden, "BMP"))
    return s.jpeg + buffer.getvalue()


def _mpo(s: Sitter) -> bytes:
    second = Image.fromarray(np.ascontiguousarray(s.photo[:, ::-1]))
    return encode(s.photo, "MPO", save_all=True, append_images=[second], quality=90)


def _content_credentials(s: Sitter) -> bytes:
    superbox = box(b"jumb", box(b"jumd", b"c2pa" + bytes(13)) + box(b"bidb", s.thumbnail))
    return into_jpeg(s.jpeg, segment(0xEB, b"JP\0\1\0\0\0\1" + superbox), first=False)


def _fat_profile(s: Sitter) -> bytes:
    fat = SRGB + encode(s.photo, "JPEG", quality=95)  # more than one segment holds
    return into_jpeg(s.jpeg, icc_segments(fat), first=False)


def _hidden(name: str, build: object, keeps: Keeps | None = None) -> Kind:
    return Kind(f"jpeg {name}", ".jpg", build, hides=True, keeps=keeps or Keeps())  # type: ignore[arg-type]


KINDS = (
    _hidden("Exif thumbnail", lambda s: _exif_app1(exif_thumbnail(s), s)),
    _hidden("Exif thumbnail big endian", lambda s: _exif_app1(exif_thumbnail(s, ">"), s)),
    _hidden("Exif thumbnail uncompressed", lambda s: _exif_app1(_exif_strips(s), s)),
    _hidden("two Exif blocks", lambda s: _exif_app1(exif_thumbnail(s), s)[:2]
            + exif_segment(write_tiff(Ifd({0x0112: (SHORT, [1])})))
            + _exif_app1(exif_thumbnail(s), s)[2:]),
    _hidden("maker note preview", lambda s: _exif_app1(maker_note(s), s)),
    _hidden("comment in UTF-16", lambda s: _exif_app1(_comment_in_utf16(s), s)),
    _hidden("padding tag", lambda s: _exif_app1(
        write_tiff(Ifd({0xEA1C: (BYTE, bytes(8) + s.thumbnail)})), s)),
    _hidden("JFIF thumbnail", _jfif),
    _hidden("JFXX thumbnail JPEG", lambda s: _jfxx(0x10, s)),
    _hidden("JFXX thumbnail palette", lambda s: _jfxx(0x11, s)),
    _hidden("JFXX thumbnail RGB", lambda s: _jfxx(0x13, s)),
    _hidden("Photoshop thumbnail", lambda s: into_jpeg(
        s.jpeg, segment(0xED, photoshop_thumbnail(s)), first=False)),
    _hidden("Photoshop thumbnail old", lambda s: into_jpeg(
        s.jpeg, segment(0xED, photoshop_thumbnail(s, 1033)), first=False)),
    _hidden("XMP thumbnails", lambda s: into_jpeg(s.jpeg, xmp_segments(xmp_thumbnails(s)))),
    _hidden("XMP GDepth", lambda s: _extended(b"GDepth", s)),
    _hidden("XMP GImage", lambda s: _extended(b"GImage", s)),
    _hidden("motion photo", _motion_photo),
    _hidden("Samsung trailer", _samsung),
    _hidden("JPEG behind the end", lambda s: s.jpeg + s.thumbnail),
    _hidden("PNG behind the end", lambda s: s.jpeg + b"\0" * 13 + encode(s.hidden, "PNG")),
    _hidden("zip behind the end", _zip),
    _hidden("second frame (MPO)", _mpo),
    _hidden("comment in base64", lambda s: into_jpeg(
        s.jpeg, segment(0xFE, b"data:image/jpeg;base64," + base64_of(s)), first=False)),
    _hidden("FlashPix preview", lambda s: into_jpeg(
        s.jpeg, segment(0xE2, b"FPXR\0\0\2\0\1" + s.thumbnail), first=False)),
    _hidden("unknown segment", lambda s: into_jpeg(
        s.jpeg, segment(0xE5, b"WHO KNOWS\0" + s.thumbnail), first=False)),
    _hidden("content credentials", _content_credentials),
    _hidden("picture behind the profile", _fat_profile, Keeps(icc=SRGB)),
)  # fmt: skip
