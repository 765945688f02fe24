"""JSON Schemas (draft 2020-12) of the documents anonyface writes."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Literal


def read_schema(document: Literal["report", "verify"]) -> dict[str, Any]:
    """Return the JSON Schema of a report of one photo, or of a comparison of two."""
    text = resources.files(__name__).joinpath(f"{document}.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
