"""Messages as HTML, for templates of pages that only show them."""

from __future__ import annotations

from django import template

from sovereign.web.rendering.messages import rendered
from threads.models import Message

register = template.Library()


@register.filter(name="as_said")
def as_said(message: Message) -> str:
    """``{{ message|as_said }}``: what it says, with nothing in it that can be opened."""
    return rendered(message, is_bare=True)
