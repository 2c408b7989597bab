"""Values of a JSON document, read with its numbers as text, as fields of a line."""

from __future__ import annotations

import json
from typing import Any, Final

SHOWN_CHARACTERS: Final = 200


def as_text(value: Any) -> str:
    """The field: text and numbers as written, nothing for null, any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)[:SHOWN_CHARACTERS]


def shown(value: Any) -> str:
    """The value for a refusal."""
    return json.dumps(value, ensure_ascii=False)[:SHOWN_CHARACTERS]
