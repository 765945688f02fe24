"""RetinaFace (arXiv 1905.00641), MobileNet-0.25: boxes and five landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.fusion import Sightings, fuse, join
from anonyface.detection.passes import TILE_PIXELS, Window, plan_windows
from anonyface.errors import InputError
from anonyface.runtime import open_session, run
from anonyface.types import Detail, Face, FloatArray, ImageArray

# What the shipped weights were trained with.
STRIDES = (8, 16, 32)
ANCHORS = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)
MEAN_BGR = (104.0, 117.0, 123.0)

REPORTED_SCORE = 0.05
"""What a single pass reports to the vote of all passes."""
CANDIDATE_SCORE = 0.2
"""Below this the network is guessing."""
SURE_SCORE = 0.5
"""From here on a detection counts as a face without a second look."""
BATCH_PIXELS = 2 * TILE_PIXELS
"""Pixels run at once in a batch: bounds memory."""
MIRROR_ORDER = (1, 0, 2, 4, 3)
"""Left and right landmarks change places in a mirror."""


class RetinaFace:
    """Finds faces in an image: several passes, tile by tile where it is large, and their vote.

    Args:
        detail: How many passes over the image, see `plan_windows`.
        threads: Threads for inference, 0 for all usable cores.
        level: Score from which on a face is returned.
    """

    def __init__(
        self, *, detail: Detail = "normal", threads: int = 0, level: float = CANDIDATE_SCORE
    ) -> None:
        self.detail: Detail = detail
        self.level = level
        self.session = open_session("detector", threads=threads)

    def __call__(self, image: ImageArray) -> list[Face]:
        """Find faces.

        Args:
            image: (H, W, 3) RGB uint8.

        Returns:
            Faces with score >= `level`, most confident first. The score is what all passes agree
            on, see `anonyface.detection.fusion.fuse`.
        """
        return self.batch([image])[0]

    def batch(self, images: Sequence[ImageArray]) -> list[list[Face]]:
        """Find faces in images of one size, frames of a video for example.

        Args:
            images: (H, W, 3) RGB uint8 each.

        Returns:
            For each image what calling the detector returns; equal up to rounding.

        Raises:
            InputError: If the images differ in size.
        """
        if not images:
            return []
        shape = images[0].shape
        if any(image.shape != shape for image in images):
            raise InputError("a batch needs images of one size")
        windows = plan_windows(shape[:2], self.detail)
        seen: list[list[Sightings]] = [[] for _ in images]
        for window in windows:
            step = max(1, BATCH_PIXELS // (window.size_wh[0] * window.size_wh[1]))
            for start in range(0, len(images), step):
                chunk = images[start : start + step]
                for i, found in enumerate(self._look(chunk, window), start=start):
                    seen[i].append(found)
        return [_faces(fuse(join(parts), windows, shape[:2]), self.level) for parts in seen]

    def _look(self, images: Sequence[ImageArray], window: Window) -> list[Sightings]:
        """What is seen of each image through one window."""
        blob = _to_blob([_view(image, window) for image in images])
        loc, conf, points = run(self.session, {"input": blob}, ["loc", "conf", "landmarks"])
        priors = _priors(blob.shape[3], blob.shape[2])
        out = []
        for i, image in enumerate(images):
            scores = conf[i, :, 1]
            hits = np.flatnonzero(scores >= REPORTED_SCORE)
            boxes, landmarks = decode(loc[i, hits], points[i, hits], priors[hits])
            boxes, landmarks = to_image(boxes, landmarks, window)
            sights = np.full(len(hits), window.sight, dtype=np.intp)
            found = Sightings(boxes, landmarks, scores[hits], sights)
            out.append(found[window.owns(boxes, image.shape[:2])])
        return out


def _faces(found: Sightings, level: float) -> list[Face]:
    best = found[found.scores >= level]
    each = zip(best.boxes, best.landmarks, best.scores.tolist(), strict=True)
    return [Face(box, points, score) for box, points, score in each]


def _view(image: ImageArray, window: Window) -> ImageArray:
    """The part of the image a window runs: resized, then mirrored, then turned."""
    view = image[window.y0 : window.y1, window.x0 : window.x1]
    if window.size_wh != (view.shape[1], view.shape[0]):
        shrinking = window.size_wh[0] < view.shape[1]
        method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
        view = np.asarray(cv2.resize(view, window.size_wh, interpolation=method), dtype=np.uint8)
    if window.mirrored:
        view = view[:, ::-1]
    return np.rot90(view, window.turns)


def to_image(
    boxes: FloatArray, landmarks: FloatArray, window: Window
) -> tuple[FloatArray, FloatArray]:
    """Turn what was found in a window's view back into image coordinates.

    Args:
        boxes: (n, 4) x0 y0 x1 y1 in pixels of the view, resized, mirrored and turned.
        landmarks: (n, 5, 2) in pixels of the view.
        window: The window.

    Returns:
        The same in pixels of the image. Landmarks keep their names by what they are, not where:
        the eye that is left on an upright face stays first on a turned one.
    """
    width, height = window.size_wh
    points = np.concatenate([boxes.reshape(-1, 2, 2), landmarks], axis=1)
    x, y = points[..., 0], points[..., 1]
    for turn in range(window.turns % 4):
        # A quarter turn took (x, y) to (y, side - x): undo it.
        side = width if (window.turns - turn) % 2 else height
        x, y = side - y, x
    if window.mirrored:
        x = width - x
    scale = (window.x1 - window.x0) / width, (window.y1 - window.y0) / height
    x, y = x * scale[0] + window.x0, y * scale[1] + window.y0
    points = np.stack([x, y], axis=-1).astype(np.float32)
    corners, found = points[:, :2], points[:, 2:]
    if window.mirrored:
        found = found[:, MIRROR_ORDER]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1), found


def decode(
    loc: FloatArray, points: FloatArray, priors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Turn network outputs into boxes and landmarks (SSD parametrisation, arXiv 1512.02325 eq. 2).

    Args:
        loc: (n, 4) offsets of centre and log size.
        points: (n, 10) offsets of the five landmarks.
        priors: (n, 4) anchor centre x, y, width, height in pixels.

    Returns:
        (n, 4) boxes x0 y0 x1 y1 and (n, 5, 2) landmarks, in pixels.
    """
    centre = priors[:, :2] + loc[:, :2] * VARIANCES[0] * priors[:, 2:]
    half = priors[:, 2:] * np.exp(loc[:, 2:] * VARIANCES[1]) / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    offsets = points.reshape(-1, 5, 2) * VARIANCES[0]
    return boxes, priors[:, None, :2] + offsets * priors[:, None, 2:]


