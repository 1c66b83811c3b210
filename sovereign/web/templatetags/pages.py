"""What every page of ours has in its head."""

from __future__ import annotations

from django import template

from sovereign.web import words

register = template.Library()

#: ``{% words_address as address %}``: of the script with the translations that scripts say
register.simple_tag(words.address, name="words_address")
