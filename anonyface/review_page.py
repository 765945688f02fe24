"""A page to look results over before they are published: one HTML file that loads nothing.

It shows what the photos show now, cut from the results. Faces that stay are not shown unless asked
for: then the page holds no pixel of an original face that the detector found.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import cv2
import numpy as np
from PIL import Image

from anonyface.media.files import check_target, replace_file
from anonyface.media.metadata import software
from anonyface.report import count_actions, is_verified, public_reason, whole_box
from anonyface.result import AnonymizeResult, Check, FaceOutcome, Match
from anonyface.types import Action, Face, ImageArray

CROP_PX = 160
"""Longest side of a crop on the page."""
MARGIN = 0.3
"""Share of the box's longer side shown around it: enough to see seams."""
HIDDEN_MARGIN = 0.125
"""Share of the box's longer side up to which a face is hidden: from ear to ear, with the hair."""
BLANK = 128
"""Grey in which faces that stay are painted where they reach into another face's crop."""
WEAK_SCORE = 0.8
"""Detector score below which a face is told to be a weak detection."""
CLOSE_CALL = 0.03
"""Distance to a threshold from which on a score is told to be close to it."""

ACTION_WORDS: dict[Action, str] = {"replaced": "replaced", "redacted": "covered", "kept": "kept"}


@dataclass(frozen=True)
class ReviewFace:
    """One face on the page.

    Attributes:
        index: Number of the face in the photo.
        box: x0 y0 x1 y1 in whole pixels.
        action: What was done.
        reason: Why, without names of protected people.
        crop: JPEG of what stands there now, None if it is not shown.
        badges: What deserves a second look, in a few words each.
        checks: What each encoder says of the replacement.
        match: How the face compares with the protected people; only its figures are shown.
    """

    index: int
    box: tuple[int, ...]
    action: Action
    reason: str
    crop: bytes | None
    badges: tuple[str, ...]
    checks: tuple[Check, ...]
    match: Match | None


@dataclass(frozen=True)
class ReviewEntry:
    """One photo on the page, made at once so that no image has to be kept.

    Attributes:
        name: What to call the photo.
        size_wh: Width and height in pixels.
        counts: Faces found, replaced, redacted and kept.
        faces: The faces, in the detector's order.
    """

    name: str
    size_wh: tuple[int, int]
    counts: dict[str, int]
    faces: tuple[ReviewFace, ...]


def review_entry(name: str, result: AnonymizeResult, *, show_kept: bool = False) -> ReviewEntry:
    """Take from a result what the page shows of it.

    Args:
        name: What to call the photo.
        result: What `anonymize` returned.
        show_kept: Whether faces that stay are shown, as the published photo shows them.
    """
    kept = [outcome.face for outcome in result.faces if outcome.action == "kept"]
    method = str(result.settings.get("method", "synthetic"))
    return ReviewEntry(
        name=name,
        size_wh=(result.image.shape[1], result.image.shape[0]),
        counts=count_actions(result),
        faces=tuple(
            ReviewFace(
                index=index,
                box=tuple(whole_box(outcome.face)),
                action=outcome.action,
                reason=public_reason(outcome),
                crop=_crop(result.image, outcome, () if show_kept else kept),
                badges=badges(outcome, method=method),
                checks=outcome.checks,
                match=outcome.match,
            )
            for index, outcome in enumerate(result.faces)
        ),
    )


def badges(outcome: FaceOutcome, *, method: str) -> tuple[str, ...]:
    """Return what deserves a second look at a face, in a few words each.

    A face that was covered instead of replaced, one that was replaced without a measurement, a
    score close to its threshold, a person who might be a protected one, and a weak detection.

    Args:
        outcome: What became of the face.
        method: What was asked for, as in `anonyface.config.Config`.
    """
    out = []
    if outcome.action == "redacted" and method == "synthetic":
        out.append("covered")
    if outcome.action == "replaced" and is_verified(outcome) is not True:
        out.append("not verified")
    if any(check.passed and check.threshold - check.after < CLOSE_CALL for check in outcome.checks):
        out.append("close to the threshold")
    match = outcome.match
    if match is not None and match.verdict == "unsure":
        out.append("may be a protected person")
    elif match is not None and 0 <= match.score - match.sure < CLOSE_CALL:
        out.append("barely recognised as protected")
    if outcome.face.score < WEAK_SCORE:
        out.append("weak detection")
    return tuple(out)


def write_review_page(entries: Iterable[ReviewEntry], path: str | Path) -> Path:
    """Write the page of any number of photos, whole or not at all.

    Args:
        entries: The photos, in the order of the page.
        path: Where to; an existing file is replaced in one step.

    Returns:
        The path written.

    Raises:
        InputError: If it can't be written.
    """
    target = check_target(path)
    replace_file(target, render_review_page(entries).encode("utf-8", "replace"))
    return target


def render_review_page(entries: Iterable[ReviewEntry]) -> str:
    """Return the page as HTML."""
    listed = list(entries)
    totals = {key: sum(e.counts[key] for e in listed) for key in ("found", *ACTION_WORDS)}
    doubtful = sum(bool(face.badges) for entry in listed for face in entry.faces)
    summary = f"{_number_of(len(listed), 'photo')}, {_counts(totals)}; {doubtful} to look at again"
    return _PAGE.substitute(
        software=escape(software()),
        summary=escape(summary),
        photos="\n".join(map(_photo, listed)) or "<p>No photos.</p>",
    )