def _padded(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Width and height rounded up to the coarsest stride."""
    step = STRIDES[-1]
    return -(-size_wh[0] // step) * step, -(-size_wh[1] // step) * step


def _to_blob(views: Sequence[ImageArray]) -> FloatArray:
    """RGB HWC uint8 of one size -> BGR NCHW float32 minus the mean, which also pads it."""
    height, width = views[0].shape[:2]
    full_w, full_h = _padded((width, height))
    blob = np.zeros((len(views), 3, full_h, full_w), dtype=np.float32)
    for view, planes in zip(views, blob, strict=True):
        for channel, mean in enumerate(MEAN_BGR):
            np.subtract(
                view[:, :, 2 - channel], np.float32(mean), out=planes[channel, :height, :width]
            )
    return blob


@lru_cache(maxsize=8)
def _priors(width: int, height: int) -> NDArray[np.float32]:
    """(A, 4) anchor centre x, y, width, height in pixels, in the network's order."""
    parts = []
    for stride, sizes in zip(STRIDES, ANCHORS, strict=True):
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride].astype(np.float32)
        centres = (np.stack([xs, ys], axis=-1) + 0.5) * stride
        each = np.repeat(centres.reshape(-1, 1, 2), len(sizes), axis=1)
        wh = np.broadcast_to(np.array(sizes, dtype=np.float32)[:, None], (*each.shape[:2], 2))
        parts.append(np.concatenate([each, wh], axis=2).reshape(-1, 4))
    out = np.concatenate(parts)
    out.setflags(write=False)
    return out
