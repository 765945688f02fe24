"""What the sections of ``benchmarks.generator`` share: wishes, portraits, and who looks at them.

A portrait is looked at as any photo is: the detector looks for the face from scratch, and what is
measured is measured at its landmarks. Nothing of what the source says of its own people counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from anonyface.detection.retinaface import RetinaFace
from anonyface.errors import NobodyLeft
from anonyface.identities.looks import LookReader
from anonyface.landmarks.mesh import FaceMesh
from anonyface.landmarks.pose import Pose, estimate_pose
from anonyface.types import Face, FloatArray, Identity, ImageArray
from anonyface.verification.encoder import DlibEncoder
from benchmarks.calibrate import subject
from benchmarks.contract import Asked
from benchmarks.judges import Jury

Gender: TypeAlias = Literal["female", "male"]
Side: TypeAlias = Literal[256, 1024]
GENDERS: tuple[Gender, ...] = ("female", "male")
EMBEDDING_DIMS = 128
PROGRESS_EVERY = 50

BROAD: Mapping[str, tuple[float, float]] = {
    "age": (3.0, 78.0),
    "skin_tone": (-10.0, 60.0),
    "yaw": (-30.0, 30.0),
    "pitch": (-10.0, 10.0),
    "mouth_open": (0.0, 0.3),
    "smile": (0.5, 0.75),
    "eyes_open": (0.2, 0.38),
    "side_light": (-20.0, 20.0),
}
"""Looks are drawn evenly from here, in the units of `anonyface.types.Look`: about what the middle
nine tenths of photographed faces show, and for age, skin tone and turn of the head all the project
is asked for."""
GLASSES = 0.15
"""Share of random wishes with glasses."""


@dataclass(frozen=True)
class Wish:
    """What is asked of the source; None for what does not matter.

    Attributes:
        seed: Of the request.
        gender: "female" or "male".
        age: Years.
        skin_tone: ITA in degrees.
        yaw: Degrees, as all that follow in the units of `anonyface.types.Look`.
        pitch: Degrees.
        mouth_open: Gap over width.
        smile: Mouth width over the distance of the eyes.
        eyes_open: Lid gap over eye width.
        side_light: L* units.
        glasses: Whether glasses are worn.
    """

    seed: int
    gender: Gender | None = None
    age: float | None = None
    skin_tone: float | None = None
    yaw: float | None = None
    pitch: float | None = None
    mouth_open: float | None = None
    smile: float | None = None
    eyes_open: float | None = None
    side_light: float | None = None
    glasses: bool = False


class Source(Protocol):
    """The part of the product's identity source that is measured."""

    def request(
        self,
        *,
        gender: Gender | None,
        age: float | None,
        skin_tone: float | None,
        yaw: float | None,
        pitch: float | None,
        mouth_open: float | None,
        smile: float | None,
        eyes_open: float | None,
        side_light: float | None,
        glasses: bool,
        taken: FloatArray | None,
        n: int,
        seed: int | None,
        size: Side,
    ) -> list[Identity]:
        """Return ``n`` people, each somebody else."""
        ...


@dataclass(frozen=True, eq=False)
class Shot:
    """What came of a wish.

    Attributes:
        wish: What was asked.
        identity: Who came, None if the source found nobody.
        face: The face found in the portrait, None if there is none.
    """

    wish: Wish
    identity: Identity | None
    face: Face | None

    @property
    def pixels(self) -> ImageArray:
        """(S, S, 3) the portrait; grey where nobody came."""
        if self.identity is None:
            return np.full((256, 256, 3), 128, np.uint8)
        return self.identity.pixels

    @property
    def landmarks(self) -> FloatArray | None:
        """(5, 2) of the face found, None if there is none."""
        return None if self.face is None else self.face.landmarks


class Examiner:
    """Looks for the face in a picture and measures it.

    Args:
        threads: Threads for inference.
    """

    def __init__(self, *, threads: int) -> None:
        self.detector = RetinaFace(threads=threads)
        self.mesh = FaceMesh(threads=threads)
        self.encoder = DlibEncoder(threads=threads)
        self.looks = LookReader(threads=threads)

    def find(self, image: ImageArray) -> Face | None:
        """Return the face a (H, W, 3) picture is of, None if there is none."""
        return subject(self.detector(image), image.shape[:2])

    def pose(self, image: ImageArray, face: Face) -> Pose:
        """Return how the head is turned, by the mesh."""
        return estimate_pose(self.mesh(image, [face])[0].points)

    def skin_tone(self, image: ImageArray, face: Face) -> float:
        """Return the ITA of the cheeks in degrees."""
        chip = self.encoder.chip(image, face.landmarks)
        mesh = self.mesh(image, [face])[0]
        return self.looks(image, mesh, face.landmarks, chip, self.encoder.views(chip)).skin_tone


