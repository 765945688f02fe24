"""Whether a portrait shows the pose and the expression it was chosen for."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anonyface.identities.clearness import (
    CLEAR,
    STRANDS,
    hair_in_face,
    mouth_is_discoloured,
    read_bareness,
    strands_on_cheeks,
)
from anonyface.identities.fit import DARK_LENSES
from anonyface.identities.looks import (
    NARROW,
    LookReader,
    _shade,
    are_dark,
    cheek_colours,
)
from anonyface.identities.showing import (
    MOST_OPEN,
    MOST_TURNED,
    MOST_WIDE,
    SPOILT,
    PortraitCheck,
    read_faults,
    reads_alike,
    shown_faults,
    shows_alike,
)
from anonyface.landmarks import topology as topo
from anonyface.landmarks.iris import IrisLandmarks
from anonyface.landmarks.mesh import five_points
from anonyface.landmarks.pose import measure_expression
from anonyface.types import FloatArray, Identity, Look, Mesh, Occlusion
from anonyface.verification.encoder import DlibEncoder

from ..test_subjects import LOOK as ANYBODY

LOOK = replace(ANYBODY, shade=20.0)
LOWER_LIP = np.array([14, 87, 178, 88, 95, 317, 402, 318, 324])


@pytest.fixture(scope="module")
def mesh(people: list[NDArray[np.uint8]], meshes: list[Mesh]) -> Mesh:
    return IrisLandmarks().complete(people[0], meshes[0])


def turned(mesh: Mesh, degrees: float) -> Mesh:
    """The head turned about the upright axis."""
    middle = mesh.points.mean(axis=0)
    turn = cv2.Rodrigues(np.array([0, np.radians(degrees), 0]))[0]
    points = (mesh.points - middle) @ turn.T + middle
    return replace(mesh, points=points.astype(np.float32))


def opened(mesh: Mesh, more: float) -> Mesh:
    """The mouth open so much wider, in its own widths."""
    points = mesh.points.copy()
    width = np.linalg.norm(points[topo.MOUTH_LEFT] - points[topo.MOUTH_RIGHT])
    points[LOWER_LIP, 1] += more * width
    return replace(mesh, points=points)


def widened(mesh: Mesh, more: float) -> Mesh:
    """The mouth so much wider, in distances of the eyes' outer corners."""
    points = mesh.points.copy()
    eyes = np.linalg.norm(points[topo.LEFT_EYE_OUTER] - points[topo.RIGHT_EYE_OUTER])
    points[topo.MOUTH_RIGHT, 0] += more * eyes
    return replace(mesh, points=points)


def shut(mesh: Mesh, share: float = 0.1) -> Mesh:
    """Lids as far open as a share of what they are."""
    assert mesh.lids is not None
    middle = mesh.lids.mean(axis=1, keepdims=True)
    return replace(mesh, lids=(middle + (mesh.lids - middle) * np.float32(share)).astype("f4"))


def masked(mesh: Mesh) -> Mesh:
    """A mask over all that the occlusion network sees."""
    low, side = mesh.points[:, :2].min(axis=0), float(np.ptp(mesh.points[:, :2], axis=0).max())
    scale = 64 / side
    matrix = np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]]])
    nothing, all_ = np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32)
    return replace(mesh, occlusion=Occlusion(nothing, all_, matrix))


def alike(original: Mesh, portrait: Mesh, look: Look = LOOK, eyes: int | None = None) -> bool:
    """Whether a portrait shows what it should; a grey is painted over its eyes, on pale skin."""
    return shows_alike(original, look, grey(portrait, eyes))


def grey(portrait: Mesh, eyes: int | None = None) -> Identity:
    """A portrait of one colour but for its eyes."""
    pixels = np.full((1024, 1024, 3), 200, np.uint8)
    if eyes is not None:
        for outline in (topo.LEFT_EYE, topo.RIGHT_EYE):
            middle = portrait.points[outline, :2].mean(axis=0).round().astype(int)
            width = round(float(np.ptp(portrait.points[outline, 0])))
            cv2.circle(pixels, middle.tolist(), width, (eyes, eyes, eyes), -1)
    return Identity(
        pixels, portrait, np.zeros(512), "male", 30.0, np.eye(128)[0], seed=1, source="t"
    )


def test_a_face_shows_what_it_shows(mesh: Mesh) -> None:
    assert alike(mesh, mesh)


