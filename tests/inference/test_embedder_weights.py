"""The shipped embedder: complete, small, and as good as its card says."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from functools import cache
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from inference.embedder import OWN_NAME, WEIGHTS, LocalEmbedder
from inference.embedder.evaluation import ranking, report
from inference.embedder.evaluation.questions import BUSINESS, DOCUMENTATION, ELSEWHERE, Question, questions, sample
from inference.management.commands.train_embedder import publish
from tests.inference import tiny_embedder

FILES = ("README.md", "config.json", "evaluation.json", "model.safetensors", "tokenizer.json", "training_state.json")
LIMIT_BYTES = 10 * 1024 * 1024


@cache
def ours() -> LocalEmbedder:
    return LocalEmbedder(WEIGHTS, OWN_NAME)


@cache
def kept() -> dict:
    return json.loads((WEIGHTS / "evaluation.json").read_text())


def test_the_folder_is_complete_and_at_most_ten_megabytes():
    assert sorted(path.name for path in WEIGHTS.iterdir()) == sorted(FILES)
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= LIMIT_BYTES


@pytest.mark.parametrize("name", list(report.SETS))
def test_the_embedder_finds_what_its_figures_say(name):
    found = ranking.figure(questions(report.SETS[name]), ranking.embedded(ours()))
    row = kept()[name][OWN_NAME]
    assert (found.total, found.five) == (row["total"], pytest.approx(row["five"], abs=1))
    assert found.mrr == pytest.approx(row["mrr"], abs=0.005)


def test_the_card_tells_the_figures():
    assert report.table(kept()) in (WEIGHTS / "README.md").read_text()


@pytest.mark.parametrize("name", list(report.SETS))
def test_it_beats_the_hashing_trick_and_adds_to_keywords(name):
    rows = kept()[name]
    hashed, by_words = rows["hashing trick, 256 places"], rows["keywords (BM25)"]
    assert rows[OWN_NAME]["mrr"] > hashed["mrr"] * 1.3
    assert rows[f"keywords and {OWN_NAME}"]["five"] > by_words["five"]


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (("The invoice has not been paid.", "An outstanding bill"), "The elevator is out of order."),
        (("How do I reset my password?", "I cannot remember my login credentials"), "The train to the airport"),
        (("annual leave", "vacation days"), "a broken printer"),
    ],
)
def test_meaning_is_nearer_than_nothing_in_common(near, far):
    left, right, other = ours().embed([*near, far])
    assert dot(left, right) > dot(left, other) + 0.1


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_vectors_have_length_one_at_every_cut():
    for size in (None, 128, 64, 1):
        for vector in ours().embed(["A bill", "x", "Σ 42"], size):
            assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


def test_poison_has_a_vector_of_numbers():
    poison = ["", "\x00", "\ud800", "a\ud83d\ude00b", "\u202e" * 1000, "9" * 100_000, "ﷺ" * 50_000, "word " * 200_000]
    for vector in ours().embed(poison):
        assert len(vector) == 256
        assert all(map(math.isfinite, vector))


def test_questions_are_many_and_share_few_words_with_their_passage():
    everyday = [*questions(BUSINESS), *questions(ELSEWHERE)]
    assert len(everyday) >= 100
    common = {word for question in everyday for word in ranking.words(question.text)}
    frequent = {w for w in common if sum(w in ranking.words(q.passage) for q in everyday) > 8}
    shared = [set(ranking.words(q.text)) & set(ranking.words(q.passage)) - frequent for q in everyday]
    assert sum(map(len, shared)) / len(shared) < 1


def test_documentation_is_drawn_from_held_out_groups_only(tmp_path):
    rows = [
        [
            "p",
            "getopt",
            "t",
            ["This first sentence has more than eight words in it.", "And so does the second one of it, I believe."],
        ],
        [
            "p",
            "click/core",
            "t",
            ["That first sentence has more than eight words in it.", "And so does the second one of it."],
        ],
        ["p", "getopt", "t", ["Too short.", "And so does the second one of it, I believe."]],
    ]
    (tmp_path / "passages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sample(tmp_path / "passages.jsonl", tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["area"] for row in found] == ["getopt"]
    assert len(questions(DOCUMENTATION)) >= 300


def test_equal_scores_share_their_rank():
    assert ranking.ranks([0.5, 1.0, 0.5, 0.0]) == [2.5, 1, 2.5, 4]


def test_keywords_prefer_rare_words_and_hashing_knows_equal_texts():
    passages = ["the red door", "the red car", "the blue car"]
    assert max(range(3), key=ranking.keywords(["blue"], passages)[0].__getitem__) == 2
    row = ranking.hashed(256)(["the red car"], passages)[0]
    assert row[1] == pytest.approx(1)
    assert max(row[0], row[2]) < 0.9


def test_two_ways_together_reward_agreement():
    asked = [Question("a", "x", "p"), Question("a", "y", "q")]
    first, second = (lambda t, p: [[1, 0], [1, 0]]), (lambda t, p: [[1, 0], [0, 1]])
    agreed, torn = ranking.together(first, second)(["x", "y"], ["p", "q"])
    assert agreed[0] > agreed[1]
    assert torn[0] == torn[1]
    assert ranking.figure(asked, ranking.together(first, second)).first == 1  # a shared first place is none
    assert ranking.figure(asked, second).mrr == 1


def test_the_command_prints_the_table(tmp_path):
    out = StringIO()
    call_command("evaluate_embedder", weights=WEIGHTS, json=tmp_path / "figures.json", stdout=out)
    assert "| business (72) | keywords (BM25) |" in out.getvalue()
    assert set(json.loads((tmp_path / "figures.json").read_text())) == set(report.SETS)


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(CommandError, match=r"has no model\.safetensors"):
        call_command("evaluate_embedder", weights=tmp_path)


def test_new_weights_do_not_disturb_who_has_the_old_ones(tmp_path):
    old = tiny_embedder.write(tmp_path / "old", {"embeddings": tiny_embedder.vectors()})
    new = tiny_embedder.write(tmp_path / "new", {"embeddings": tiny_embedder.vectors(dimensions=2)})
    found = LocalEmbedder(old)
    before = found.embed(["the cat"])
    publish(new, old)
    assert found.embed(["the cat"]) == before
    assert LocalEmbedder(old).dimensions == 2


def test_training_asks_for_text(tmp_path, settings):
    settings.SOVEREIGN = replace(settings.SOVEREIGN, data_dir=tmp_path, engine_python=sys.executable)
    with pytest.raises(CommandError, match="--packages FOLDER"):
        call_command("train_embedder")
    settings.SOVEREIGN = replace(settings.SOVEREIGN, engine_python="")
    with pytest.raises(CommandError, match="install_engine"):
        call_command("train_embedder")
