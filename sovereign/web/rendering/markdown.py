"""Markdown as models write it: CommonMark, tables, strikethrough, formulas.

No HTML of theirs, no image, and no link that does not say where it leads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from time import thread_time
from typing import Any
from urllib.parse import quote, urlsplit

from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import StateBase
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from sovereign.web.rendering import code, delimiters, formulas
from sovereign.web.rendering.places import ESCAPED, OPENING, Kind, Marked, Place

DEEPEST = 20  # lists, quotes and emphases in each other; what is deeper is text
FORMULAS = 200  # of one text
LONGEST_WORK = 3.0  # seconds of CPU for a text; what takes longer was written to
CODE = 60_000  # characters of one text that get colours
WEB = re.compile(r"https?://[^\s/?#@\\]+([/?#]\S*)?", re.IGNORECASE)
MAIL = re.compile(r"mailto:[^\s@?]+@[^\s@]+", re.IGNORECASE)
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # by which a label reads as another
ALIGNED = re.compile(r"text-align:(left|center|right)")


class TooMuchWorkError(Exception):
    """A text took the time that one may take."""


def as_html(marked: Marked, *, is_bare: bool) -> str:
    """The text as HTML that is not cleaned yet.

    :param is_bare: nothing in it can be used: citations are numbers, files names.
    :raises TooMuchWorkError: it takes longer than any text should, of which nobody knew.
    """
    env = {"marked": marked, "is_bare": is_bare, "formulas": 0, "coloured": 0, "until": thread_time() + LONGEST_WORK}
    return str(_parser().render(marked.text, env))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """It keeps nothing of what it reads: one serves all threads."""
    parser = _Markdown("commonmark", {"html": False, "breaks": True, "maxNesting": DEEPEST}, renderer_cls=_Html)
    parser.enable(["table", "strikethrough"])
    delimiters.add_to(parser)
    parser.block.ruler.before("table", "time", _look_at_time, {"alt": ["paragraph", "blockquote", "list"]})
    parser.inline.ruler.before("text", "time", _look_at_time)
    parser.core.ruler.push("settle", _settle)
    return parser


def _look_at_time(state: StateBase, *_where: Any) -> bool:
    """A rule that finds nothing, and is asked at each step."""
    _keep_time(state.env)
    return False


def _keep_time(env: Any) -> None:
    if thread_time() > env["until"]:
        raise TooMuchWorkError


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return _leads_away(url) or ESCAPED.fullmatch(url) is not None


def _leads_away(url: str) -> bool:
    return bool(WEB.fullmatch(url) or MAIL.fullmatch(url))


# ------------------------------------------------------------------------------------------ what the tokens mean here


def _settle(state: StateCore) -> None:
    """After all rules: places become tokens, or what they stand for, and what is drawn otherwise gets its own name."""
    marked: Marked = state.env["marked"]
    _rank_headings(state.tokens)
    for token in state.tokens:
        _settle_token(token, marked)
        if token.type == "inline":
            token.children = [*_settled(token.children or [], marked)]


def _rank_headings(tokens: Sequence[Token]) -> None:
    """Titles of a page stand over those of a message: its highest is ``h3``, whichever it was, and none is left out."""
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    ranks = {tag: f"h{min(rank, 6)}" for rank, tag in enumerate(sorted({token.tag for token in headings}), 3)}
    for token in headings:
        token.tag = ranks[token.tag]


def _settled(tokens: Sequence[Token], marked: Marked) -> Iterator[Token]:
    """The tokens of a line, those of text cut at their places."""
    links: list[Token] = []
    for token in tokens:
        _settle_token(token, marked)
        if links and links[-1].type == "link_open":
            token.content = TURNING.sub("", token.content)
        if token.type == "text":
            yield from _cut(token, marked)
        elif token.type == "code_inline":
            place = marked.alone(token.content)
            token.content = marked.restored(token.content)
            yield token if place is None or _is_left_out(place) else _token_of(place)
        elif token.type == "link_open":
            links.append(_opened(token, marked))
            yield links[-1]
        elif token.type == "link_close":
            yield _closed(token, links.pop() if links else None)
        else:
            yield token


def _settle_token(token: Token, marked: Marked) -> None:
    if token.type in ("formula", "fence", "code_block"):
        token.content = marked.restored(token.content)
    if token.type == "formula":
        token.meta["original"] = marked.restored(token.meta["original"])


def _cut(token: Token, marked: Marked) -> Iterator[Token]:
    if OPENING not in token.content:
        yield token
        return
    pieces = [*marked.cut(token.content)]
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if isinstance(piece, Place):
            yield _token_of(piece)
        else:
            yield Token("text", "", 0, content=piece.removesuffix(" ") if _is_left_out(following) else piece)


def _is_left_out(piece: str | Place) -> bool:
    """A mark that no passage backs says nothing, and many fonts cannot draw it."""
    return isinstance(piece, Place) and piece.kind is None


def _opened(link: Token, marked: Marked) -> Token:
    """A link to a file here, one to elsewhere, or (where it leads to neither) what it stands around."""
    href = str(link.attrGet("href") or "")
    place = marked.behind(href)
    link.meta = {"place": place, "href": marked.restored_address(href)}
    is_link = _leads_away(href) if place is None else place.kind is Kind.FILE
    return link if is_link else Token("text", "", 0, meta=link.meta)


def _closed(close: Token, link: Token | None) -> Token:
    if link is None or link.type == "text":
        place = link.meta["place"] if link is not None else None
        return _token_of(place) if place is not None else Token("text", "", 0)
    close.meta = link.meta
    return close


def _token_of(place: Place) -> Token:
    return Token("place", "", 0, meta={"place": place})


# ------------------------------------------------------------------------------------------ HTML


class _Html(RendererHTML):
    """Methods are the names of tokens."""

    def place(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        place: Place = tokens[idx].meta["place"]
        if _is_left_out(place):
            return ""
        if place.kind is Kind.FILE:
            return f"{_file_opened(place, env)}{escape(place.name)}{_file_closed(env)}"
        label = gettext("Source %(number)d: %(name)s") % {
            "number": place.number,
            "name": place.name or gettext("a file"),
        }
        if env["is_bare"]:
            return f'<sup class="cited" title="{escape(label)}">{place.number}</sup>'
        button = f'<button type="button" data-annotation="{place.index}" aria-label="{escape(label)}">'
        return f'<sup class="cited" title="{escape(label)}">{button}{place.number}</button></sup>'

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        place = tokens[idx].meta["place"]
        if place is not None:
            return _file_opened(place, env)
        return f'<a href="{escape(tokens[idx].meta["href"])}" target="_blank">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        meta = tokens[idx].meta
        if meta.get("place") is not None:
            return _file_closed(env)
        label = "".join(reversed([token.content for token in _since_link(tokens, idx)])).strip()
        host = _host_of(meta.get("href", ""))
        return (
            "</a>" if _says(label, meta.get("href", ""), host) else f'</a> <span class="host">({escape(host)})</span>'
        )

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Nothing is loaded: what it shows, and from where, are words."""
        token, marked = tokens[idx], env["marked"]
        words = marked.restored(self.renderInlineAsText(token.children or [], options, env))
        source = str(token.attrGet("src") or "")
        place = marked.behind(source)
        if place is not None and place.kind is Kind.FILE:
            return f"{_file_opened(place, env)}{escape(words or place.name)}{_file_closed(env)}"
        shown = " ".join(part for part in (words, f"({marked.restored_address(source)})") if part)
        return f'<span class="unloaded">{escape(shown)}</span>'

    def formula(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        _keep_time(env)
        env["formulas"] += 1
        is_block = token.meta["is_block"]
        made = formulas.mathml(token.content, is_block=is_block) if env["formulas"] <= FORMULAS else None
        if made is None:
            return f"<p>{escape(token.meta['original'])}</p>" if token.block else escape(token.meta["original"])
        tag = "div" if token.block else "span"
        return f'<{tag} class="formula">{made}</{tag}>'

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        content, language = tokens[idx].content, code.language_of(tokens[idx].info)
        env["coloured"] += len(content)
        _keep_time(env)
        shown = code.highlighted(content.removesuffix("\n"), language if env["coloured"] <= CODE else "")
        label = gettext("Code in %(language)s") % {"language": language} if language else gettext("Code")
        opened = f'<code class="language-{language}">' if language else "<code>"
        return f'<div class="code"><pre tabindex="0" aria-label="{escape(label)}">{opened}{shown}</code></pre></div>'

    code_block = fence

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        label = escape(gettext("Table"))
        return f'<div class="scrolled" tabindex="0" role="region" aria-label="{label}"><table>'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f'<th scope="col"{_aligned(tokens[idx])}>'

    def td_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"<td{_aligned(tokens[idx])}>"


def _since_link(tokens: Sequence[Token], end: int) -> Iterator[Token]:
    """What stands in the link that ends there: links do not nest."""
    for at in range(end - 1, -1, -1):
        if tokens[at].type == "link_open":
            return
        if tokens[at].type in ("text", "code_inline"):
            yield tokens[at]


def _aligned(cell: Token) -> str:
    """The page's policy allows no style on an element."""
    found = ALIGNED.search(str(cell.attrGet("style") or ""))
    return f' class="is-{found[1]}"' if found else ""


def _host_of(address: str) -> str:
    """Where a link leads, as it is shown: names that look like others are in their ASCII form already."""
    if MAIL.fullmatch(address):
        return address[len("mailto:") :].split("?")[0].lower()
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return address.lower()


def _says(label: str, address: str, host: str) -> bool:
    """Whether a label is its address, or that of a page of the same host: what only has the name in it says nothing."""
    if label in (address, host):
        return True
    return WEB.fullmatch(label) is not None and _host_of(label) == host


def _file_opened(place: Place, env: Any) -> str:
    if env["is_bare"]:
        return ""
    address = f"/v1/files/{quote(place.file_id, safe='')}/content"
    return f'<a class="download" href="{address}" download="{escape(place.name)}">'


def _file_closed(env: Any) -> str:
    return "" if env["is_bare"] else "</a>"
