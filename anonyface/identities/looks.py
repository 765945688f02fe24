"""Read off a face what its replacement must match, from gender to the side the light comes from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.identities.eyewear import EyewearReader
from anonyface.identities.facial_hair import load_facial_hair
from anonyface.identities.fit import DARK_LENSES, WEARS
from anonyface.identities.traits import Traits, load_traits, trait_features
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import measure_gaze, true_gap
from anonyface.landmarks.occlusion import bare_points
from anonyface.landmarks.pose import estimate_pose, measure_expression
from anonyface.landmarks.skin import SkinModel, face_skin, to_lab
from anonyface.runtime import open_session, run
from anonyface.types import FloatArray, ImageArray, Look, Mesh
from anonyface.verification.encoder import SFaceEncoder, unit

CLOSED, NARROW = 0.15, 0.2
"""Gap of the lids over eye width up to which eyes are closed, and what is asked for them then: the
mesh hardly sees that, and the narrower the eyes of a nobody, the less is to be closed."""
AROUND_EYE, LIGHTEST, DARK_SHARE = 1.3, 85, 0.45
"""What is looked at behind glasses: the eye's outline, so many times as wide; the percentile of its
L*; and the share of the cheeks' L* below which the glasses are dark. Of 160 people of the pool who
wear some, 50 of the 56 below it wore dark ones, and 2 of the 104 above."""
APART = 5.0
"""How far from the limit between them, L* units, the shades of clear and dark glasses are kept."""
READ_PX = 128
"""Side of the chip as the network of gender, age and group reads it."""


class LookReader:
    """Reads gender, age and group, and measures the rest.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self.attributes = open_session("attributes", threads=threads)
        self.second = SFaceEncoder(sees="surroundings", threads=threads)
        self.eyewear = EyewearReader(threads=threads)
        self.facial_hair = load_facial_hair()

    def __call__(
        self,
        image: ImageArray,
        mesh: Mesh,
        landmarks: FloatArray,
        chip: ImageArray,
        views: FloatArray,
        *,
        skin: SkinModel | None = None,
        second: FloatArray | None = None,
    ) -> Look:
        """Return the look of one face.

        Args:
            image: (H, W, 3) RGB uint8.
            mesh: The face's mesh, in image coordinates; without irises the gaze is not read.
            landmarks: (5, 2) points x y of the face, in the order of `Face.landmarks`.
            chip: (150, 150, 3) the aligned face that the built-in encoder reads.
            views: (2, 128) what the built-in encoder says of the chip and of its mirror image.
            skin: What `face_skin` says of the face, None if nobody asked yet.
            second: (128,) what `second` says of it, None if nobody asked yet.

        Raises:
            FaceError: If the face lies outside of the image.
        """
        traits = self.traits(image, landmarks, chip, views, second=second)
        embedding = unit(views.sum(axis=0))
        pose, expression = estimate_pose(mesh.points), measure_expression(mesh.points)
        skin = skin or face_skin(image, mesh)
        left, right = bare_cheek_colours(image, mesh, skin)
        eyes = [_median_lab(image, mesh, c)[0] for c in (topo.LEFT_EYE, topo.RIGHT_EYE)]
        brows = [_median_lab(image, mesh, c)[0] for c in (topo.LEFT_BROW, topo.RIGHT_BROW)]
        places = [c for c in (topo.MOUSTACHE, topo.CHIN_PATCH) if _is_bare(mesh, c)]
        unknown = skin.masked or not places  # nothing is known of a beard
        hair = [left[0]] if unknown else [_median_lab(image, mesh, c)[0] for c in places]
        cheeks, eyewear = float((left[0] + right[0]) / 2), self.eyewear(chip)
        return Look(
            p_female=traits.p_female,
            age=traits.age,
            skin_tone=skin_tone((left + right) * np.float32(0.5)),
            yaw=pose.yaw,
            pitch=pose.pitch,
            roll=pose.roll,
            mouth_open=expression.mouth_open,
            smile=expression.smile,
            eyes_open=_eyes_open(mesh, expression.eyes_open),
            side_light=float(right[0] - left[0]),
            eyewear=eyewear,
            shade=_shade(
                cheeks - float(np.mean(eyes)),
                eyewear,
                dark=eyewear >= WEARS and are_dark(image, mesh, cheeks),
            ),
            beard=cheeks - float(np.mean(hair)),
            groups=traits.groups,
            brows=cheeks - float(np.mean(brows)),
            facial_hair=float("nan")
            if unknown
            else self.facial_hair(image, mesh, (left + right) * np.float32(0.5), embedding),
            **_gaze(mesh),
        )

    def traits(
        self,
        image: ImageArray,
        landmarks: FloatArray,
        chip: ImageArray,
        views: FloatArray,
        *,
        second: FloatArray | None = None,
    ) -> Traits:
        """Return how a face reads.

        Args:
            image: (H, W, 3) RGB uint8.
            landmarks: (5, 2) points x y, in the order of `Face.landmarks`.
            chip: (150, 150, 3) the aligned face that the built-in encoder reads.
            views: (2, 128) what the built-in encoder says of the chip and of its mirror image.
            second: (128,) what the second encoder says of the face in its surroundings, None if
                nobody asked yet.

        Raises:
            FaceError: If the landmarks are degenerate or outside of the image.
        """
        if second is None:
            second = self.second(image, landmarks)
        return load_traits()(trait_features(views, second), self.read_chips([chip])[0])

    def read_chips(self, chips: Sequence[ImageArray]) -> FloatArray:
        """(n, 18) logits of gender, age and group, from (150, 150, 3) aligned chips.

        Mean of each chip and its mirror image.
        """
        small = [cv2.resize(c, (READ_PX, READ_PX), interpolation=cv2.INTER_AREA) for c in chips]
        both = np.stack([*small, *(c[:, ::-1] for c in small)]).transpose(0, 3, 1, 2)
        feed = {"faces": np.ascontiguousarray(both, dtype=np.float32)}
        logits = run(self.attributes, feed, ["logits"])[0].reshape(2, len(chips), -1)
        return np.asarray(logits.mean(axis=0), dtype=np.float32)


