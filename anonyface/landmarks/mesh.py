"""Dense landmarks: the 468-point face mesh on every face, in image coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from anonyface.errors import FaceError
from anonyface.landmarks import topology as topo
from anonyface.runtime import open_session, run
from anonyface.types import Face, FloatArray, ImageArray, Mesh

INPUT_PX = 192
BOX_FACTOR = 1.5
"""Side of the square the network sees over the longer side of the face (model card)."""
OTHER_FACTORS = (1.15, 1.5, 1.9)
"""What is tried where the mesh strayed: closer, a neighbour drops out of sight; wider, a face that
was boxed too tightly comes into it; and the first fit, which the second may have left."""
STRAYED, STRAYED_UNSURE = 0.2, 0.1
"""Mean distance of mesh and detector at eyes, nose and mouth, in face sizes. A mesh on its own face
stays well below even on turned ones; beyond, it sits on a neighbour or has collapsed. Where the
mesh sees no face, above a mask or in a profile, it must lie nearer: else eyes come to temples."""
SQUARES = (
    (0.1, 1.06, 3, -3),
    (-0.1, 1.06, -3, 3),
    (0.1, 0.94, -3, -3),
    (-0.1, 0.94, 3, 3),
    (0.05, 1.0, 0, 5),
    (-0.05, 1.0, 0, -5),
    (0.15, 1.12, -5, 0),
    (-0.15, 1.12, 5, 0),
    (0.15, 0.9, 5, 0),
    (-0.15, 0.9, -5, 0),
)
"""Turn in radians, enlargement and shift in pixels of the squares in which a mesh is fitted again:
cut out a little differently the same face gets a pitch that is 1.3 degrees off, above a mask 2.5;
the mean of eleven is steadier."""
DISAGREE = 0.03
"""Spread of these fits from which on some of them sit elsewhere: one in twenty faces, nearly all of
them in masks."""
SURE_PRESENCE = 0.3
NEIGHBOUR = 1.7
"""What is painted over of a neighbour: the hull of its five landmarks, so many times as wide."""


class FaceMesh:
    """Fits the mesh; twice, the second time on the square around the first result.

    A mesh that strayed from its face is fitted again in other squares; what comes nearest counts.
    One that reaches over somebody else's eyes, nose or mouth, as on cheek to cheek, may be
    stretched over both faces: it is fitted again with the others painted over.

    Args:
        threads: Threads for inference, 0 for all usable cores.
        steady: Whether the result is the mean of fits in squares a little apart, see `SQUARES`.
    """

    def __init__(self, *, threads: int = 0, steady: bool = False) -> None:
        self.steady = steady
        self.session = open_session("mesh", threads=threads)

    def __call__(
        self, image: ImageArray, faces: Sequence[Face], *, others: Sequence[Face] = ()
    ) -> list[Mesh]:
        """Fit a mesh to each face.

        Args:
            image: (H, W, 3) RGB uint8.
            faces: Faces with box and landmarks in image coordinates.
            others: Further faces of the photo.

        Returns:
            One mesh per face, in the same order.

        Raises:
            FaceError: If a face's landmarks span no area.
        """
        everybody = [*faces, *others]
        return [
            self._of_one(image, face, [f for f in everybody if f is not face]) for face in faces
        ]

    def again(self, image: ImageArray, points: FloatArray) -> FloatArray:
        """Fit a mesh where another one lies: (468, 3) points.

        Args:
            image: (H, W, 3) RGB uint8.
            points: (468, 3) the other one, of the same face before it was changed.

        Raises:
            FaceError: If it collapsed.
        """
        return self._fit(image, [_square_from_points(points)])[0].points

    def _of_one(self, image: ImageArray, face: Face, others: Sequence[Face]) -> Mesh:
        mesh = self._twice(image, face)
        if has_strayed(mesh, face):
            mesh = self._brought_back(image, mesh, face)
        touched = [other for other in others if _reaches_over(mesh, other)]
        parted = self._parted(image, mesh, face, touched) if touched else mesh
        if not self.steady:
            return parted
        return self._steadied(image, parted, face, without=() if parted is mesh else touched)

    def _steadied(
        self, image: ImageArray, mesh: Mesh, face: Face, *, without: Sequence[Face]
    ) -> Mesh:
        """The mean of a mesh and others, fitted in squares a little apart.

        Where they disagree, of those whose eyes lie nearest to where the detector sees them.
        """
        square = _square_from_points(mesh.points)
        others = self._fit(image, [_shaken(square, *s) for s in SQUARES], without=without)
        fits = np.stack([m.points for m in (mesh, *others)])
        spread = _spread(fits)
        if spread > DISAGREE:
            eyes = np.stack([five_points(f)[:2] for f in fits]) - face.landmarks[:2]
            nearest = np.argsort(np.linalg.norm(eyes, axis=2).mean(axis=1), kind="stable")
            fits = fits[nearest[: len(fits) // 2 + 1]]
            spread = _spread(fits)
        return replace(mesh, points=fits.mean(axis=0), spread=spread)

    def _twice(self, image: ImageArray, face: Face, *, without: Sequence[Face] = ()) -> Mesh:
        """Fit in the face's square, then in that around the result."""
        (first,) = self._fit(image, [_square_from_face(face)], without=without)
        return self._fit(image, [_square_from_points(first.points)], without=without)[0]

    def _brought_back(self, image: ImageArray, mesh: Mesh, face: Face) -> Mesh:
        """The nearest of several fits, one that has not strayed if there is any."""
        others = self._fit(image, [_square_from_face(face, factor) for factor in OTHER_FACTORS])
        return min([mesh, *others], key=lambda m: (has_strayed(m, face), _deviation(m, face)))

    def _parted(self, image: ImageArray, mesh: Mesh, face: Face, touched: Sequence[Face]) -> Mesh:
        """A mesh that reached over others, or a nearer one with those painted over."""
        again = self._twice(image, face, without=touched)
        sure = again.presence >= min(SURE_PRESENCE, mesh.presence)
        return again if sure and _deviation(again, face) < _deviation(mesh, face) else mesh

    def _fit(
        self,
        image: ImageArray,
        squares: Sequence[NDArray[np.float64]],
        *,
        without: Sequence[Face] = (),
    ) -> list[Mesh]:
        meshes = []
        for matrix in squares:
            chip = cut_square(image, matrix, INPUT_PX)
            for other in without:
                _paint_over(chip, matrix[:, :2] @ other.landmarks.T + matrix[:, 2:])
            feed = {"image": chip.astype(np.float32)[None] / 255}
            points, presence = run(self.session, feed, ["points", "presence"])
            meshes.append(
                Mesh(
                    _to_image(points.reshape(468, 3), matrix),
                    float(1 / (1 + np.exp(-float(presence.ravel()[0])))),
                )
            )
        return meshes