@dataclass(frozen=True, eq=False)
class Lab:
    """What a section works with.

    Attributes:
        source: Who is measured.
        eye: Who looks at the portraits.
        jury: Who compares the faces.
        seed: Of all draws.
        threads: Threads for inference.
        quick: Whether few samples do: a try.
        cache: Folder that keeps downloads and features, outside of the repository; None for none.
        sheets: Folder for pictures to look at, None for none.
    """

    source: Source
    eye: Examiner
    jury: Jury
    seed: int
    threads: int
    quick: bool = False
    cache: Path | None = None
    sheets: Path | None = None

    def size(self, full: int, few: int) -> int:
        """Return how many samples to take: ``few`` in a quick run."""
        return few if self.quick else full


@dataclass(frozen=True, eq=False)
class Section:
    """One question of the benchmark.

    Attributes:
        measure: Returns counts and figures.
        show: Prints the figures, as they stand in the file.
        asked: The values asked for, from the figures as they stand in the file.
    """

    measure: Callable[[Lab], tuple[dict[str, Any], dict[str, Any]]]
    show: Callable[[Mapping[str, Any]], None]
    asked: Callable[[Mapping[str, Any]], list[Asked]]


def draw_wish(rng: np.random.Generator, *, seed: int) -> Wish:
    """Draw a wish evenly from `BROAD`; everything matters in it."""
    asked = {name: round(float(rng.uniform(*span)), 3) for name, span in BROAD.items()}
    gender = GENDERS[int(rng.integers(2))]
    return Wish(seed=seed, gender=gender, glasses=bool(rng.random() < GLASSES), **asked)


def ask(
    source: Source, wish: Wish, *, taken: FloatArray | None = None, n: int = 1, size: Side = 256
) -> list[Identity]:
    """Return the people a source has for a wish, none if it refuses.

    Args:
        source: The source.
        wish: What is asked.
        taken: (m, 128) embeddings of people given out before.
        n: How many.
        size: Side of the portraits.
    """
    try:
        return source.request(
            gender=wish.gender,
            age=wish.age,
            skin_tone=wish.skin_tone,
            yaw=wish.yaw,
            pitch=wish.pitch,
            mouth_open=wish.mouth_open,
            smile=wish.smile,
            eyes_open=wish.eyes_open,
            side_light=wish.side_light,
            glasses=wish.glasses,
            taken=taken,
            n=n,
            seed=wish.seed,
            size=size,
        )
    except NobodyLeft as few:
        return list(few.found)


def take_job(lab: Lab, wishes: Sequence[Wish]) -> list[Shot]:
    """Ask for one person after the other, each being told who was given out before."""
    shots: list[Shot] = []
    given: list[FloatArray] = []
    for wish in wishes:
        taken = np.stack(given) if given else None
        people = ask(lab.source, wish, taken=taken)
        given += [person.embedding for person in people]
        shots.append(develop(lab, wish, people[0] if people else None))
    return shots


def take(lab: Lab, wishes: Sequence[Wish]) -> list[Shot]:
    """Ask for everybody alone, and say how far it is."""
    shots: list[Shot] = []
    for wish in wishes:
        people = ask(lab.source, wish)
        shots.append(develop(lab, wish, people[0] if people else None))
        if len(shots) % PROGRESS_EVERY == 0:
            print(f"{len(shots)} of {len(wishes)} portraits", flush=True)
    return shots


def develop(lab: Lab, wish: Wish, identity: Identity | None) -> Shot:
    """Look for the face in a portrait."""
    return Shot(wish, identity, None if identity is None else lab.eye.find(identity.pixels))


def misses(shots: Sequence[Shot]) -> dict[str, int]:
    """Count portraits, and what is missing."""
    return {
        "portraits_asked": len(shots),
        "nobody_came": sum(shot.identity is None for shot in shots),
        "portraits_without_a_face": sum(s.identity is not None and s.face is None for s in shots),
    }


def written(share: Mapping[str, Any] | None) -> str:
    """Return a share of the file as text.

    >>> written({"value": 0.25, "hits": 1, "of": 4, "low": 0.0456, "high": 0.6994})
    '0.2500 (1/4)'
    """
    if share is None:
        return "not measured"
    return f"{share['value']:.4f} ({share['hits']}/{share['of']})"


def interval(share: Mapping[str, Any] | None) -> str:
    """Return the 95 % interval of a share of the file."""
    return "" if share is None else f"{share['low']:.4f}-{share['high']:.4f}"
