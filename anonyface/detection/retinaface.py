"""RetinaFace (arXiv 1905.00641), MobileNet-0.25: boxes and five landmarks in one pass."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.detection.boxes import non_maximum_suppression
from anonyface.detection.passes import Window, plan_windows
from anonyface.runtime import open_session, run
from anonyface.types import Detail, Face, FloatArray, ImageArray

# What the shipped weights were trained with.
STRIDES = (8, 16, 32)
ANCHORS = ((16, 32), (64, 128), (256, 512))
VARIANCES = (0.1, 0.2)
MEAN_BGR = (104.0, 117.0, 123.0)

CANDIDATE_SCORE = 0.2
"""Below this the network is guessing."""
SURE_SCORE = 0.5
"""From here on a detection counts as a face without a second look."""
NMS_IOU = 0.4


class RetinaFace:
    """Finds faces in an image at its native resolution, tile by tile where it is large.

    Args:
        detail: How many passes over the image, see `plan_windows`.
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, detail: Detail = "normal", threads: int = 0) -> None:
        self.detail: Detail = detail
        self.session = open_session("detector", threads=threads)

    def __call__(self, image: ImageArray) -> list[Face]:
        """Find faces.

        Args:
            image: (H, W, 3) RGB uint8.

        Returns:
            Faces with score >= `CANDIDATE_SCORE`, most confident first.
        """
        found = [self._detect_window(image, w) for w in plan_windows(image.shape[:2], self.detail)]
        boxes, landmarks, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        keep = non_maximum_suppression(boxes, scores, iou=NMS_IOU)
        return [Face(boxes[i], landmarks[i], float(scores[i])) for i in keep]

    def _detect_window(
        self, image: ImageArray, window: Window
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Boxes (n, 4), landmarks (n, 5, 2), scores (n,) of one window, in image coordinates."""
        view = image[window.y0 : window.y1, window.x0 : window.x1]
        size_wh = window.size_wh
        if size_wh != (view.shape[1], view.shape[0]):
            shrinking = size_wh[0] < view.shape[1]
            method = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
            view = np.asarray(cv2.resize(view, size_wh, interpolation=method), dtype=np.uint8)
        loc, conf, points = run(
            self.session, {"input": _to_blob(view)}, ["loc", "conf", "landmarks"]
        )
        scores = conf[0, :, 1]
        hits = np.flatnonzero(scores >= CANDIDATE_SCORE)
        priors = _priors(*_padded(size_wh))[hits]
        boxes, landmarks = decode(loc[0, hits], points[0, hits], priors)
        offset = np.array([window.x0, window.y0], dtype=np.float32)
        factor = np.array(
            [(window.x1 - window.x0) / size_wh[0], (window.y1 - window.y0) / size_wh[1]],
            dtype=np.float32,
        )
        boxes = boxes * np.tile(factor, 2) + np.tile(offset, 2)
        landmarks = landmarks * factor + offset
        inside = window.owns(boxes, image.shape[:2])
        return boxes[inside], landmarks[inside], scores[hits][inside]


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


def _to_blob(view: ImageArray) -> FloatArray:
    """RGB HWC uint8 -> BGR NCHW float32 minus the mean, padded with the mean to the stride."""
    height, width = view.shape[:2]
    full_w, full_h = _padded((width, height))
    blob = np.zeros((1, 3, full_h, full_w), dtype=np.float32)
    for channel, mean in enumerate(MEAN_BGR):
        np.subtract(
            view[:, :, 2 - channel], np.float32(mean), out=blob[0, channel, :height, :width]
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