def _crop(image: ImageArray, outcome: FaceOutcome, blank: Iterable[Face]) -> bytes | None:
    """Return a JPEG of a face as the result shows it; None if nothing may or can be shown.

    Args:
        image: (H, W, 3) RGB uint8, the result.
        outcome: The face.
        blank: Faces of which nothing may be shown.
    """
    hidden = list(blank)
    if any(outcome.face is face for face in hidden):
        return None
    left, top, right, bottom = _window(outcome.face, image, MARGIN)
    if left >= right or top >= bottom:
        return None
    pixels = image[top:bottom, left:right].copy()
    for face in hidden:
        x0, y0, x1, y1 = _window(face, image, HIDDEN_MARGIN)
        pixels[max(y0 - top, 0) : max(y1 - top, 0), max(x0 - left, 0) : max(x1 - left, 0)] = BLANK
    height, width = pixels.shape[:2]
    scale = CROP_PX / max(height, width)
    if scale < 1:
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


def _window(face: Face, image: ImageArray, margin: float) -> tuple[int, int, int, int]:
    """Return x0 y0 x1 y1 of a grown box, inside the image, end exclusive."""
    height, width = image.shape[:2]
    grow = face.size * margin
    low = np.floor(np.clip(face.box[:2] - grow, 0, (width, height)))
    high = np.ceil(np.clip(face.box[2:] + grow, 0, (width, height)))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _number_of(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _counts(counts: dict[str, int]) -> str:
    """Return text such as "6 faces: 5 replaced, 1 covered, 0 kept"."""
    parts = ", ".join(f"{counts[action]} {word}" for action, word in ACTION_WORDS.items())
    return f"{_number_of(counts['found'], 'face')}: {parts}"


def _photo(entry: ReviewEntry) -> str:
    """Return the section of one photo."""
    width, height = entry.size_wh
    faces = "\n".join(_face(face) for face in entry.faces) or "<li>No faces found.</li>"
    return (
        f"<section>\n<h2>{escape(entry.name)}</h2>\n"
        f"<p>{width} × {height} pixels, {escape(_counts(entry.counts))}</p>\n"  # noqa: RUF001
        f"<ol>\n{faces}\n</ol>\n</section>"
    )


def _face(face: ReviewFace) -> str:
    """Return the card of one face."""
    word = ACTION_WORDS[face.action]
    if face.crop is None:
        picture = '<p class="hidden">not shown</p>'
    else:
        uri = f"data:image/jpeg;base64,{base64.b64encode(face.crop).decode()}"
        picture = f'<img src="{uri}" alt="Face {face.index} in the result, {word}">'
    marks = "".join(f'<li class="badge">{escape(badge)}</li>' for badge in face.badges)
    box = ", ".join(map(str, face.box))
    return (
        f'<li class="{face.action}{" doubt" if face.badges else ""}">\n{picture}\n<div>\n'
        f"<h3>Face {face.index}: {word}</h3>\n"
        + (f'<ul class="badges">{marks}</ul>\n' if marks else "")
        + f"<p>{escape(face.reason)}</p>\n<p>Box {box}</p>\n{_scores(face)}</div>\n</li>"
    )


def _scores(face: ReviewFace) -> str:
    """Return the table of what was measured of a face, empty if nothing was."""
    rows = [
        (check.encoder, check.after, "below", check.threshold, check.false_match_rate, check.passed)
        for check in face.checks
    ]
    match = face.match
    if match is not None:
        sure = match.score >= match.sure
        rows.append(("protected", match.score, "from", match.sure, match.false_match_rate, sure))
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{score:.2f}</td>'
        f"<td>{side} {limit:.2f}</td><td>{rate:g}</td><td>{'yes' if met else 'no'}</td></tr>"
        for name, score, side, limit, rate, met in rows
    )
    heads = "".join(
        f'<th scope="col">{head}</th>'
        for head in ("compared by", "score", "threshold", "false match rate", "met")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>\n"


_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Review: $summary</title>
<style>
:root { color-scheme: light dark; --line: #767676; --mark: #8a3b00; --paper: #fff; --ink: #1a1a1a }
@media (prefers-color-scheme: dark) {
  :root { --line: #8c8c8c; --mark: #ffb27a; --paper: #161616; --ink: #ececec }
}
body { margin: 1.5rem; background: var(--paper); color: var(--ink); font: 1rem/1.45 sans-serif }
h2 { overflow-wrap: anywhere; border-bottom: 1px solid var(--line) }
h3, p { margin: 0 0 .4rem }
ol, ul { list-style: none; margin: 0; padding: 0 }
ol { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(27rem, 1fr)) }
ol > li { display: flex; gap: 1rem; border: 1px solid var(--line); padding: .75rem }
ol > li.doubt { border: 3px solid var(--mark) }
img, .hidden { flex: none; width: 160px; height: 160px; object-fit: contain }
.hidden { border: 1px dashed var(--line); line-height: 160px; text-align: center }
.badges { display: flex; flex-wrap: wrap; gap: .3rem; margin-bottom: .4rem }
.badge { border: 1px solid var(--mark); color: var(--mark); padding: 0 .4rem; font-weight: bold }
table { border-collapse: collapse; font-size: .85rem }
th, td { padding: .1rem .6rem .1rem 0; text-align: left }
@media (max-width: 30rem) { ol { grid-template-columns: 1fr } ol > li { flex-wrap: wrap } }
</style>
</head>
<body>
<main>
<h1>Review</h1>
<p>$summary</p>
<p>Pictures show the results, not the originals. A face nobody detected is not on this page.</p>
$photos
</main>
<footer><p>$software</p></footer>
</body>
</html>
"""
)
