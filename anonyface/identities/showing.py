"""Whether a portrait shows what was predicted of it: head, mouth, eyes and glasses alike."""

from __future__ import annotations

from anonyface.identities.fit import DARK_LENSES, WEARS
from anonyface.identities.looks import CLOSED, are_dark, cheek_colours
from anonyface.landmarks.iris import true_gap
from anonyface.landmarks.occlusion import is_masked
from anonyface.landmarks.pose import estimate_pose, measure_expression
from anonyface.landmarks.skin import colour_spread
from anonyface.types import Identity, Look, Mesh

MOST_TURNED = 13.0
"""Degrees of yaw or pitch beyond which a portrait must be bent so far that one sees it: 1 in 50 of
those given out without a look at them."""
MOST_OPEN, MOST_WIDE = 0.13, 0.11
"""The same for the gap of the lips over the mouth's width, and for that over the distance of the
eyes' outer corners."""
OPEN = 0.22
"""Gap of the lids over eye width from which on eyes are open."""


MIXED_LIGHT = 7.5
"""Spread of the skin's colour, a*b* units, from which on a portrait is lit in several colours: they
stay as spots of light. So were 1 in 25; of the 24 with most of it every fourth had such spots."""


def shows_alike(original: Mesh, look: Look, identity: Identity) -> bool:
    """Whether a portrait is near enough to a face in pose and expression to be bent to it.

    Nor may it be lit in several colours: only the smoothest light can be taken off it.

    What a mask hides, and lids that are not known, are not compared. Eyes that are shut may get
    open ones: those are closed (`anonyface.swapping.lids`); the other way round nothing helps.

    Args:
        original: Mesh of the face that is replaced.
        look: What was read off it.
        identity: Whose portrait it is.

    Raises:
        FaceError: If the portrait's mesh lies outside of it.
    """
    portrait = identity.mesh
    if look.eyewear >= WEARS:
        left, right = cheek_colours(identity.pixels, portrait)
        dark = are_dark(identity.pixels, portrait, float(left[0] + right[0]) / 2)
        if dark != (look.shade >= DARK_LENSES):
            return False
    if colour_spread(identity.pixels, portrait) > MIXED_LIGHT:
        return False
    old, new = estimate_pose(original.points), estimate_pose(portrait.points)
    if max(abs(old.yaw - new.yaw), abs(old.pitch - new.pitch)) > MOST_TURNED:
        return False
    if min(_gaps(original), default=0.0) > OPEN and max(_gaps(portrait), default=1.0) < CLOSED:
        return False
    if is_masked(original):
        return True
    was, shown = measure_expression(original.points), measure_expression(portrait.points)
    return (
        abs(was.mouth_open - shown.mouth_open) <= MOST_OPEN
        and abs(was.smile - shown.smile) <= MOST_WIDE
    )


def _gaps(mesh: Mesh) -> list[float]:
    """Gap over width of both eyes; none if the lids are not known."""
    return [] if mesh.lids is None else [true_gap(lids) for lids in mesh.lids]
