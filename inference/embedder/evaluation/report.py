"""All figures of the evaluation, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from inference.embedder.local import LocalEmbedder

from .questions import BUSINESS, DOCUMENTATION, ELSEWHERE, UNSEEN, questions
from .ranking import Scorer, embedded, figure, hashed, keywords, together

SETS = {"business": BUSINESS, "elsewhere": ELSEWHERE, "unseen": UNSEEN, "documentation": DOCUMENTATION}


def ways(embedder: LocalEmbedder) -> dict[str, Scorer]:
    """What is compared: name → ranking."""
    found = {
        "keywords (BM25)": keywords,
        f"hashing trick, {embedder.dimensions} places": hashed(embedder.dimensions),
        f"{embedder.name}": embedded(embedder),
        f"keywords and {embedder.name}": together(keywords, embedded(embedder)),
    }
    if embedder.nested:
        found[f"{embedder.name}, {embedder.dimensions // 2} dimensions"] = embedded(embedder, embedder.dimensions // 2)
    return found


def measure(embedder: LocalEmbedder) -> dict[str, dict[str, dict[str, Any]]]:
    """Set of questions → way → figures."""
    sets = {name: questions(path) for name, path in SETS.items()}
    compared = ways(embedder)
    return {
        name: {way: asdict(figure(asked, scorer)) for way, scorer in compared.items()} for name, asked in sets.items()
    }


def table(measured: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Markdown, as it stands in the card."""
    lines = ["| questions | way | first | among five | mean 1 / rank |", "|---|---|---|---|---|"]
    for name, rows in measured.items():
        for way, row in rows.items():
            first, five = (f"{100 * row[key] / row['total']:.1f} %" for key in ("first", "five"))
            lines.append(f"| {name} ({row['total']}) | {way} | {first} | {five} | {row['mrr']:.3f} |")
    return "\n".join(lines)
