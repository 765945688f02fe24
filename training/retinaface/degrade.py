"""What photos do to a face: small sizes, blur, noise, JPEG, light and colour."""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.types import ImageArray


def shrink(pixels: ImageArray, factor: float) -> ImageArray:
    """Reduce a picture's sides by a factor below 1."""
    size = (max(8, round(pixels.shape[1] * factor)), max(8, round(pixels.shape[0] * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def compress(pixels: ImageArray, quality: int) -> ImageArray:
    """Store as JPEG and read again."""
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def blur(pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Blur a little, as a lens or a moving hand does."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.6)), dtype=np.uint8)
    length = int(rng.integers(2, 6))
    kernel = np.zeros((length, length), np.float32)
    if rng.random() < 0.5:
        kernel[length // 2] = 1 / length
    else:
        np.fill_diagonal(kernel, 1 / length)
    return np.asarray(cv2.filter2D(pixels, -1, kernel), dtype=np.uint8)


def relight(pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Change exposure, contrast, colour and saturation; now and then black and white."""
    curve = np.arange(256, dtype=np.float32) / 255
    curve = curve ** np.float32(np.exp(rng.normal(0, 0.25)))
    gains = np.exp(rng.normal(0, 0.06, 3)).astype(np.float32) * np.float32(rng.uniform(0.75, 1.2))
    table = np.clip(curve[:, None] * gains * 255, 0, 255).astype(np.uint8)
    out = np.stack([table[:, c][pixels[..., c]] for c in range(3)], axis=-1)
    kept = 0.0 if rng.random() < 0.06 else float(rng.uniform(0.6, 1.2))
    grey = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None]
    if abs(kept - 1) > 0.1:
        out = np.clip(grey + kept * (out.astype(np.float32) - grey), 0, 255).astype(np.uint8)
    return np.asarray(out, dtype=np.uint8)


def add_noise(pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Add grain of a few grey levels."""
    grain = rng.normal(0, rng.uniform(2, 12), pixels.shape).astype(np.float32)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def degrade(
    pixels: ImageArray, rng: np.random.Generator, *, smallest: float = 0.2
) -> tuple[ImageArray, float]:
    """Make a picture look like a part of some photo.

    Args:
        pixels: (h, w, 3) RGB uint8.
        rng: Randomness.
        smallest: Factor by which it is reduced at most.

    Returns:
        The picture, perhaps smaller, and the factor by which it was reduced.
    """
    factor = 1.0
    out = pixels
    if rng.random() < 0.8:
        out = relight(out, rng)
    if rng.random() < 0.5:
        factor = float(np.exp(rng.uniform(np.log(smallest), 0)))
        out = shrink(out, factor)
    if rng.random() < 0.15:
        out = blur(out, rng)
    if rng.random() < 0.25:
        out = add_noise(out, rng)
    if rng.random() < 0.3:
        out = compress(out, int(rng.integers(30, 90)))
    return out, out.shape[1] / pixels.shape[1] if factor < 1 else 1.0
