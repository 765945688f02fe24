"""Whether a portrait shows what was predicted of it: head, mouth, eyes, glasses, age and gender."""

from __future__ import annotations

from collections.abc import Iterator

from anonyface.identities.candidates import A_CHILD, BARELY_SHOWS
from anonyface.identities.clearness import hair_in_face, mouth_is_discoloured
from anonyface.identities.fit import DARK_LENSES, WEARS, age_tolerance
from anonyface.identities.looks import CLOSED, LookReader, are_dark, cheek_colours
from anonyface.landmarks.iris import true_gap
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.occlusion import is_masked
from anonyface.landmarks.pose import estimate_pose, measure_expression
from anonyface.landmarks.skin import colour_spread
from anonyface.types import Identity, Look, Mesh
from anonyface.verification.encoder import DlibEncoder

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
MOST_LIFTED = 45.0
"""Degrees of skin tone by which a portrait may be darker than the photo: beyond, what little its
skin shows becomes blotches in the light."""
LESS_SURE = 0.08
"""By how much less surely than the original somebody may read as of that gender; in a child it
barely shows."""
OTHER_FACIAL_HAIR, OTHER_AGE = 0.25, 1.6
"""How far apart the probabilities of a beard or moustache must lie, see `SEEMS_BEARDED`, and how
many tolerances of age, before one sees it: of portraits looked at 1 in 8 was 9 years off."""
SEEMS_BEARDED = 0.4
"""Probability from which on there may be a beard or moustache: grey ones are told less surely. Only
from half on there surely is one."""
SPOILT = 3.0
"""Sum of faults from which on a portrait is not put on, though nobody else is left. One that is
just seen counts 0.5, one by twice what is allowed 2 to 3.5, and so do glasses of the wrong kind."""
SHOWS_GLASSES, SEEMS_TO_WEAR = 0.5, 0.2
"""Probability from which on a portrait shows glasses, and from which on rims that fade away."""


class PortraitCheck:
    """Says whether a portrait shows whom it was chosen for.

    Args:
        threads: Threads for inference, 0 for all usable cores.
    """

    def __init__(self, *, threads: int = 0) -> None:
        self._encoder = DlibEncoder(threads=threads)
        self._looks = LookReader(threads=threads)

    def __call__(self, original: Mesh, look: Look, identity: Identity) -> bool:
        """Whether it is near enough to a face, `shows_alike`, and reads like it, `reads_alike`.

        Args:
            original: Mesh of the face that is replaced.
            look: What was read off it.
            identity: Whose portrait it is.

        Raises:
            FaceError: If the portrait's mesh lies outside of it.
        """
        return shows_alike(original, look, identity) and reads_alike(look, self.read(identity))

    def faults(self, original: Mesh, look: Look, identity: Identity) -> float:
        """How bad a portrait is, in units of which `SPOILT` is too many; 0 where a call says yes.

        Arguments and errors are those of a call.
        """
        shown = sum(shown_faults(original, look, identity))
        return shown + sum(read_faults(look, self.read(identity)))

    def read(self, identity: Identity) -> Look:
        """Return the look of a portrait.

        Raises:
            FaceError: If its mesh is degenerate or lies outside of it.
        """
        pixels, mesh = identity.pixels, identity.mesh
        landmarks = five_points(mesh.points)
        chip = self._encoder.chip(pixels, landmarks)
        return self._looks(pixels, mesh, landmarks, chip, self._encoder.views(chip))


def reads_alike(asked: Look, seen: Look) -> bool:
    """Whether somebody reads as of the gender and the age asked, with a beard and glasses as asked.

    Nor may the skin be far darker than asked.

    Args:
        asked: What was read off the original. Nothing is asked where that is not sure, or NaN.
        seen: What was read off a portrait.

    >>> from anonyface.identities.fit import wanted
    >>> girl = wanted(p_female=0.9, age=6.0, eyewear=0.1)
    >>> likely = wanted(p_female=0.6, age=8.0, eyewear=0.0)
    >>> reads_alike(girl, likely), reads_alike(girl, wanted(p_female=0.9, age=25.0, eyewear=0.0))
    (True, False)
    """
    return not any(read_faults(asked, seen))


