"""The review page: what the results show, never what the originals showed; safe to open."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from PIL import Image

from anonyface.config import Config
from anonyface.errors import InputError
from anonyface.media.images import load_image
from anonyface.result import AnonymizeResult, Check, FaceOutcome, Match
from anonyface.review_page import (
    BLANK,
    CROP_PX,
    MARGIN,
    badges,
    render_review_page,
    review_entry,
    write_review_page,
)
from anonyface.types import Face

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>.jpg'
GREEN = 200


def face(x, y, size=40, score=0.95):
    return Face([x, y, x + size, y + size], np.ones((5, 2)), score)


def made(*outcomes, image=None, **settings):
    pixels = np.full((120, 200, 3), 60, np.uint8) if image is None else image
    return AnonymizeResult(pixels, outcomes, Config(**settings).as_dict(), 0.1, load_image(pixels))


def check(after, threshold=0.58):
    return Check("encoder", 0.9, after, threshold, 0.01)


def match(verdict, score):
    return Match(verdict, score, "Ada Example", 0.62, 0.58, 1e-3)


REPLACED = FaceOutcome(face(20, 20), "replaced", "done", checks=(check(0.3),))


class Page(HTMLParser):
    """What is in a page: elements with attributes, text, pictures."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    @property
    def pictures(self):
        uris = [attrs["src"] for tag, attrs in self.elements if tag == "img"]
        assert all(uri.startswith("data:image/jpeg;base64,") for uri in uris)
        blobs = [base64.b64decode(uri.partition(",")[2], validate=True) for uri in uris]
        return [np.asarray(Image.open(io.BytesIO(blob))) for blob in blobs]


def differs(picture, image, face):
    """Return by how many grey levels a crop's middle differs from that face in an image."""
    height, width = image.shape[:2]
    x0, y0 = np.floor(np.clip(face.box[:2] - MARGIN * face.size, 0, (width, height))).astype(int)
    x1, y1 = np.ceil(np.clip(face.box[2:] + MARGIN * face.size, 0, (width, height))).astype(int)
    size_wh = (picture.shape[1], picture.shape[0])
    there = cv2.resize(image[y0:y1, x0:x1], size_wh, interpolation=cv2.INTER_AREA)
    rows, columns = (slice(round(0.3 * n), round(0.7 * n)) for n in picture.shape[:2])
    return float(np.abs(picture[rows, columns].astype(int) - there[rows, columns]).mean())


@pytest.mark.models
def test_no_original_is_on_the_page(anonymizer, scene):
    result = anonymizer(scene, keep=[1])
    page = Page(render_review_page([review_entry("a.jpg", result)]))
    assert len(page.pictures) == 3
    assert "not shown" in page.text
    shown = [outcome.face for outcome in result.faces if outcome.action != "kept"]
    for picture, face in zip(page.pictures, shown, strict=True):
        assert max(picture.shape[:2]) == CROP_PX
        # Scaling and JPEG cost a few levels where the new face has fine detail.
        new, old = (differs(picture, image, face) for image in (result.image, scene))
        assert new < 6
        assert old > 1.5 * new


@pytest.mark.models
def test_a_kept_face_is_shown_only_when_asked(anonymizer, scene):
    result = anonymizer(scene, keep=[1])
    pictures = Page(render_review_page([review_entry("a.jpg", result, show_kept=True)])).pictures
    faces = [outcome.face for outcome in result.faces]
    changed = [
        differs(picture, scene, face) > 4 for picture, face in zip(pictures, faces, strict=True)
    ]
    assert changed == [True, False, True, True]


def test_a_kept_neighbour_is_painted_over():
    image = np.full((120, 200, 3), 60, np.uint8)
    image[20:60, 70:110] = GREEN
    kept = FaceOutcome(face(70, 20), "kept", "as asked")
    (picture,) = Page(
        render_review_page([review_entry("a", made(REPLACED, kept, image=image))])
    ).pictures
    assert picture.max() < BLANK + 12
    assert abs(int(picture[12 + 20, -1].mean()) - BLANK) < 6
    (first, _) = Page(
        render_review_page([review_entry("a", made(REPLACED, kept, image=image), show_kept=True)])
    ).pictures
    assert first.max() > GREEN - 20


def test_nothing_runs_and_nothing_is_loaded():
    entry = review_entry(HOSTILE, made(replace(REPLACED, reason="<b onclick=x>&</b>")))
    text = render_review_page([entry])
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "a", "base", "b"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert "href" not in attributes
    assert not re.search(r"url\(|@import|https?:", text)
    assert "default-src 'none'" in text
    assert HOSTILE in page.text  # shown as text
    assert "<b onclick=x>&</b>" in page.text
    assert sum(tag == "img" for tag, _ in page.elements) == 1


