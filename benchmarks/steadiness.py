"""How steady readers of gender, age and pose are: the same face, in a photo a little softer.

Who compares a face with its replacement asks a reader twice, and it may change its mind without any
replacement. Here each photo of the set is compared with itself, shrunk to three quarters, enlarged
again and saved as JPEG of quality 80: what the readers then disagree on is the least that any
replacement can be blamed for.

Run as ``python -m benchmarks.steadiness [--judge NAME=FILE ...] [--limit N]`` in the root of the
repository; it prints and writes no result.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import cv2
import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.occlusion import OcclusionReader, is_masked
from anonyface.landmarks.pose import estimate_pose
from anonyface.types import Face, FloatArray, ImageArray
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


class PoseReader:
    """Compares the pose that the mesh shows in two photos of one face.

    Args:
        threads: Threads for inference.
    """

    def __init__(self, *, threads: int) -> None:
        self.mesh = FaceMesh(threads=threads, steady=True)
        self.occlusion = OcclusionReader(threads=threads)

    def __call__(
        self, image: ImageArray, again: ImageArray, face: Face
    ) -> tuple[bool, FloatArray] | None:
        """Whether a mask is worn, and (3,) changes of yaw, pitch and roll, degrees.

        None if the mesh can't be fitted.
        """
        try:
            before, after = (self.mesh(pixels, [face])[0] for pixels in (image, again))
            masked = is_masked(self.occlusion.complete(image, before))
        except FaceError:
            return None
        old, new = estimate_pose(before.points), estimate_pose(after.points)
        change = [old.yaw - new.yaw, old.pitch - new.pitch, old.roll - new.roll]
        return masked, np.abs(np.array(change, dtype=np.float32))


def pose_lines(changes: Sequence[tuple[bool, FloatArray]]) -> list[str]:
    """Say by how much poses change, bare faces and masked ones apart.

    >>> pose_lines([(False, np.array([1.0, 2.0, 0.5])), (False, np.array([3.0, 2.0, 0.5]))])
    ['  pose, bare (2): yaw 2.0, pitch 2.0, roll 0.5 degrees, medians']
    """
    lines = []
    for worn, name in ((False, "bare"), (True, "masked")):
        some = [change for masked, change in changes if masked == worn]
        if some:
            yaw, pitch, roll = np.median(some, axis=0)
            lines.append(
                f"  pose, {name} ({len(some)}): yaw {yaw:.1f}, pitch {pitch:.1f}, "
                f"roll {roll:.1f} degrees, medians"
            )
    return lines


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
    compare_poses = PoseReader(threads=options.threads)
    for name in SETS:
        photos = [image for _, image in read_photos(data_path(f"{name}.zip"))]
        order = np.random.default_rng(1).permutation(len(photos))[: options.limit]
        said: dict[str, tuple[list[Reading | None], list[Reading | None]]] = {
            reader.name: ([], []) for reader in readers
        }
        changes = []
        for image in (photos[i] for i in order):
            again = softer(image)
            for face in detector(image):
                if face.size < SMALLEST_PX:
                    continue
                if change := compare_poses(image, again, face):
                    changes.append(change)
                for reader in readers:
                    for answers, pixels in zip(said[reader.name], (image, again), strict=True):
                        answers.append(reader(pixels, face.landmarks))
        print(f"{name}: the same faces in a softer photo")
        show_agreement(
            {r.name: agreement(*said[r.name], used_inside=r.used_inside) for r in readers}
        )
        print("\n".join(pose_lines(changes)))


if __name__ == "__main__":
    main()
