"""Fit the detector of worn masks on painted ones: ``python -m training.fit_worn ZIP``.

Every face of a random few of FairFace's training set is read twice: as it is, and with cloth of a
random colour, print and cut painted over nose, mouth and chin, in the light of the face. The
printed numbers are those in `anonyface.landmarks.worn`.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anonyface.detection.faces import FaceFinder
from anonyface.errors import FaceError
from anonyface.landmarks.mesh import FaceMesh, has_strayed
from anonyface.landmarks.skin import smooth_lab, to_lab
from anonyface.landmarks.worn import signs, trace_border
from anonyface.swapping.crop import cut_crop
from anonyface.types import Face, FloatArray, ImageArray, Mesh

UPPER_EDGE = [93, 123, 118, 120, 196, 419, 349, 347, 352, 323]
JAW = [361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132]
MOUTH = 13
SMALLEST = 0.2
"""Faces are shrunk by up to this factor: masks in group photos are small."""
LOST = 0.6
"""A face that is found this much smaller under its mask is another one."""
CUTS = ((-0.02, 0.1), (-0.03, 0.1), (-0.02, 0.1))
"""How far the upper edge is shifted down on a cheek, the nose, the other cheek, in face widths."""


def cloth_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3,) reflectance: white, surgical blue, black, grey or anything."""
    kind = rng.choice(5, p=[0.3, 0.2, 0.25, 0.07, 0.18])
    tint = rng.uniform(0.93, 1.05, 3)
    return [
        rng.uniform(0.75, 1) * tint,
        rng.uniform([0.45, 0.7, 0.85], [0.75, 0.85, 1.0]),
        rng.uniform(0.02, 0.2) * rng.uniform(0.85, 1.15, 3),
        np.full(3, rng.uniform(0.3, 0.6)),
        rng.uniform(0.05, 0.95, 3),
    ][kind]


def cut(points: FloatArray, image_hw: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """(h, w) float32: where the cloth is, 1 inside."""
    width = float(np.ptp(points[:, 0]))
    top = points[UPPER_EDGE, :2].copy()
    top[:, 1] += rng.normal(0, 0.02) * width
    for part, (least, most) in zip((slice(1, 4), slice(4, 6), slice(6, 9)), CUTS, strict=True):
        top[part, 1] += rng.uniform(least, most) * width
    jaw = points[MOUTH, :2] + (points[JAW, :2] - points[MOUTH, :2]) * rng.uniform(0.96, 1.12)
    mask = np.zeros(image_hw, np.uint8)
    outline = np.round(np.concatenate([top, jaw]) * 16).astype(np.int32)
    cv2.fillPoly(mask, [outline], 255, shift=4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.008 * width))
    return np.asarray(soft / np.float32(255), np.float32)


def paint(image: ImageArray, points: FloatArray, rng: np.random.Generator) -> ImageArray | None:
    """Paint a mask on a face; None if next to nothing of it lies inside the image."""
    height, width = image.shape[:2]
    face = float(np.ptp(points[:, 0]))
    mask = cut(points, (height, width), rng)
    inside = mask > 0.5
    if inside.sum() < 50:
        return None
    smooth = cv2.GaussianBlur(image.astype(np.float32).mean(axis=2), (0, 0), 0.12 * face)
    shading = 0.4 + 0.6 * smooth / max(float(smooth[inside].mean()), 5)
    bright = np.percentile(image[inside].mean(axis=1), 70) / 150
    light = float(np.clip(bright * rng.uniform(0.85, 1.3), 0.35, 1.25))
    cloth = np.broadcast_to(cloth_colour(rng), (height, width, 3))
    if rng.random() < 0.2:
        coarse = rng.random((max(2, int(8 * height / face)), max(2, int(8 * width / face)), 3))
        cloth = (cloth + cv2.resize(coarse, (width, height))) / 2
    folds = np.sin(np.arange(height)[:, None] / face * rng.uniform(20, 60) + rng.uniform(0, 6))
    bulge = 0.75 + 0.25 * np.clip(1.3 * cv2.GaussianBlur(mask, (0, 0), 0.06 * face), 0, 1)
    lit = shading * light * (1 + rng.uniform(0, 0.06) * folds) * bulge
    painted = np.clip(255 * cloth * lit[..., None], 0, 255)
    painted = painted + rng.normal(0, rng.uniform(0, 4), (height, width, 1))
    mixed = image * (1 - mask[..., None]) + painted * mask[..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8)


class Reader:
    """Finds the face of a picture and reads the signs off it."""

    def __init__(self) -> None:
        self.find, self.mesh = FaceFinder(), FaceMesh()

    def __call__(self, image: ImageArray) -> tuple[Face, Mesh, NDArray[np.float64]] | None:
        """Return the largest face, its mesh and its signs; None if there is none."""
        face = max(self.find(image), key=lambda f: f.size, default=None)
        if face is None:
            return None
        try:
            mesh = self.mesh(image, [face])[0]
            crop, moved, _ = cut_crop(image, mesh)
        except FaceError:
            return None
        if has_strayed(mesh, face):
            return None
        lab = smooth_lab(to_lab(crop.pixels), moved.points)
        return face, mesh, signs(trace_border(lab, moved), lab, moved)


def pairs(
    path: Path, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, 10) signs, and (n,) whether a mask was painted."""
    read, rows, worn = Reader(), [], []
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))
        for name in rng.choice(names, count, replace=False):
            data = np.frombuffer(archive.read(str(name)), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            factor = rng.uniform(SMALLEST, 1)
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            bare = read(np.asarray(image, np.uint8))
            painted = bare and paint(np.asarray(image, np.uint8), bare[1].points, rng)
            if bare is None or painted is None:
                continue
            rows.append(bare[2])
            worn.append(False)
            masked = read(painted)
            if masked is not None and masked[0].size > LOST * bare[0].size:
                rows.append(masked[2])
                worn.append(True)
    return np.array(rows), np.array(worn)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("--faces", type=int, default=1200)
    args = parser.parse_args()
    rows, worn = pairs(args.train, args.faces, np.random.default_rng(3))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    right = cross_val_score(model, rows, worn, cv=5).mean()
    model.fit(rows, worn)
    scaler, regression = model[0], model[1]
    weights = regression.coef_[0] / scaler.scale_
    print(f"{len(worn)} faces, {worn.sum()} of them masked; {right:.3f} told rightly, held out")
    print("WEIGHTS", [round(float(w), 4) for w in weights])
    print("BIAS", round(float(regression.intercept_[0] - weights @ scaler.mean_), 4))


if __name__ == "__main__":
    main()