def _reaches_over(mesh: Mesh, other: Face) -> bool:
    """Whether one of the landmarks of another face lies inside a mesh's outline."""
    outline = mesh.points[topo.FACE_OVAL, :2]
    return any(
        cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0 for x, y in other.landmarks
    )


def _paint_over(chip: ImageArray, landmarks: NDArray[np.float64]) -> None:
    """Paint a face over in its median colour, in place.

    Args:
        chip: (s, s, 3) RGB uint8.
        landmarks: (2, 5) x and y of that face, in its pixels.
    """
    middle = landmarks.mean(axis=1, keepdims=True)
    grown = np.clip(middle + (landmarks - middle) * NEIGHBOUR, -INPUT_PX, 2 * INPUT_PX)
    hull = cv2.convexHull(np.round(grown.T).astype(np.int32))
    mask = np.zeros(chip.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, hull, 1)
    if mask.any():
        chip[mask > 0] = np.median(chip[mask > 0], axis=0)


def has_strayed(mesh: Mesh, face: Face) -> bool:
    """Say whether a mesh sits elsewhere than the face that was detected: see `STRAYED`."""
    limit = STRAYED if mesh.presence >= SURE_PRESENCE else STRAYED_UNSURE
    return _deviation(mesh, face) > limit * face.size


def _deviation(mesh: Mesh, face: Face) -> float:
    """Mean distance of mesh and detector at the five landmarks, pixels."""
    return float(np.linalg.norm(five_points(mesh.points) - face.landmarks, axis=1).mean())


def five_points(points: FloatArray) -> FloatArray:
    """Reduce a (468, 3) mesh to the (5, 2) detector landmarks."""
    p = points[:, :2]
    return np.stack(
        [
            (p[topo.LEFT_EYE_OUTER] + p[topo.LEFT_EYE_INNER]) / 2,
            (p[topo.RIGHT_EYE_INNER] + p[topo.RIGHT_EYE_OUTER]) / 2,
            p[topo.NOSE_TIP],
            p[topo.MOUTH_LEFT],
            p[topo.MOUTH_RIGHT],
        ]
    )


