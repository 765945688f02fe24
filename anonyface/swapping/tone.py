"""Colour and light: the low-frequency shading of the original, put on the new face.

Only smooth averages of skin pixels travel from the original to the new face: nothing finer than a
tenth of the face's width, and nothing from hair, glasses or background, so that they can't bleed.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.landmarks.skin import to_lab
from anonyface.swapping.mask import Regions, smoothstep
from anonyface.types import FloatArray

SHADING_SIGMA = 0.11
"""Smoothness of the shading that is transferred, in face widths."""
PRIOR = 0.04
"""Weight of the whole face's mean against the local one: decides where no skin is near."""
GAIN_LIMITS = (0.2, 4.0)
EDGE_SIGMA = 0.05
EDGE_REACH = 0.07
"""Smoothness and depth of the last correction along the outline, in face widths."""
RIM_SIGMA, RIM_NEAR, RIM_REACH = 0.03, 0.05, 0.06
"""What is finer counts as lively; how far around that is measured; how far from the edge it is
matched: all in face widths."""
RIM_LIMITS, RIM_FLOOR = (0.4, 1.3), 0.5
"""Gain there, and grey levels that are nothing."""
CONTRAST_LIMITS = (0.75, 1.4)
FEWEST_CHEEK_PX, CHEEK_LIMITS, CHEEK_RAMP = 8.0, (0.8, 1.2), 0.2
"""Smaller cheeks tell nothing; the most the colour may change; the distance from the outline over
which the change sets in, in face widths."""
BRIGHTEST_PERCENT, HEADROOM, OVERSHOOT = 98.0, 1.05, 0.25
"""Highlights above 1.05 times this percentile of the old skin keep a quarter of the excess."""
DARKEST_PERCENT, FOOTROOM = 1.5, 0.9
"""Darker than 0.9 times this percentile of the old features is brought three quarters nearer."""
GREY_TINT, MAX_CAST, OWN_COLOUR = 0.35, 14.0, 0.7
"""Tint of grey things as a share of the skin's, how far they may stray, L*a*b* units, and how much
of its colour in the portrait tongue and gums keep."""
COLDER, YELLOWER = 3.0, 5.0
"""How much greener or bluer than grey things in that light they may be, L*a*b* units, unless they
are in the portrait: teeth turned green, lenses blue. And how much more yellow than red what is
inside a mouth, where the generator's are green, olive or purple now and then."""
BLOTCHES = 0.5
"""Spread of the skin's colour, a*b* units, that is nothing."""
DARK = 0.7
"""Share of the skin's lightness below which a pixel is hair rather than skin."""
WORK_PX = 64
"""The shading is computed on a crop shrunk to about this width of face."""


def match_shading(
    new: FloatArray, old: FloatArray, skin: FloatArray, regions: Regions, width: float
) -> FloatArray:
    """Give the new face the colour and light of the old one.

    gain = (G*(skin old) + k mean(old)) / (G*(skin new) + k mean(new)), a quotient of normalised
    convolutions (Knutsson & Westin 1993) per channel, G Gaussian; then a difference of the same
    kind along the outline.

    Args:
        new: (h, w, 3) float32 RGB 0-255, the warped portrait.
        old: (h, w, 3) float32 RGB 0-255, the crop.
        skin: (h, w) float32 weight of pixels that are skin in both.
        regions: Masks of the crop.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    factor = min(1.0, WORK_PX / width)
    small_new, small_old = _shrink(new, factor), _shrink(old, factor)
    weight = _shrink(skin, factor)
    small_width = width * factor
    gain = _quotient(small_old, small_new, weight, SHADING_SIGMA * small_width)
    near = np.exp(-_shrink(regions.edge, factor) / (EDGE_REACH * width)).astype(np.float32)
    residual = (small_old - small_new * gain) * (weight * near)[..., None]
    sigma = EDGE_SIGMA * small_width
    correction = _blur(residual, sigma) / (_blur(weight * near, sigma) + 0.05)[..., None]
    correction *= near[..., None]
    shape = (new.shape[1], new.shape[0])
    out = new * cv2.resize(gain, shape, interpolation=cv2.INTER_LINEAR)
    out += cv2.resize(correction, shape, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(out, 0, 255), dtype=np.float32)


def match_contrast(new: FloatArray, old: FloatArray, where: FloatArray, width: float) -> FloatArray:
    """Give the features of the new face the contrast of the old ones.

    A portrait taken in soft light looks flat in a photo with hard light, and the other way round.
    One factor is measured, the ratio of the spreads of what is finer than the shading.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        where: (h, w) float32 weight of the pixels to compare.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    factor = min(1.0, WORK_PX / width)
    weight = _shrink(where, factor)
    total = float(weight.sum())
    if total < FEWEST_CHEEK_PX:
        return new
    sigma = SHADING_SIGMA * width * factor
    luma, size = _luma(new), (new.shape[1], new.shape[0])
    smooth, spread = _spread(_shrink(luma, factor)[..., None], weight, sigma)
    _, wanted = _spread(_shrink(_luma(old), factor)[..., None], weight, sigma)
    gain = np.clip(wanted / max(spread, 1e-3), *CONTRAST_LIMITS)
    around = cv2.resize(smooth[..., 0], size, interpolation=cv2.INTER_LINEAR)
    # As a gain of lightness: the colours of the portrait are not made louder.
    lighter = np.maximum(around + gain * (luma - around), 0) / np.maximum(luma, 1)
    return np.asarray(np.clip(new * lighter[..., None], 0, 255), dtype=np.float32)