def read_faults(asked: Look, seen: Look) -> Iterator[float]:
    """Yield how bad each fault is that `reads_alike` forbids, see `SPOILT`."""
    if asked.skin_tone - seen.skin_tone > MOST_LIFTED:
        yield 1.5
    side = asked.p_female >= 0.5
    less = asked.p_female - seen.p_female if side else seen.p_female - asked.p_female
    if less > (BARELY_SHOWS if asked.age < A_CHILD else LESS_SURE):
        yield 0.5 if (seen.p_female >= 0.5) == side else 1.5
    if _across(asked.facial_hair, seen.facial_hair) > OTHER_FACIAL_HAIR:
        yield 1.0
    if seen.eyewear < SHOWS_GLASSES if asked.eyewear >= WEARS else seen.eyewear > SEEMS_TO_WEAR:
        yield SPOILT
    yield beyond(abs(seen.age - asked.age), OTHER_AGE * age_tolerance(asked.age), 0.5)


def beyond(value: float, most: float, twice: float) -> float:
    """How bad a value is: nothing up to its limit, from there 0.5, and so much more at twice it."""
    return 0.5 + twice * (value / most - 1) if value > most else 0.0


def _across(one: float, other: float) -> float:
    """How far apart two probabilities lie, one maybe of a beard and one of none; else 0."""
    low, high = sorted((one, other))  # of NaN, not known, no comparison holds
    return high - low if low < 0.5 and high >= SEEMS_BEARDED else 0.0


def shows_alike(original: Mesh, look: Look, identity: Identity) -> bool:
    """Whether a portrait is near enough to a face in pose and expression to be bent to it.

    Nor may it be lit in several colours, only the smoothest light can be taken off it, have hair
    hanging into the face, or a mouth of a colour that no mouth has.

    What a mask hides, and lids that are not known, are not compared. Eyes that are shut may get
    open ones: those are closed (`anonyface.swapping.lids`); the other way round nothing helps.

    Args:
        original: Mesh of the face that is replaced.
        look: What was read off it.
        identity: Whose portrait it is.

    Raises:
        FaceError: If the portrait's mesh lies outside of it.
    """
    return not any(shown_faults(original, look, identity))


def shown_faults(original: Mesh, look: Look, identity: Identity) -> Iterator[float]:
    """Yield how bad each fault is that `shows_alike` forbids, see `SPOILT`."""
    portrait = identity.mesh
    if look.eyewear >= WEARS:
        left, right = cheek_colours(identity.pixels, portrait)
        dark = are_dark(identity.pixels, portrait, float(left[0] + right[0]) / 2)
        if dark != (look.shade >= DARK_LENSES):
            yield 1.5 if dark else SPOILT  # what shows of eyes behind dark glasses is smeared
    yield beyond(colour_spread(identity.pixels, portrait), MIXED_LIGHT, 2.0)
    female = identity.gender == "female"
    if hair_in_face(identity.pixels, portrait, female=female, age=identity.age):
        yield 1.5
    old, new = estimate_pose(original.points), estimate_pose(portrait.points)
    yield beyond(max(abs(old.yaw - new.yaw), abs(old.pitch - new.pitch)), MOST_TURNED, 3.0)
    if min(_gaps(original), default=0.0) > OPEN and max(_gaps(portrait), default=1.0) < CLOSED:
        yield 2.0
    if is_masked(original):
        return
    if mouth_is_discoloured(identity.pixels, portrait):
        yield 2.0
    was, shown = measure_expression(original.points), measure_expression(portrait.points)
    yield beyond(abs(was.mouth_open - shown.mouth_open), MOST_OPEN, 2.0)
    yield beyond(abs(was.smile - shown.smile), MOST_WIDE, 2.0)


def _gaps(mesh: Mesh) -> list[float]:
    """Gap over width of both eyes; none if the lids are not known."""
    return [] if mesh.lids is None else [true_gap(lids) for lids in mesh.lids]
