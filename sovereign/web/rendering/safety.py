"""The last thing that happens to HTML before it is given out: only what is listed here stays."""

from __future__ import annotations

import re

import nh3

LINKS = frozenset({"http", "https", "mailto"})
FILES = "/v1/files/"  # what the address of a file here begins with: the only one without a scheme
_MATH = """
    math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mphantom menclose msub msup msubsup munder
    mover munderover mmultiscripts mprescripts none mtable mtr mtd merror
"""
MATH = frozenset(_MATH.split())
_TAGS = """
    a blockquote br button code del div em h3 h4 h5 h6 hr li ol p pre s span strong sup table tbody td th thead tr
    ul
"""
TAGS = MATH | frozenset(_TAGS.split())
#: none that moves a part of a formula over something else on the page
_OF_MATH = """
    accent accentunder columnalign columnlines columnspacing display displaystyle fence form largeop linethickness
    lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace scriptlevel separator
    stretchy symmetric
"""
_ATTRIBUTES = {
    "a": {"class", "href", "target", "download"},
    "button": {"class", "type", "data-annotation", "aria-label"},
    "code": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "li": {"class"},
    "ol": {"class", "start", "aria-label"},
    "p": {"class"},
    "pre": {"tabindex", "aria-label"},
    "span": {"class"},
    "sup": {"class", "title"},
    "td": {"class"},
    "th": {"class", "scope"},
    **{tag: set(_OF_MATH.split()) for tag in MATH},
    "mspace": {"width"},
}
_CLASSES = re.compile(
    r"(cited|code|download|formula|host|is-left|is-center|is-right|plain|scrolled|sources|unloaded|visually-hidden"
    r"|language-[a-z-]+|t-[a-z]+)"
)
REL = "noopener noreferrer nofollow"


def clean(html: str) -> str:
    """``html`` with nothing in it that is not listed: no script, style, image, frame, form, id or event."""
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        url_schemes=set(LINKS),
        link_rel=REL,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return " ".join(one for one in value.split() if _CLASSES.fullmatch(one)) or None
    if name == "href" and ":" not in value.split("/", 1)[0]:
        return value if value.startswith(FILES) else None
    return value
