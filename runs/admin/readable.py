"""Text that models and other servers wrote, on a page."""

from __future__ import annotations

import json

from sovereign.core.visible import visible


def readable(text: str) -> str:
    """JSON on several lines, other text as it is; characters that nobody sees are spelt out.

    >>> readable('{"a": [1]}')
    '{\\n  "a": [\\n    1\\n  ]\\n}'
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return visible(text)
    return visible(json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else text)