def _square(
    centre: NDArray[np.float64], right: NDArray[np.float64], side: float
) -> NDArray[np.float64]:
    """(2, 3) similarity from the image to the input square: ``right`` points along its rows."""
    length = float(np.hypot(*right))
    if not np.isfinite(length) or length < 1e-3 or not np.isfinite(side) or side < 1e-3:
        raise FaceError("the landmarks span no area", stage="landmarks")
    c, s = right / length
    rotation = np.array([[c, s], [-s, c]]) * (INPUT_PX / side)
    return np.concatenate([rotation, (INPUT_PX / 2 - rotation @ centre)[:, None]], axis=1)


def _square_from_face(face: Face, factor: float = BOX_FACTOR) -> NDArray[np.float64]:
    box = face.box.astype(np.float64)
    eyes = face.landmarks.astype(np.float64)
    return _square((box[:2] + box[2:]) / 2, eyes[1] - eyes[0], face.size * factor)


def _square_from_points(points: FloatArray) -> NDArray[np.float64]:
    p = points[:, :2].astype(np.float64)
    right = p[topo.RIGHT_EYE_OUTER] - p[topo.LEFT_EYE_OUTER]
    length = float(np.hypot(*right))
    if not np.isfinite(length) or length < 1e-3:
        raise FaceError("the mesh collapsed", stage="landmarks")
    c, s = right / length
    turned = p @ np.array([[c, -s], [s, c]])
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
    return _square(centre, right, float((high - low).max()) * BOX_FACTOR)


def _spread(fits: FloatArray) -> float:
    """How far (n, 468, 3) meshes lie apart at eyes and brows, in face widths."""
    outline = fits[:, topo.FACE_OVAL, :2].mean(axis=0)
    width = float(np.sqrt(np.ptp(outline, axis=0).prod()))
    variance = fits[:, topo.EYES_AND_BROWS, :2].var(axis=0).sum(axis=-1)
    return float(np.sqrt(variance).mean()) / max(width, 1.0)


def _shaken(
    square: NDArray[np.float64], turn: float, factor: float, right: float, down: float
) -> NDArray[np.float64]:
    """A square turned, enlarged and moved about its middle."""
    c, s = np.cos(turn) * factor, np.sin(turn) * factor
    by = np.array([[c, -s], [s, c]])
    middle = np.full(2, INPUT_PX / 2)
    shift = by @ (square[:, 2] - middle) + middle + [right, down]
    return np.column_stack([by @ square[:, :2], shift])


def cut_square(image: ImageArray, matrix: NDArray[np.float64], side: int) -> ImageArray:
    """Cut out a network's input; what it needs of a much larger image is shrunk first.

    Args:
        image: (H, W, 3) RGB uint8.
        matrix: (2, 3) similarity from the image to the square.
        side: Of the square, pixels.

    Returns:
        (side, side, 3) RGB uint8; beyond the image its border is repeated.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]])
    reach = corners @ inverse.T
    height, width = image.shape[:2]
    x0, y0 = np.clip(np.floor(reach.min(axis=0)).astype(int) - 2, 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(reach.max(axis=0)).astype(int) + 2, [x0 + 1, y0 + 1], [width, height])
    part = image[y0:y1, x0:x1]
    shift = np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]], dtype=np.float64)
    local = matrix @ shift
    if scale < 0.67:
        size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        fx, fy = (x1 - x0) / size[0], (y1 - y0) / size[1]
        local = local @ np.array([[fx, 0, fx / 2 - 0.5], [0, fy, fy / 2 - 0.5], [0, 0, 1]])
    chip = cv2.warpAffine(
        part, local, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(chip, dtype=np.uint8)


def _to_image(points: FloatArray, matrix: NDArray[np.float64]) -> FloatArray:
    """Mesh in input pixels -> mesh in image pixels, z scaled like x and y."""
    inverse = cv2.invertAffineTransform(matrix)
    scale = float(np.hypot(inverse[0, 0], inverse[1, 0]))
    xy = points[:, :2] @ inverse[:, :2].T + inverse[:, 2]
    return np.concatenate([xy, points[:, 2:] * scale], axis=1).astype(np.float32)
