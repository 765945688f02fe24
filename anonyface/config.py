"""Every option of the library with its one default; the command line reads them from here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, get_args

from anonyface.errors import InputError
from anonyface.types import Detail, MetadataPolicy, Method, OnFailure, Region, Unsure, Verify


@dataclass(frozen=True)
class Config:
    """Options of an `Anonymizer`.

    Attributes:
        method: "synthetic" puts a nobody in place of a face; "blur", "pixelate" and "solid" cover
            it.
        region: What of a face is replaced. "eyes" and "mouth" leave the rest, which identifies
            people: most outcomes are not verified then, and say so. Only with "synthetic".
        detail: How hard to look for faces.
        on_failure: "redact" covers a face that can't be replaced or verified, "raise" raises its
            `FaceError` and returns no image.
        unsure: What happens to a face that might be a protected person: "replace" it, "keep" it, or
            "raise" a `FaceError`.
        allow_repeats: Whether one protected person may stay more than once in a photo (mirrors,
            prints, twins); by default only the face that matches best stays.
        verify: How far the old identity must be gone: "strict" asks for more than "normal".
        metadata: What a written file may say of the photo: "clean" drops places, serial numbers and
            everything that can hold a face, "keep" also keeps descriptions, "none" keeps nothing.
        mark: Whether a written file says that parts of it are synthetic.
        seed: None draws fresh randomness; an int makes the result reproducible.
        threads: Threads the inference engine may use, 0 for all cores this process may run on.
    """

    method: Method = "synthetic"
    region: Region = "face"
    detail: Detail = "normal"
    on_failure: OnFailure = "redact"
    unsure: Unsure = "replace"
    allow_repeats: bool = False
    verify: Verify = "normal"
    metadata: MetadataPolicy = "clean"
    mark: bool = True
    seed: int | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", get_args(Method)),
            ("region", get_args(Region)),
            ("detail", get_args(Detail)),
            ("on_failure", get_args(OnFailure)),
            ("unsure", get_args(Unsure)),
            ("verify", get_args(Verify)),
            ("metadata", get_args(MetadataPolicy)),
            ("allow_repeats", (False, True)),
            ("mark", (False, True)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                known = ", ".join(map(str, allowed))
                raise InputError(f"{name} must be one of {known}, not {value!r}")
        if self.region != "face" and self.method != "synthetic":
            raise InputError(f"region {self.region!r} needs method synthetic, not {self.method!r}")
        if self.seed is not None and (
            isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0
        ):
            raise InputError(f"seed must be None or an int >= 0, not {self.seed!r}")
        if not isinstance(self.threads, int) or self.threads < 0:
            raise InputError(f"threads must be an int >= 0, not {self.threads!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return the options as a JSON-ready dict; the seed only as "given" or "fresh"."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["seed"] = "fresh" if self.seed is None else "given"
        return out