def test_hair_that_hangs_into_the_face_does_not_show_what_it_should(
    people: list[NDArray[np.uint8]], mesh: Mesh
) -> None:
    """A fringe over one brow, and hair down one cheek: both would be worn beside the original's."""
    assert read_bareness(people[0], mesh).clear > CLEAR
    for fringe in ([10, 67, 103, 54, 105, 66], [54, 21, 162, 127, 234, 93, 132, 123, 117, 143]):
        pixels = people[0].copy()
        hull = cv2.convexHull(mesh.points[fringe, :2].round().astype(np.int32))
        cv2.fillPoly(pixels, [hull], (35, 25, 20))
        assert read_bareness(pixels, mesh).clear < CLEAR
        identity = Identity(pixels, mesh, np.zeros(512), "male", 30.0, np.eye(128)[0], 1, "t")
        assert not shows_alike(mesh, LOOK, identity)
        assert shows_alike(mesh, LOOK, replace(identity, pixels=people[0]))


@pytest.mark.parametrize(
    ("inside", "discoloured"),
    [
        ((225, 220, 205), False),  # teeth
        ((170, 80, 85), False),  # tongue
        ((25, 15, 25), False),  # nothing but shadow
        ((120, 100, 180), True),
        ((120, 160, 110), True),
    ],
)
def test_teeth_are_not_purple_or_green(
    people: list[NDArray[np.uint8]],
    mesh: Mesh,
    inside: tuple[int, int, int],
    discoloured: bool,
) -> None:
    open_mouth, pixels = opened(mesh, 0.3), people[0].copy()
    lips = open_mouth.points[topo.LIPS_INNER, :2].round().astype(np.int32)
    cv2.fillPoly(pixels, [lips], inside)
    assert mouth_is_discoloured(pixels, open_mouth) is discoloured
    identity = Identity(pixels, open_mouth, np.zeros(512), "male", 30.0, np.eye(128)[0], 1, "t")
    assert shows_alike(open_mouth, LOOK, identity) is not discoloured


def test_a_fringe_of_the_colour_of_skin_is_seen_by_its_strands(
    people: list[NDArray[np.uint8]], mesh: Mesh
) -> None:
    clear, pixels = people[0], people[0].copy()
    brow = mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].mean()
    for x in range(0, pixels.shape[1], 24):  # strands a hundredth of the picture wide
        part = pixels[: int(brow), x : x + 12]
        part[:] = np.clip(part.astype(int) - 25, 0, 255).astype(np.uint8)
    assert read_bareness(clear, mesh).forehead < STRANDS / 2
    assert not hair_in_face(clear, mesh, female=True, age=30)
    assert read_bareness(pixels, mesh).clear > CLEAR
    assert hair_in_face(pixels, mesh, female=True, age=30)
    assert not hair_in_face(pixels, mesh, female=False, age=70)  # may be wrinkles


def test_strands_on_cheeks_are_seen_in_a_large_portrait(
    people: list[NDArray[np.uint8]], mesh: Mesh
) -> None:
    clear, pixels = people[0], people[0].copy()
    brow = int(mesh.points[np.concatenate([topo.LEFT_BROW, topo.RIGHT_BROW]), 1].max())
    left, right = mesh.points[topo.FACE_OVAL, 0].min(), mesh.points[topo.FACE_OVAL, 0].max()
    for x in np.linspace(left, left + 0.25 * (right - left), 8).astype(int):
        part = pixels[brow:, x : x + 5]
        part[:] = np.clip(part.astype(int) - 90, 0, 255).astype(np.uint8)
    assert not strands_on_cheeks(clear, mesh, female=True, age=30)
    assert strands_on_cheeks(pixels, mesh, female=True, age=30)
    assert not strands_on_cheeks(pixels, mesh, female=False, age=30)  # may be a beard
    assert not strands_on_cheeks(pixels, mesh, female=True, age=70)


@pytest.mark.parametrize(
    ("eyewear", "shade", "eyes", "fits"),
    [
        (0.9, 60.0, 10, True),
        (0.9, 60.0, 120, False),  # sunglasses, and the portrait has clear ones
        (0.9, 20.0, 120, True),
        (0.9, 20.0, 10, False),  # the other way round
        (0.0, 60.0, 120, True),  # no glasses, deep eyes
    ],
)
def test_sunglasses_stay_sunglasses(
    mesh: Mesh, eyewear: float, shade: float, eyes: int, fits: bool
) -> None:
    assert alike(mesh, mesh, replace(LOOK, eyewear=eyewear, shade=shade), eyes) is fits


@pytest.mark.parametrize(("share", "fits"), [(0.6, True), (1.6, False)])
def test_pose_and_mouth_are_compared(mesh: Mesh, share: float, fits: bool) -> None:
    for other in (
        turned(mesh, share * MOST_TURNED),
        turned(mesh, -share * MOST_TURNED),
        opened(mesh, share * MOST_OPEN),
        widened(mesh, share * MOST_WIDE),
    ):
        assert alike(mesh, other) is fits
        assert alike(other, mesh) is fits


def test_of_a_mouth_under_a_mask_nothing_is_asked(mesh: Mesh) -> None:
    assert alike(masked(mesh), opened(mesh, 2 * MOST_OPEN))
    assert not alike(masked(mesh), turned(mesh, 1.6 * MOST_TURNED))