def limit_colours(
    new: FloatArray, old: FloatArray, where: FloatArray, bare: FloatArray, width: float
) -> FloatArray:
    """Keep the skin of the new face from being more blotched than that of the old one.

    The gain that turns red skin into pale skin turns the white highlights on it cyan. What of a*b*
    is finer than the shading is damped by the ratio of the spreads, if the new one's is larger.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        where: (h, w) float32 weight of the skin to compare.
        bare: (h, w) float32 in [0, 1], 0 in eyes and mouth: where it holds.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    factor = min(1.0, WORK_PX / width)
    weight = _shrink(where, factor)
    total = float(weight.sum())
    if total < FEWEST_CHEEK_PX:
        return new
    sigma = SHADING_SIGMA * width * factor
    lab = to_lab(np.clip(new, 0, 255))
    smooth, spread = _spread(_shrink(lab, factor)[..., 1:], weight, sigma)
    _, wanted = _spread(to_lab(_shrink(old, factor))[..., 1:], weight, sigma)
    damp = min(1.0, (wanted + BLOTCHES) / max(spread, 1e-3))
    if damp == 1:
        return new
    around = cv2.resize(smooth, (new.shape[1], new.shape[0]), interpolation=cv2.INTER_LINEAR)
    keep = (1 + (damp - 1) * bare)[..., None].astype(np.float32)
    lab[..., 1:] = around + (lab[..., 1:] - around) * keep
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.float32) * 255


def match_rim(new: FloatArray, old: FloatArray, alpha: FloatArray, width: float) -> FloatArray:
    """Let the new face be as lively along its edge as the photo is there.

    Wrinkles, pores and shadows that the photo has not would end where the new face does. What is
    finer than `RIM_SIGMA` gets a gain, the ratio of its local spreads; it fades out inwards.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        alpha: (h, w) float32 weight of the new face.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    inside = cv2.distanceTransform((alpha >= 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    rim = np.exp(-np.asarray(inside) / np.float32(max(1.0, RIM_REACH * width)))
    smooth = cv2.GaussianBlur(new, (0, 0), max(1.0, RIM_SIGMA * width))
    near = max(1.0, RIM_NEAR * width)
    spreads = []
    for image in (new, old):
        luma = _luma(image)
        fine = luma - cv2.GaussianBlur(luma, (0, 0), max(1.0, RIM_SIGMA * width))
        spreads.append(np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), near)) + RIM_FLOOR)
    gain = np.clip(spreads[1] / spreads[0], *RIM_LIMITS)
    keep = (1 + (gain - 1) * rim)[..., None]
    return np.asarray(np.clip(smooth + (new - smooth) * keep, 0, 255), dtype=np.float32)


