"""What of the old photo is left in a file: faces in any picture, words in any stream of it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.types import Face, FloatArray, ImageArray
from anonyface.verification.encoder import DlibEncoder, similarity
from anonyface.verification.thresholds import match_threshold
from benchmarks.carver import Haul, Picture, directories
from benchmarks.corpus.kinds import GPS_NUMBERS, SECRETS

SIDE = 320
"""Smaller pictures are enlarged to this before faces are looked for, at most four times."""
NAMES = {
    "gps": (b"GPSLatitude", b"GPSLongitude"),
    "serials": (b"SerialNumber", b"OwnerName", b"ImageUniqueID"),
    "regions": (b"mwg-rs:", b"RegionInfo", b"PersonInImage", b"stArea:"),
    "previews": (
        b"xmpGImg:",
        b"GDepth:",
        b"GImage:",
        b"MicroVideo",
        b"MotionPhoto",
        b"8BIM\x04\x0c",
    ),
}
"""Group -> names of properties that must not come out, whatever they say."""
TAGS = {
    0x8825: "gps",
    0x927C: "serials",
    0xA420: "serials",
    0xA430: "serials",
    0xA431: "serials",
    0xA435: "serials",
    0xC62F: "serials",
    0x9214: "regions",
    0x0201: "previews",
    0x014A: "previews",
}
"""Exif and TIFF tag -> group."""


@dataclass(frozen=True)
class Find:
    """A face that was recognised.

    Attributes:
        where: Picture it is in.
        score: Its similarity to the original.
    """

    where: str
    score: float


class Judge:
    """Looks for known faces in pictures, whichever way up they are.

    Args:
        threads: Threads for inference.
    """

    def __init__(self, *, threads: int = 1) -> None:
        self.finder = FaceFinder(threads=threads)
        self.encoder = DlibEncoder(threads=threads)
        self.limit = match_threshold("1e-3")

    def known(self, photo: ImageArray) -> list[FloatArray]:
        """Return the embeddings of the faces in a photo.

        Raises:
            ValueError: If there is none: everything would pass.
        """
        faces = self.finder(photo)
        if not faces:
            raise ValueError("no face in the photo")
        return [self.encoder(photo, face.landmarks) for face in faces]

    def recognise(self, pictures: Sequence[Picture], known: Sequence[FloatArray]) -> list[Find]:
        """Return the pictures in which somebody known is seen, with the best score."""
        finds = []
        for picture in pictures:
            score = self._best(picture.pixels, known)
            if score >= self.limit:
                finds.append(Find(picture.where, score))
        return finds

    def _best(self, pixels: ImageArray, known: Sequence[FloatArray]) -> float:
        """Return the highest similarity of any face in a picture to any known one, at least -1."""
        image, faces = self._upright(pixels)
        scores = [-1.0]
        for face in faces:
            try:
                here = self.encoder(image, face.landmarks)
            except FaceError:
                continue
            scores += [float(similarity(one, here)) for one in known]
        return max(scores)

    def _upright(self, pixels: ImageArray) -> tuple[ImageArray, Sequence[Face]]:
        """Turn a picture the way in which the detector is surest of a face; enlarge small ones."""
        scale = min(4.0, max(1.0, SIDE / max(pixels.shape[:2])))
        image = cv2.resize(
            np.ascontiguousarray(pixels), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
        )
        best: tuple[ImageArray, Sequence[Face]] = np.asarray(image, np.uint8), ()
        for turn in range(4):
            turned = np.ascontiguousarray(np.rot90(np.asarray(image, np.uint8), turn))
            faces = self.finder(turned)
            if faces and (not best[1] or faces[0].score > best[1][0].score):
                best = turned, faces
        return best


def words_left(haul: Haul, *, groups: Sequence[str]) -> list[str]:
    """Return what is said in a file's streams that should not be.

    Args:
        haul: What the carver brought.
        groups: Keys of `SECRETS` and `NAMES` to look for.

    Returns:
        Lines such as "gps: GPSLatitude", sorted, each once.
    """
    found = set()
    for group in groups:
        for word in (*SECRETS.get(group, ()), *NAMES.get(group, ())):
            wide = word.decode("latin-1")
            forms = (word, wide.encode("utf-16-le"), wide.encode("utf-16-be"))
            if any(form in stream for stream in haul.streams for form in forms):
                found.add(f"{group}: {word.decode('latin-1')}")
    if "gps" in groups:
        numbers = [n for pair in GPS_NUMBERS for n in pair]
        packed = [struct.pack(f"{order}6L", *numbers) for order in "<>"]
        if any(form in stream for stream in haul.streams for form in packed):
            found.add("gps: latitude as fractions")
    for tag in tags_of(haul):
        if TAGS.get(tag) in groups:
            found.add(f"{TAGS[tag]}: tag {tag:04X}")
    return sorted(found)


def tags_of(haul: Haul) -> set[int]:
    """Return the tags of every TIFF or Exif directory anywhere in a file."""
    tags: set[int] = set()
    for stream in haul.streams:
        for mark in (b"II*\0", b"MM\0*"):
            at = stream.find(mark)
            while at >= 0:
                for _, entries in directories(stream[at:]):
                    tags |= entries.keys()
                at = stream.find(mark, at + 1)
    return tags