def test_open_eyes_get_no_shut_ones_but_shut_ones_may_get_open_ones(mesh: Mesh) -> None:
    assert not alike(mesh, shut(mesh))
    assert alike(shut(mesh), mesh)
    assert alike(shut(mesh), shut(mesh))
    assert alike(mesh, replace(mesh, lids=None))
    assert alike(replace(mesh, lids=None), shut(mesh))


def test_for_shut_eyes_narrow_ones_are_asked(people: list[NDArray[np.uint8]], mesh: Mesh) -> None:
    landmarks: FloatArray = five_points(mesh.points)
    encoder, read = DlibEncoder(threads=1), LookReader(threads=1)
    chip = encoder.chip(people[0], landmarks)
    views = encoder.views(chip)
    seen = [read(people[0], m, landmarks, chip, views).eyes_open for m in (mesh, shut(mesh))]
    assert seen[0] == pytest.approx(measure_expression(mesh.points).eyes_open)
    assert seen[0] > NARROW == pytest.approx(seen[1])


def test_a_cheek_behind_something_is_not_read(people: list[NDArray[np.uint8]], mesh: Mesh) -> None:
    """A ball before one cheek and the chin changes neither skin nor light nor beard."""
    landmarks: FloatArray = five_points(mesh.points)
    encoder, read = DlibEncoder(threads=1), LookReader(threads=1)
    chip = encoder.chip(people[0], landmarks)
    views = encoder.views(chip)
    pixels, ball = people[0].copy(), np.zeros(people[0].shape[:2], np.uint8)
    for part in (topo.RIGHT_CHEEK, topo.CHIN_PATCH, topo.MOUSTACHE):
        hull = cv2.convexHull(mesh.points[part, :2].round().astype(np.int32))
        cv2.fillConvexPoly(ball, hull, 1)
    ball = cv2.dilate(ball, np.ones((41, 41), np.uint8))
    pixels[ball > 0] = (30, 70, 20)
    front = cv2.resize(ball.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    seen = Occlusion(front, np.zeros_like(front), np.diag([1 / 16, 1 / 16, 1])[:2])
    before = read(people[0], mesh, landmarks, chip, views)
    after = read(pixels, replace(mesh, occlusion=seen), landmarks, chip, views)
    blind = read(pixels, mesh, landmarks, chip, views)
    assert after.side_light == 0
    assert abs(blind.side_light) > 15
    assert abs(after.skin_tone - before.skin_tone) < 10 < abs(blind.skin_tone - before.skin_tone)
    assert after.beard == 0
    assert np.isnan(after.facial_hair)
    assert not np.isnan(before.facial_hair)


@pytest.mark.parametrize(
    ("measured", "eyewear", "dark", "shade"),
    [
        (30.0, 0.9, False, 30.0),
        (62.0, 0.9, False, DARK_LENSES - 5),  # dark eyes of a pale face
        (18.0, 0.9, True, DARK_LENSES + 5),  # sunglasses in the dark
        (62.0, 0.9, True, 62.0),
        (62.0, 0.1, True, 62.0),  # deep eyes, no glasses
    ],
)
def test_only_dark_glasses_ask_for_dark_ones(
    measured: float, eyewear: float, dark: bool, shade: float
) -> None:
    assert _shade(measured, eyewear, dark=dark) == pytest.approx(shade)


@pytest.mark.parametrize("light", [1.0, 0.3])
def test_lenses_are_dark_in_which_nothing_light_is_seen(mesh: Mesh, light: float) -> None:
    pixels = np.full((1024, 1024, 3), 200, np.uint8)
    for outline in (topo.LEFT_EYE, topo.RIGHT_EYE):
        hull = cv2.convexHull(mesh.points[outline, :2].round().astype(np.int32))
        cv2.fillConvexPoly(pixels, hull, (40, 40, 40))
    eyes = pixels.copy()  # pale skin around dark eyes
    lenses = pixels.copy()
    for outline in (topo.LEFT_EYE, topo.RIGHT_EYE):
        middle = mesh.points[outline, :2].mean(axis=0).round().astype(int)
        width = round(float(np.ptp(mesh.points[outline, 0])))
        cv2.circle(lenses, middle.tolist(), width, (40, 40, 40), -1)
    for picture, dark in ((eyes, False), (lenses, True)):
        shown = (picture * light).astype(np.uint8)
        cheeks = float(np.mean([c[0] for c in cheek_colours(shown, mesh)]))
        assert are_dark(shown, mesh, cheeks) is dark


def test_light_of_two_colours_is_not_wanted(mesh: Mesh) -> None:
    pixels = np.full((1024, 1024, 3), (200, 150, 130), np.float32)
    pixels *= np.linspace(0.6, 1.2, 1024, dtype=np.float32)[:, None]  # a shadow is no colour
    middle = float(mesh.points[:, 0].mean())
    mixed = pixels.copy()
    mixed[:, : round(middle)] *= (0.8, 0.9, 1.4)  # blue from one side
    for picture, fits in ((pixels, True), (mixed, False)):
        image = np.clip(picture, 0, 255).astype(np.uint8)
        somebody = Identity(
            image, mesh, np.zeros(512), "male", 30.0, np.eye(128)[0], seed=1, source="t"
        )
        assert shows_alike(mesh, LOOK, somebody) is fits


@pytest.mark.parametrize(
    ("asked", "seen", "fits"),
    [
        ({"p_female": 0.95, "age": 40.0}, {"p_female": 0.9, "age": 46.0}, True),
        ({"p_female": 0.95, "age": 40.0}, {"p_female": 0.8, "age": 40.0}, False),
        ({"skin_tone": 60.0}, {"skin_tone": 0.0}, False),  # too dark to be lit so far
        ({"skin_tone": 0.0}, {"skin_tone": 60.0}, True),
        ({"p_female": 0.05, "age": 40.0}, {"p_female": 0.3, "age": 40.0}, False),
        ({"p_female": 0.6, "age": 40.0}, {"p_female": 1.0, "age": 40.0}, True),  # surer is no harm
        ({"p_female": 0.95, "age": 5.0}, {"p_female": 0.5, "age": 5.0}, True),  # a child
        ({"p_female": 0.95, "age": 5.0}, {"p_female": 0.3, "age": 5.0}, False),
        ({"p_female": 0.95, "age": 5.0}, {"p_female": 0.95, "age": 14.0}, False),
        ({"p_female": 0.95, "age": 40.0}, {"p_female": 0.95, "age": 50.0}, False),
        ({"facial_hair": 0.1}, {"facial_hair": 0.7}, False),
        ({"facial_hair": 0.9}, {"facial_hair": 0.2}, False),
        ({"facial_hair": 0.45}, {"facial_hair": 0.55}, True),
        ({"facial_hair": 0.2}, {"facial_hair": 0.47}, False),  # grey ones are told less surely
        ({"facial_hair": 0.1}, {"facial_hair": 0.38}, True),
        ({"facial_hair": float("nan")}, {"facial_hair": 0.7}, True),  # under a mask
        ({"eyewear": 0.1}, {"eyewear": 0.4}, False),
        ({"eyewear": 0.9}, {"eyewear": 0.9}, True),
        ({"eyewear": 0.9}, {"eyewear": 0.3}, False),
    ],
)
def test_gender_age_beard_and_glasses_are_compared(
    asked: dict[str, float], seen: dict[str, float], fits: bool
) -> None:
    one = replace(LOOK, facial_hair=0.1, eyewear=0.0)
    assert reads_alike(replace(one, **asked), replace(one, **seen)) is fits


def test_a_portrait_is_read_like_a_photo(people: list[NDArray[np.uint8]], mesh: Mesh) -> None:
    check = PortraitCheck(threads=1)
    pixels = np.asarray(people[0])
    one = Identity(pixels, mesh, np.zeros(512), "male", 30.0, np.eye(128)[0], seed=1, source="t")
    seen = check.read(one)
    assert check(mesh, seen, one)
    assert not check(mesh, replace(seen, p_female=1 - seen.p_female), one)
    assert not check(turned(mesh, 2 * MOST_TURNED), seen, one)


def test_faults_are_worse_the_farther_they_go(mesh: Mesh) -> None:
    identity = grey(mesh)
    bad = [sum(shown_faults(turned(mesh, degrees), LOOK, identity)) for degrees in (0, 20, 40)]
    assert bad[0] == 0
    assert 0.5 < bad[1] < SPOILT < bad[2]
    older = [sum(read_faults(LOOK, replace(LOOK, age=LOOK.age + more))) for more in (0, 12, 30)]
    assert older[0] == 0
    assert 0.5 < older[1] < older[2]
    # Half a pair of glasses is never believable.
    assert sum(read_faults(replace(LOOK, eyewear=1.0), LOOK)) >= SPOILT
    assert sum(read_faults(LOOK, replace(LOOK, eyewear=1.0))) >= SPOILT


def test_the_faults_of_a_portrait_are_those_seen_and_those_read(
    mesh: Mesh, people: list[NDArray[np.uint8]]
) -> None:
    check = PortraitCheck()
    identity = replace(grey(mesh), pixels=people[0])
    look = check.read(identity)
    assert check(mesh, look, identity)
    assert check.faults(mesh, look, identity) == 0
    far = replace(look, age=look.age + 40)
    assert not check(mesh, far, identity)
    assert check.faults(mesh, far, identity) == sum(read_faults(far, look))
