"""Sharpness and grain: the new face must be neither cleaner nor softer than the photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from anonyface.types import BoolArray, FloatArray

SOLID, MARGIN_PX = 0.9, 2
"""Weight of the new face from which on it is compared, and how far from anything less."""
FEWEST_PX, FEWEST_SMALL_PX = 64, 64
"""With fewer pixels to compare, the new face stays as it was resampled; the second number holds for
what is left of them at half the size and below."""
BLOCK, LEAST_BLOCK_PX = 0.07, 4
"""Side of the blocks whose median is taken where something sharp is in front of the face: in face
widths, and in pixels at least."""
IN_FRONT = 0.68
"""Share of the steepness of the whole below which that of most blocks betrays such a thing."""
SOFTEST, CRISPEST = 0.10, 2.0
"""Widest blur in face widths, and the strongest sharpening, in shares of what a blur takes away."""
CRISP_SIGMA = 0.6
"""Blur whose loss is what sharpening adds, in pixels: a wider one would draw rims."""
FIRST_PX, STEP, HALVINGS = 0.4, 1.5, 4
"""Blurs are tried from the first on, each wider than the one before by the step; what lies between
the last two is halved."""
LEAST_PX = 0.25
"""Narrower blurs are none."""
DEFOCUSED, RISE, FALL, LEVELS = 1.1, 1.05, 0.8, 2
"""A picture of a steepness below the first number that at half the size is not steeper by the
second shows nothing but grain and blocks of JPEG, and so does one that falls below the third of it:
it is compared at half or a quarter of its size. Sharp pictures begin at 1.3; blurred ones grow
steeper by a fifth or more with each halving as long as they show the face."""
SLACK = 0.1
"""By how much the new face may be steeper where a smaller size is compared besides: what a face
shows there is its own."""
LEAST_GRAIN, GRAIN_LIMIT = 0.4, 12.0
"""Missing noise in grey levels that is worth adding, and the most that is added."""
SAME_GRAIN = 0.2
"""Difference in grey levels from which on a search that assumed one grain is made anew."""
GRAIN_SIGMA = 0.6
"""Photos carry grain that is slightly soft: demosaicking and JPEG have smoothed it."""
GRAIN_CURVE, GRAIN_SLOPE = 7.57, 0.94
"""Energy of the Laplacian and of the gradient of such grain of variance 1."""
ROUNDING, ROUNDING_CURVE = 1 / 12, 20 / 12
"""The same of the error of rounding to grey levels, of which a picture in float32 has none yet."""
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """What the new face is compared with, at one size.

    Attributes:
        luma: (h, w) float32 lightness of the photo, 0-255.
        inner: (h, w) pixels that count.
        width: Face width in pixels.
        robust: Whether the median of blocks is taken instead of the whole.
    """

    luma: FloatArray
    inner: BoolArray
    width: float
    robust: bool = False

    def steepness(self, luma: FloatArray, *, grain: float = 0.0, rounded: bool = False) -> float:
        """Root of the Laplacian's energy over the gradient's: what a blur lowers, and contrast not.

        Args:
            luma: (h, w) float32 lightness of a picture, 0-255.
            grain: Standard deviation of grain that will be added to it, grey levels.
            rounded: Whether it is made of whole grey levels.
        """
        curve, slope = _energies(luma)
        more = 1 if rounded else 2
        over = GRAIN_CURVE * grain**2 + ROUNDING_CURVE * more
        under = GRAIN_SLOPE * grain**2 + ROUNDING * more
        if self.robust:
            top, bottom, weight = self._blocks(curve, slope)
            return _middle(np.sqrt((top + over) / (bottom + under)), weight)
        energy, ground = (float(e[self.inner].mean()) for e in (curve, slope))
        return float(np.sqrt((energy + over) / (ground + under)))

    def halved(self) -> Scene:
        """The same at half the size."""
        inner = _half(self.inner.astype(np.float32)) > 0.99
        return replace(self, luma=_half(self.luma), inner=inner, width=self.width / 2)

    def missing_grain(self, luma: FloatArray) -> float:
        """How much grain the photo has that a picture has not, grey levels."""
        noise = _noise(self.luma, self.inner) ** 2 - _noise(luma, self.inner) ** 2
        # Where the picture is as lively already, it is detail that the photo has less of.
        energy = [float(_energies(x)[0][self.inner].mean()) for x in (self.luma, luma)]
        left = (energy[0] - energy[1]) / GRAIN_CURVE
        return min(GRAIN_LIMIT, float(np.sqrt(max(0.0, min(noise, left)))))

    def _blocks(
        self, curve: FloatArray, slope: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Means of both energies in blocks, and what each block weighs."""
        side = max(LEAST_BLOCK_PX, BLOCK * self.width)
        size = [max(1, round(n / side)) for n in reversed(self.luma.shape)]
        mask = self.inner.astype(np.float32)
        share, top, bottom = (
            np.asarray(cv2.resize(a, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
            for a in (mask, curve * mask, slope * mask)
        )
        some = share > share.max() / 2
        weight = share[some] * np.sqrt(bottom[some])
        return top[some] / share[some], bottom[some] / share[some], weight


def match_texture(
    new: FloatArray, old: FloatArray, alpha: FloatArray, rng: np.random.Generator, width: float
) -> FloatArray:
    """Blur or sharpen the new face to the old one's sharpness, then add grain like the photo's.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        old: (h, w, 3) float32 RGB 0-255, whole grey levels.
        alpha: (h, w) float32 weight of the new face.
        rng: Source of the grain.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    square = np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)
    inner = cv2.erode((alpha >= SOLID).astype(np.uint8), square) > 0
    if int(inner.sum()) < FEWEST_PX:
        return new
    scene = Scene(_luma(old), np.asarray(inner), width)
    new = match_sharpness(new, scene)
    missing = scene.missing_grain(_luma(new))
    if missing > LEAST_GRAIN:
        noise = rng.standard_normal(new.shape[:2]).astype(np.float32)
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), GRAIN_SIGMA), dtype=np.float32)
        noise *= missing / max(float(noise.std()), 1e-6)
        new = new + noise[..., None]
    return np.asarray(np.clip(new, 0, 255), dtype=np.float32)


def match_sharpness(new: FloatArray, scene: Scene) -> FloatArray:
    """Blur or sharpen the new face until its edges are as steep as the photo's.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        scene: What it is compared with.

    Returns:
        (h, w, 3) float32.
    """
    luma, sigma = _luma(new), 0.0
    levels = _comparable(scene)
    for scale, seen, target in levels:
        shrunk = luma
        for _ in range(int(np.log2(scale))):
            shrunk = _half(shrunk)
        # Halving averages the grain away, and grain fills what is missing at full size.
        grain = seen.missing_grain if scale == 1 else (lambda _: 0.0)
        if seen.steepness(shrunk, grain=grain(shrunk)) > target:
            sigma = max(sigma, scale * _softening(shrunk, seen, target, grain))
    if sigma > LEAST_PX:
        return _blur(new, sigma)
    scale, seen, target = levels[0]
    if scale > 1 or seen.steepness(luma, grain=seen.missing_grain(luma)) > target:
        return new
    return _crisper(new, luma, seen, target)


def _comparable(scene: Scene) -> list[tuple[int, Scene, float]]:
    """By how much the photo is shrunk to be compared, how it looks then, and how steep it may be.

    Something sharp in front of a face out of focus must not count, and grain must not stand for
    detail: sizes that show nothing else are left out. What is out of focus is so at every smaller
    size that tells, too.
    """
    whole = scene.steepness(scene.luma, rounded=True)
    most = replace(scene, robust=True)
    if most.steepness(scene.luma, rounded=True) < min(DEFOCUSED, IN_FRONT * whole):
        scene = most
    levels = [(1, scene, scene.steepness(scene.luma, rounded=True))]
    while len(levels) <= LEVELS:
        scale, seen, _ = levels[-1]
        half = seen.halved()
        if int(half.inner.sum()) < FEWEST_SMALL_PX:
            break
        levels.append((2 * scale, half, half.steepness(half.luma)))
    while len(levels) > 1 and _only_grain(levels[0][2], levels[1][2]):
        del levels[0]
    return levels[:1] + [
        (scale, seen, (1 + SLACK) * steep) for scale, seen, steep in levels[1:] if steep < DEFOCUSED
    ]


def _only_grain(steepness: float, halved: float) -> bool:
    """Whether a picture of some steepness, another one at half the size, shows no detail."""
    return halved < steepness * (RISE if steepness < DEFOCUSED else FALL)


def _softening(
    luma: FloatArray, scene: Scene, target: float, grain: Callable[[FloatArray], float]
) -> float:
    """The blur, in pixels, after which a picture that is too sharp is as soft as the photo."""
    sigma, added = 0.0, grain(luma)
    for _ in range(2):
        sigma = _first_below(luma, scene, target, added)
        before, added = added, grain(_blur(luma, sigma))
        if abs(added - before) < SAME_GRAIN:
            break
    return sigma


def _first_below(luma: FloatArray, scene: Scene, target: float, grain: float) -> float:
    """The least blur after which a picture is no steeper than the target."""
    low, best = 0.0, scene.steepness(luma, grain=grain)
    high = FIRST_PX
    while high < SOFTEST * scene.width:
        found = scene.steepness(_blur(luma, high), grain=grain)
        if found > best:  # nothing is left but the error of rounding
            return low
        if found <= target:
            break
        best, low, high = found, high, high * STEP
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        steep = scene.steepness(_blur(luma, middle), grain=grain) > target
        low, high = (middle, high) if steep else (low, middle)
    return (low + high) / 2


def _crisper(new: FloatArray, luma: FloatArray, scene: Scene, target: float) -> FloatArray:
    """The picture with more of what a narrow blur would take away."""
    fine = luma - _blur(luma, CRISP_SIGMA)
    low, high = 0.0, CRISPEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        crisp = luma + middle * fine
        soft = scene.steepness(crisp, grain=scene.missing_grain(crisp)) < target
        low, high = (middle, high) if soft else (low, middle)
    amount = np.float32((low + high) / 2)
    return np.asarray(new + amount * (new - _blur(new, CRISP_SIGMA)), dtype=np.float32)


def _energies(luma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squares of the Laplacian and of the gradient, central differences, at every pixel."""
    curve = cv2.Laplacian(luma, cv2.CV_32F, ksize=1)
    across, down = (
        cv2.Sobel(luma, cv2.CV_32F, x, y, ksize=1, scale=0.5) for x, y in ((1, 0), (0, 1))
    )
    return curve * curve, across * across + down * down


def _noise(luma: FloatArray, where: BoolArray) -> float:
    """Noise level by the median of the Immerkaer (1996) operator, grey levels."""
    values = np.abs(cv2.filter2D(luma, cv2.CV_32F, _NOISE_KERNEL))[where]
    return float(np.median(values)) / (0.6745 * 6) if values.size else 0.0


def _middle(values: FloatArray, weights: FloatArray) -> float:
    """Weighted median; no value weighs more than two usual ones."""
    weights = np.minimum(weights, 2 * np.median(weights))
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _luma(rgb: FloatArray) -> FloatArray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _blur(image: FloatArray, sigma: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.05)), dtype=np.float32)


def _half(image: FloatArray) -> FloatArray:
    size = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