def cheek_colours(image: ImageArray, mesh: Mesh) -> tuple[FloatArray, FloatArray]:
    """Median L*a*b*, (3,) each, of the image-left and the image-right cheek."""
    left, right = (_median_lab(image, mesh, c) for c in (topo.LEFT_CHEEK, topo.RIGHT_CHEEK))
    return left, right


def bare_cheek_colours(
    image: ImageArray, mesh: Mesh, skin: SkinModel
) -> tuple[FloatArray, FloatArray]:
    """`cheek_colours` where nothing lies before a cheek; else the other one's, or that of the skin.

    Args:
        image: (H, W, 3) RGB uint8.
        mesh: The face's mesh, with what lies in front of it.
        skin: What `face_skin` says of the face.
    """
    colours = cheek_colours(image, mesh)
    seen = [_is_bare(mesh, c) for c in (topo.LEFT_CHEEK, topo.RIGHT_CHEEK)]
    if skin.masked or not any(seen):  # the cheeks are cloth, or nobody sees them
        return skin.centre, skin.centre
    left, right = (colours[k if seen[k] else 1 - k] for k in (0, 1))
    return left, right


def are_dark(image: ImageArray, mesh: Mesh, cheeks: float) -> bool:
    """Whether the glasses somebody wears are dark: no white of an eye, no lid is seen in them.

    Args:
        image: (H, W, 3) RGB uint8.
        mesh: The face's mesh in image coordinates.
        cheeks: L* of the cheeks.
    """
    lightest = []
    for outline in (topo.LEFT_EYE, topo.RIGHT_EYE):
        corners = mesh.points[outline, :2]
        low, high = _around(corners, image.shape)
        part = image[low[1] : high[1], low[0] : high[0]]
        if not part.size:
            continue
        middle = corners.mean(axis=0)
        grown = middle + (corners - middle) * np.float32(AROUND_EYE) - low
        inside = np.zeros(part.shape[:2], np.uint8)
        hull = cv2.convexHull(grown.astype(np.float32))
        cv2.fillConvexPoly(inside, np.round(hull * 16).astype(np.int32), 1, shift=4)
        if inside.any():
            lightest.append(float(np.percentile(to_lab(part)[inside > 0, 0], LIGHTEST)))
    return bool(lightest) and float(np.mean(lightest)) < DARK_SHARE * cheeks


def _around(
    corners: FloatArray, image_hw: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(2,) x y of the first pixel and of the one after the last around an eye, in the image."""
    limit = [image_hw[1], image_hw[0]]
    margin = np.ptp(corners, axis=0).max() * (AROUND_EYE - 1)
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin) + 1, 0, limit).astype(int)
    return low, high


def _is_bare(mesh: Mesh, outline: topo.Indices) -> bool:
    """Whether nothing lies before most points of an outline."""
    return 2 * len(bare_points(mesh, outline)) >= len(outline)


def skin_tone(lab: FloatArray) -> float:
    """Individual typology angle of a CIE L*a*b* colour, degrees (Chardon et al. 1991)."""
    return float(np.degrees(np.arctan2(lab[0] - 50, max(float(lab[2]), 1e-3))))


def _shade(measured: float, eyewear: float, *, dark: bool) -> float:
    """Shade of who may wear glasses: that of sunglasses if they are dark, else less.

    Args:
        measured: How much darker than the cheeks the eyes are, L* units.
        eyewear: Probability of glasses.
        dark: Whether what is before the eyes is dark.
    """
    if eyewear < WEARS:
        return measured
    return max(measured, DARK_LENSES + APART) if dark else min(measured, DARK_LENSES - APART)


def _eyes_open(mesh: Mesh, seen: float) -> float:
    """Opening of the eyes: what the mesh sees, or less where the lids are seen to be closed."""
    if mesh.lids is None or max(true_gap(lids) for lids in mesh.lids) > CLOSED:
        return seen
    return min(seen, NARROW)


def _gaze(mesh: Mesh) -> dict[str, float]:
    if mesh.irises is None:
        return {}
    gaze = measure_gaze(mesh, mesh.irises)
    return {"gaze_across": gaze.across, "gaze_down": gaze.down}


def _median_lab(image: ImageArray, mesh: Mesh, outline: topo.Indices) -> FloatArray:
    """(3,) median L*a*b* of points spread inside an outline, clamped to the image."""
    corners = mesh.points[outline, :2]
    middle = corners.mean(axis=0)
    spread = np.concatenate(
        [middle + (corners - middle) * t for t in (0.15, 0.35, 0.55, 0.75, 0.95)]
    )
    limit = np.array([image.shape[1] - 1, image.shape[0] - 1])
    xy = np.clip(spread.round(), 0, limit).astype(int)
    colours = image[xy[:, 1], xy[:, 0]].astype(np.float32)[None] / 255
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0]
    return np.asarray(np.median(lab, axis=0), dtype=np.float32)