def match_cheeks(
    new: FloatArray, old: FloatArray, cheeks: FloatArray, regions: Regions, width: float
) -> FloatArray:
    """Give the new face the mean colour of the old one's cheeks.

    A portrait's cheeks shine more against the face around them than most people's do, so that a
    face of the right shading still reads as lighter. Three numbers for the whole face, fading out
    towards the outline, where the colours meet those around.

    Args:
        new: (h, w, 3) float32 RGB 0-255, already of the right shading.
        old: (h, w, 3) float32 RGB 0-255.
        cheeks: (h, w) float32 weight of the cheeks' skin.
        regions: Masks of the crop.
        width: Face width in pixels.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    total = float(cheeks.sum())
    if total < FEWEST_CHEEK_PX:
        return new
    have, wanted = (np.einsum("hwc,hw->c", image, cheeks) / total for image in (new, old))
    gain = np.clip(wanted / np.maximum(have, 1), *CHEEK_LIMITS).astype(np.float32)
    inner = smoothstep(regions.edge / max(1.0, CHEEK_RAMP * width))
    return np.asarray(new * (1 + (gain - 1) * inner[..., None]), dtype=np.float32)


def limit_highlights(
    new: FloatArray, old: FloatArray, skin: FloatArray, bare: FloatArray
) -> FloatArray:
    """Hold the skin of the new face below the brightest skin of the old one.

    A highlight of the portrait, brightened together with the skin around it, would burn out.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        old: (h, w, 3) float32 RGB 0-255.
        skin: (h, w) float32 weight of skin in the original.
        bare: (h, w) float32 in [0, 1]: where the limit holds; not in eyes and mouth.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    luma = _luma(old)[skin > 0.5]
    if luma.size < 16:
        return new
    limit = float(np.percentile(luma, BRIGHTEST_PERCENT)) * HEADROOM
    have = _luma(new)
    over = np.maximum(have - limit, 0)
    factor = (have - (1 - OVERSHOOT) * over * bare) / np.maximum(have, 1e-3)
    return np.asarray(new * factor[..., None], dtype=np.float32)


