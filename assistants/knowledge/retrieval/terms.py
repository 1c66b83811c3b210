"""The words of a text, for chunks and questions alike, and therefore for every database alike.

A word is folded (compatibility, accents, case), and an English one cut to its stem. A code or a name of several parts
is found by its whole and by its parts: ``NP-88213`` is ``np88213``, ``np`` and ``88213``; ``maxResults`` and
``max_results`` are both ``maxresult``, ``max`` and ``result``. Scripts that put no blanks between words give pairs of
characters. Nothing is left out of a chunk; of a question its function words are, where it has others.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

LONGEST = 64  # characters of a word that are told apart
REMEMBERED = 50_000  # words of which the terms are kept in memory,
LONGEST_REMEMBERED = 32  # characters of one that is: of a hundred thousand others it would be gigabytes
FIRST_UNSPACED = 0x0E00  # Thai: no character before it is of a script without blanks

#: digits and letters, joined by what joins parts of codes, names, numbers and paths
RAW = re.compile(r"\w++(?:[-.,:/'’]\w++)*+")
RAW_ASCII = re.compile(RAW.pattern, re.ASCII)  # the same in a text that is, and sooner
PART = re.compile(r"[^\W_]+")
ACCENTS = re.compile("[\u0300-\u036f]+")  # of Latin, Greek and Cyrillic alone: elsewhere marks are letters
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?|\d+(?:\.\d+)+")
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
VOWEL = re.compile("[aeiouy]")

FUNCTION_WORDS = frozenset(
    RAW.findall(
        """a about all also am an and any are as at be been but by can could did do does for from had has have how i if
        in into is it its may me might my no not of on or our shall should so some than that the their them then there
        these they this those to us was we were what when where which while who whom whose why will with would you
        your"""
    )
)


def terms(text: str) -> Counter[str]:
    """The words of a chunk and how often it has them."""
    found: Counter[str] = Counter()
    for raw, count in Counter(raw_words(text)).items():
        for term in terms_of(raw):
            found[term] += count
    return found


def query_terms(text: str) -> list[str]:
    """The words to search for, each once, sorted."""
    raws = [raw for raw in raw_words(text) if raw.casefold() not in FUNCTION_WORDS] or raw_words(text)
    return sorted({term for raw in raws for term in _asked(raw)})


def key_of(store_id: str, term: str) -> int:
    """The number that a word has in a store: 63 bits of a hash, which two words share once in 10¹⁸."""
    return keys_of(store_id, [term])[0]


def keys_of(store_id: str, terms: Iterable[str]) -> list[int]:
    """The numbers of many words."""
    begun, keys = hashlib.blake2b(digest_size=8, key=store_id.encode()), []
    for term in terms:
        digest = begun.copy()
        digest.update(term.encode("utf-8", "surrogatepass"))
        keys.append(int.from_bytes(digest.digest()) >> 1)
    return keys


def raw_words(text: str) -> list[str]:
    """What stands between blanks and marks, as it is written."""
    return RAW_ASCII.findall(text) if text.isascii() else RAW.findall(_folded(text))


def _folded(text: str) -> str:
    """In one way of writing, without accents: who asks for Zurich means Zürich."""
    return unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFKD", text)))


def _asked(raw: str) -> tuple[str, ...]:
    """As ``terms_of``; single characters of a script without blanks only where there are no pairs."""
    found = terms_of(raw)
    pairs = tuple(term for term in found if len(term) > 1 or not UNSPACED.match(term))
    return pairs or found


def terms_of(raw: str) -> tuple[str, ...]:
    """The terms of what stands between blanks, each once."""
    if not raw.isascii():
        if max(raw) >= chr(FIRST_UNSPACED) and UNSPACED.search(raw):
            return _unspaced(raw)
    elif raw.isdigit():  # quicker made than remembered, and there are many
        return (raw[:LONGEST],)
    return _remembered(raw) if len(raw) <= LONGEST_REMEMBERED else _spaced(raw)


def _spaced(raw: str) -> tuple[str, ...]:
    if NUMBER.fullmatch(raw):
        return (raw.replace(",", "")[:LONGEST],)
    parts = [stem(part.casefold()) for piece in PART.findall(raw) for part in CAMEL.split(piece)]
    if len(parts) < 2:
        return tuple(part[:LONGEST] for part in parts)
    whole = "".join(PART.findall(raw)).casefold()
    return tuple(dict.fromkeys(part[:LONGEST] for part in (stem(whole), *parts) if len(part) > 1 or part.isdigit()))


_remembered = functools.lru_cache(maxsize=REMEMBERED)(_spaced)


def _unspaced(raw: str) -> tuple[str, ...]:
    """Characters and pairs of neighbours; what stands between is as other words are."""
    found: list[str] = []
    for run in UNSPACED.findall(raw):
        found += [*run, *(first + second for first, second in itertools.pairwise(run))]
    for rest in UNSPACED.split(raw):
        for other in RAW.findall(rest):
            found += terms_of(other)
    return tuple(dict.fromkeys(found))


def stem(word: str) -> str:
    """An English word without its ending: invoices, invoiced and invoicing are one; anything else as it is."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    word = _singular(word)
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and VOWEL.search(rest):
            return _plain(rest)
    return _plain(word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "ches", "shes", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _plain(word: str) -> str:
    """Without a last ``e``, and with one consonant where an ending doubled it: hope and hoping, stop and stopped."""
    if word.endswith("e") and len(word) > 3:
        return word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeioulsz":
        return word[:-1]
    return word