def test_it_can_be_read_by_everybody():
    page = Page(render_review_page([review_entry("a.jpg", made(REPLACED))]))
    assert ("html", {"lang": "en"}) in page.elements
    assert [attrs["alt"] for tag, attrs in page.elements if tag == "img"] == [
        "Face 0 in the result, replaced"
    ]
    scopes = [attrs.get("scope") for tag, attrs in page.elements if tag == "th"]
    assert set(scopes) == {"row", "col"}
    order = [tag for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert order == ["h1", "h2", "h3"]


def test_what_it_says():
    covered = FaceOutcome(face(120, 20), "redacted", "no mesh", match=match("replace", 0.3))
    page = Page(
        render_review_page(
            [review_entry("a.jpg", made(REPLACED, covered)), review_entry("b.jpg", made())]
        )
    )
    assert "2 photos, 2 faces: 1 replaced, 1 covered, 0 kept; 1 to look at again" in page.text
    assert "No faces found." in page.text
    assert "200 × 120 pixels" in page.text  # noqa: RUF001
    for piece in ("0.30", "below 0.58", "0.01", "no mesh", "from 0.62", "0.001"):
        assert piece in page.text, piece
    assert "No photos." in render_review_page([])


def test_names_of_protected_people_are_not_on_it():
    kept = FaceOutcome(face(20, 20), "kept", "Ada Example (0.70)", match=match("keep", 0.7))
    text = render_review_page([review_entry("a.jpg", made(kept))])
    assert "Ada" not in text
    assert "[name] (0.70)" in text


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (REPLACED, ()),
        (replace(REPLACED, checks=()), ("not verified",)),
        (replace(REPLACED, checks=(check(0.3), check(0.56))), ("close to the threshold",)),
        (replace(REPLACED, checks=(check(0.3), check(0.6))), ("not verified",)),
        (FaceOutcome(face(0, 0), "redacted", ""), ("covered",)),
        (
            FaceOutcome(face(0, 0), "kept", "", match=match("keep", 0.63)),
            ("barely recognised as protected",),
        ),
        (FaceOutcome(face(0, 0), "kept", "", match=match("keep", 0.8)), ()),
        (
            replace(REPLACED, match=match("unsure", 0.6)),
            ("may be a protected person",),
        ),
        (replace(REPLACED, face=face(0, 0, score=0.5)), ("weak detection",)),
    ],
)
def test_badges(outcome, expected):
    assert badges(outcome, method="synthetic") == expected


def test_a_cover_that_was_asked_for_needs_no_second_look():
    outcome = FaceOutcome(face(0, 0), "redacted", "covered as asked (blur)")
    assert badges(outcome, method="blur") == ()
    text = render_review_page([review_entry("a.jpg", made(outcome, method="blur"))])
    assert "0 to look at again" in text


@pytest.mark.parametrize("box", [[-90, -90, -40, -40], [190, 110, 260, 180], [0, 0, 1, 1]])
def test_faces_at_the_border(box):
    outcome = FaceOutcome(Face(box, np.ones((5, 2)), 0.9), "replaced", "done")
    entry = review_entry("a.jpg", made(outcome))
    assert (entry.faces[0].crop is None) == (box[0] < 0)
    render_review_page([entry])


def test_crops_hold_no_metadata_and_no_large_picture():
    image = np.full((900, 1200, 3), 60, np.uint8)
    big = FaceOutcome(face(100, 100, size=600), "replaced", "done")
    (entry,) = review_entry("a.jpg", made(big, image=image)).faces
    with Image.open(io.BytesIO(entry.crop)) as picture:
        assert max(picture.size) == CROP_PX
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    entries = (review_entry(f"{n}.jpg", made(REPLACED)) for n in range(3))  # lazily
    path = write_review_page(entries, tmp_path / "review.html")
    assert Page(path.read_text("utf-8")).text.count("1 face: 1 replaced") == 3
    before = path.read_bytes()

    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left"):
        write_review_page([], path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["review.html"]
    with pytest.raises(InputError, match="there is no folder"):
        write_review_page([], tmp_path / "gone" / "review.html")


def test_a_name_that_is_no_unicode(tmp_path):
    path = write_review_page([review_entry("a\udcff.jpg", made(REPLACED))], tmp_path / "r.html")
    assert "a?.jpg" in path.read_text("utf-8")
