"""What colour and light must not do: limits on the new face, taken from the old one.

The gains of `anonyface.swapping.tone` are meant for skin as the portrait shows it: highlights,
eyes, teeth and hair come out of them as nobody's are.
"""

from __future__ import annotations

import cv2
import numpy as np

from anonyface.landmarks.skin import to_lab
from anonyface.swapping.mask import Regions, smoothstep
from anonyface.swapping.smooth import luma_of, shrink, spread_about, work_size
from anonyface.types import FloatArray

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
    compared = work_size(where, width)
    if compared is None:
        return new
    factor, weight, sigma = compared
    lab = to_lab(np.clip(new, 0, 255))
    smooth, spread = spread_about(shrink(lab, factor)[..., 1:], weight, sigma)
    _, wanted = spread_about(to_lab(shrink(old, factor))[..., 1:], weight, sigma)
    damp = min(1.0, (wanted + BLOTCHES) / max(spread, 1e-3))
    if damp == 1:
        return new
    around = cv2.resize(smooth, (new.shape[1], new.shape[0]), interpolation=cv2.INTER_LINEAR)
    keep = (1 + (damp - 1) * bare)[..., None].astype(np.float32)
    lab[..., 1:] = around + (lab[..., 1:] - around) * keep
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.float32) * 255


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
    luma = luma_of(old)[skin > 0.5]
    if luma.size < 16:
        return new
    limit = float(np.percentile(luma, BRIGHTEST_PERCENT)) * HEADROOM
    have = luma_of(new)
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
    luma = luma_of(old)[features > 0.5]
    if luma.size < 16:
        return new
    limit = float(np.percentile(luma, DARKEST_PERCENT)) * FOOTROOM
    have = luma_of(new)
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
