"""What a model is told, cut to the room that there is. Pure functions."""

from __future__ import annotations

LEFT_OUT = "\n[… {} bytes were left out …]\n"


def fitted(text: str, room: int) -> str:
    """A text, or its beginning and its end: what went wrong stands at the end.

    :param room: bytes of UTF-8; the sentence that something was left out comes on top of them.
    """
    content = text.encode()
    if len(content) <= max(room, len(LEFT_OUT.encode())):
        return text
    half = max(0, room // 2)
    left_out = LEFT_OUT.format(len(content) - 2 * half)
    return content[:half].decode(errors="ignore") + left_out + content[len(content) - half :].decode(errors="ignore")
