"""How steady the readers of gender and age are: the same face, in a photo that is a little softer.

Who compares a face with its replacement asks a reader twice, and it may change its mind without any
replacement. Here each photo of the set is compared with itself, shrunk to three quarters, enlarged
again and saved as JPEG of quality 80: what the readers then disagree on is the least that any
replacement can be blamed for.

Run as ``python -m benchmarks.steadiness [--judge NAME=FILE ...] [--limit N]`` in the root of the
repository; it prints and writes no result.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.types import ImageArray
from benchmarks import judges
from benchmarks.contract import data_path, read_photos
from benchmarks.privacy import show_agreement
from benchmarks.readers import Reading, agreement, attribute_readers

SETS = ("lfw-dev", "groups-dev")
SHRUNK, QUALITY = 0.75, 80
SMALLEST_PX = 48.0


def softer(image: ImageArray) -> ImageArray:
    """(H, W, 3) RGB the same photo, a little softer."""
    size = (image.shape[1], image.shape[0])
    small = cv2.resize(image, None, fx=SHRUNK, fy=SHRUNK, interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)
    data = cv2.imencode(".jpg", large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], dtype=np.uint8)


def main() -> None:
    """Read everybody twice, print how often the readers agree with themselves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    judges.add_options(parser)
    parser.add_argument("--limit", type=int, default=150, help="photos of each set")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    detector = RetinaFace(threads=options.threads)
    jury = judges.jury(options)
    readers = attribute_readers(jury.encoders, options.threads)
    for name in SETS:
        photos = [image for _, image in read_photos(data_path(f"{name}.zip"))]
        order = np.random.default_rng(1).permutation(len(photos))[: options.limit]
        said: dict[str, tuple[list[Reading | None], list[Reading | None]]] = {
            reader.name: ([], []) for reader in readers
        }
        for image in (photos[i] for i in order):
            again = softer(image)
            for face in detector(image):
                if face.size < SMALLEST_PX:
                    continue
                for reader in readers:
                    for answers, pixels in zip(said[reader.name], (image, again), strict=True):
                        answers.append(reader(pixels, face.landmarks))
        print(f"{name}: the same faces in a softer photo")
        show_agreement(
            {r.name: agreement(*said[r.name], used_inside=r.used_inside) for r in readers}
        )


if __name__ == "__main__":
    main()