def limit_shadows(
    new: FloatArray, old: FloatArray, features: FloatArray, regions: Regions
) -> FloatArray:
    """Hold eyes and brows of the new face above the darkest of the old one's.

    Light that hardens a portrait, and brightens it, makes holes of its eyes.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        old: (h, w, 3) float32 RGB 0-255.
        features: (h, w) float32 weight of the original's features that are in view.
        regions: Masks of the crop.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    luma = _luma(old)[features > 0.5]
    if luma.size < 16:
        return new
    limit = float(np.percentile(luma, DARKEST_PERCENT)) * FOOTROOM
    have = _luma(new)
    under = np.maximum(limit - have, 0) * regions.core
    lighter = (have + (1 - OVERSHOOT) * under) / np.maximum(have, 1)
    return np.asarray(new + new * (lighter - 1)[..., None], dtype=np.float32)


def limit_casts(
    new: FloatArray,
    skin_lab: FloatArray,
    bare: FloatArray,
    portrait_lab: FloatArray,
    portrait_skin: FloatArray,
    mouth: FloatArray,
) -> FloatArray:
    """Keep teeth, the white of the eye and hair from taking a colour no light would give them.

    The gain that turns the portrait's skin into the photo's can turn its teeth cyan and a moustache
    blue. A grey thing in light that tints skin is tinted a little the same way. What has a colour
    in the portrait, like tongue and gums, keeps it, as far as the photo's skin has any.

    Args:
        new: (h, w, 3) float32 RGB 0-255.
        skin_lab: (3,) L*a*b* of the original's skin.
        bare: (h, w) float32 in [0, 1], 0 in eyes and mouth: there, and where it is much darker
            than skin, the limit holds.
        portrait_lab: (h, w, 3) float32 L*a*b* of the warped portrait.
        portrait_skin: (3,) L*a*b* of its skin.
        mouth: (h, w) float32, 1 inside the mouth of the new face.

    Returns:
        (h, w, 3) float32 RGB 0-255.
    """
    lab = cv2.cvtColor(np.clip(new, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    dark = np.clip((DARK * skin_lab[0] - lab[..., 0]) / (0.15 * skin_lab[0]), 0, 1)
    free = bare * (1 - dark) * (1 - mouth)
    grey = GREY_TINT * skin_lab[1:]
    off = lab[..., 1:] - grey
    length = np.maximum(np.hypot(off[..., 0], off[..., 1]), 1e-3)
    limited = off * np.minimum(1, MAX_CAST / length)[..., None]
    own = portrait_lab[..., 1:] - GREY_TINT * portrait_skin[1:]
    strength = np.hypot(own[..., 0], own[..., 1])
    red = smoothstep(np.asarray(strength / MAX_CAST - 1, dtype=np.float32)) * (1 - bare)
    duller = min(1.0, float(np.hypot(*skin_lab[1:]) / max(np.hypot(*portrait_skin[1:]), 1.0)))
    limited += (own * np.float32(OWN_COLOUR * duller) - limited) * red[..., None]
    limited = _natural(limited + grey, grey, portrait_lab[..., 1:], mouth) - grey
    lab[..., 1:] = grey + limited + (off - limited) * free[..., None]
    changed = np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.float32) * 255
    touched = (free < 1) & (np.abs(limited - off).max(axis=2) > 0)
    return np.where(touched[..., None], changed, new).astype(np.float32)


def _natural(
    colour: FloatArray, grey: FloatArray, portrait: FloatArray, mouth: FloatArray
) -> FloatArray:
    """Colour that eyes, hair and the inside of a mouth can have, (h, w, 2) a*b*.

    Args:
        colour: (h, w, 2) a*b* they would get.
        grey: (2,) a*b* of grey things; only what is so in the portrait is much colder.
        portrait: (h, w, 2) a*b* they have in the portrait.
        mouth: (h, w) float32, 1 inside a mouth: what is green there is not believed, nor what is
            much more yellow than red.
    """
    out = np.maximum(colour, np.minimum(portrait, grey - COLDER))
    red = np.maximum(colour[..., 0], grey[0])
    yellow = np.clip(colour[..., 1], grey[1] - COLDER, red + YELLOWER)
    inside = mouth[..., None] > 0
    return np.where(inside, np.stack([red, yellow], axis=-1), out).astype(np.float32)


def _spread(values: FloatArray, weight: FloatArray, sigma: float) -> tuple[FloatArray, float]:
    """The smooth part of some channels, (h, w, c), and how far they spread about it.

    Args:
        values: (h, w, c) float32.
        weight: (h, w) float32 of the pixels that count; some must.
        sigma: Of the Gaussian, pixels.
    """
    near = (_blur(weight, sigma) + np.float32(1e-3))[..., None]
    blurred = _blur(values * weight[..., None], sigma)
    smooth = np.asarray(blurred.reshape(values.shape) / near, dtype=np.float32)
    square = np.square(values - smooth).sum(axis=2)
    return smooth, float(np.sqrt((square * weight).sum() / weight.sum()))


def _luma(rgb: FloatArray) -> FloatArray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _smooth(image: FloatArray, width: float) -> FloatArray:
    factor = min(1.0, WORK_PX / width)
    small = _blur(_shrink(image, factor), SHADING_SIGMA * width * factor)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _quotient(old: FloatArray, new: FloatArray, weight: FloatArray, sigma: float) -> FloatArray:
    total = max(float(weight.sum()), 1e-3)
    mean_old = (old * weight[..., None]).sum(axis=(0, 1)) / total
    mean_new = (new * weight[..., None]).sum(axis=(0, 1)) / total
    if total < 4:  # hardly any skin in sight: keep the light the portrait came with
        return np.ones_like(old)
    top = _blur(old * weight[..., None], sigma) + PRIOR * mean_old
    bottom = _blur(new * weight[..., None], sigma) + PRIOR * mean_new
    return np.asarray(np.clip(top / np.maximum(bottom, 1e-3), *GAIN_LIMITS), dtype=np.float32)


def _shrink(array: FloatArray, factor: float) -> FloatArray:
    if factor >= 1:
        return array
    size = (max(1, round(array.shape[1] * factor)), max(1, round(array.shape[0] * factor)))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _blur(array: FloatArray, sigma: float) -> FloatArray:
    out = cv2.GaussianBlur(array, (0, 0), max(0.5, sigma), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(out, dtype=np.float32)
