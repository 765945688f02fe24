"""What people wrote about a photo: the fields that may be carried over, and how text is cleaned.

Each field is taken as plain text from wherever the input has it (XMP, IPTC-IIM, Exif) and written
anew; nothing of the input's blocks is copied. A text is short, has no control characters and no
long run of base64: nothing that could hold a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Form: TypeAlias = Literal["text", "alternatives", "bag", "sequence"]

DC = "http://purl.org/dc/elements/1.1/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
XMP = "http://ns.adobe.com/xap/1.0/"
XMP_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
EXIF = "http://ns.adobe.com/exif/1.0/"


@dataclass(frozen=True)
class Field:
    """Where one field stands.

    Attributes:
        namespace: Of its XMP property.
        name: Of its XMP property.
        form: How XMP writes it.
        iim: Dataset number in record 2 of IPTC-IIM, None if there is none.
        limit: Longest text, in characters.
        is_credit: Whether it says whose work the photo is: kept even where descriptions are not.
    """

    namespace: str
    name: str
    form: Form = "text"
    iim: int | None = None
    limit: int = 200
    is_credit: bool = False


# IPTC Photo Metadata Standard 2024.1, section 3 (names, IIM numbers); lengths are its IIM limits
# or more. People shown, locations as coordinates, identifiers and regions are left out on purpose.
FIELDS: dict[str, Field] = {
    "title": Field(DC, "title", "alternatives", 5),
    "caption": Field(DC, "description", "alternatives", 120, limit=2000),
    "keywords": Field(DC, "subject", "bag", 25),
    "creator": Field(DC, "creator", "sequence", 80, is_credit=True),
    "rights": Field(DC, "rights", "alternatives", 116, is_credit=True),
    "usage_terms": Field(XMP_RIGHTS, "UsageTerms", "alternatives", is_credit=True),
    "rights_page": Field(XMP_RIGHTS, "WebStatement", is_credit=True),
    "headline": Field(PHOTOSHOP, "Headline", iim=105, limit=256),
    "credit": Field(PHOTOSHOP, "Credit", iim=110),
    "source": Field(PHOTOSHOP, "Source", iim=115),
    "city": Field(PHOTOSHOP, "City", iim=90),
    "state": Field(PHOTOSHOP, "State", iim=95),
    "country": Field(PHOTOSHOP, "Country", iim=101),
    "location": Field(IPTC_CORE, "Location", iim=92),
    "country_code": Field(IPTC_CORE, "CountryCode", iim=100),
    "rating": Field(XMP, "Rating"),
    "comment": Field(EXIF, "UserComment", "alternatives", limit=2000),
}
MAX_ITEMS = 100  # keywords, creators
# 48 bytes in base64, or a hash in hex: longer than a word, shorter than any picture.
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]+")
_COORDINATES = re.compile(r"geo:?(tagged|lat|lon)", re.IGNORECASE)  # machine tags of photo sites
_RATING = re.compile(r"-1|[0-5]")


@dataclass(frozen=True)
class Description:
    """The texts of a photo that may be carried over.

    Attributes:
        texts: Name in `FIELDS` -> its texts; one, but for keywords and creators.
    """

    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """Return a field's first text, empty if there is none."""
        return next(iter(self.texts.get(name, ())), "")

    def credits(self) -> Description:
        """Return only what says whose work it is."""
        return Description({k: v for k, v in self.texts.items() if FIELDS[k].is_credit})


def describe(*found: Mapping[str, Iterable[str]]) -> Description:
    r"""Clean texts and merge them; of several places that have a field the first counts.

    >>> describe({"title": ["A\tB"], "rating": ["9"]}, {"title": ["C"], "city": ["D"]}).texts
    {'title': ('A B',), 'city': ('D',)}
    """
    out: dict[str, tuple[str, ...]] = {}
    for name, rules in FIELDS.items():
        for place in found:
            texts = _usable(name, rules, place.get(name, ()))
            if texts:
                out[name] = texts
                break
    return Description(out)


def _usable(name: str, rules: Field, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the cleaned texts of one field, each once."""
    several = rules.form in ("bag", "sequence")
    kept = dict.fromkeys(filter(None, (clean_text(text, rules.limit) for text in texts)))
    if name == "keywords":
        kept = dict.fromkeys(text for text in kept if not _COORDINATES.match(text))
    if name == "rating":
        kept = dict.fromkeys(text for text in kept if _RATING.fullmatch(text))
    return tuple(kept)[: MAX_ITEMS if several else 1]


def clean_text(text: str, limit: int) -> str:
    r"""Return a text on one line and cut to a limit; empty if it is data for machines.

    >>> clean_text(" two\nlines ", 200), clean_text("QUJD" * 16, 200), clean_text('{"a": 1}', 200)
    ('two lines', '', '')
    """
    text = _CONTROL.sub(" ", text[: 2 * limit]).strip()[:limit].strip()
    return "" if _BLOB.search(text) or text[:1] in ("{", "<") else text
