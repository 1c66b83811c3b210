"""The local embedder: vectors that anybody can compute again, whatever the text."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from django.conf import settings

from inference import embedder
from inference.embedder import LocalEmbedder, TextTooLong, local_embedder, why_none
from inference.embedder.local import AT_ONCE, PIECE
from tests.inference import tiny_embedder
from tests.inference.tiny_embedder import WORDS, vectors

IDS = {word: number for number, word in enumerate(WORDS)}


def expected(text: str, table: np.ndarray) -> np.ndarray:
    mean = np.mean([table[IDS[word]] for word in text.split()], axis=0)
    return mean / np.linalg.norm(mean)


@pytest.fixture
def tiny(tmp_path):
    return LocalEmbedder(tiny_embedder.write(tmp_path / "tiny", {"embeddings": vectors()}, nested=[4, 2]))


@pytest.fixture
def configured(settings):
    def to(folder) -> LocalEmbedder | None:
        settings.SOVEREIGN = replace(settings.SOVEREIGN, embedder=str(folder))
        return local_embedder()

    return to


def test_a_vector_is_the_normal_of_the_mean_of_its_tokens(tiny):
    text = "the cat the invoice"
    [vector] = tiny.embed([text])
    np.testing.assert_allclose(vector, expected(text, vectors()), rtol=1e-5)
    assert (tiny.name, tiny.dimensions, tiny.context_length) == ("tiny", 4, 1_000_000)


def test_neither_truncation_nor_padding_of_the_tokenizers_file_counts(tiny):
    found = tiny.embed_counted(["cat cat cat dog dog", "cat"])
    assert found.tokens == [5, 1]
    np.testing.assert_allclose(found.vectors[0], expected("cat cat cat dog dog", vectors()), rtol=1e-5)


def test_unknown_words_do_not_count_in_model2vecs_layout(tiny):
    assert tiny.embed(["cat zebra"]) == tiny.embed(["cat"])
    assert tiny.count_tokens(["cat zebra"]) == [2]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_type_of_number_gives_the_same_vectors(tmp_path, dtype):
    found = LocalEmbedder(tiny_embedder.write(tmp_path, {"embeddings": vectors().astype(dtype)}))
    np.testing.assert_allclose(found.embed(["the dog"])[0], expected("the dog", vectors()), atol=2e-3)


def test_whole_numbers_with_a_weight_for_each_token(tmp_path):
    table = vectors()
    scale = np.abs(table).max(1) / 127
    tensors = {"embeddings": np.round(table / scale[:, None]).astype(np.int8), "weights": scale}
    found = LocalEmbedder(tiny_embedder.write(tmp_path, tensors))
    np.testing.assert_allclose(found.embed(["holiday leave"])[0], expected("holiday leave", table), atol=0.02)


def test_a_mapping_lets_tokens_share_a_vector(tmp_path):
    mapping = np.array([0, 1, 1, 2, 2, 3, 3, 0])
    tensors = {"embeddings": vectors(4), "mapping": mapping, "weights": np.linspace(0.5, 2, 8)}
    found = LocalEmbedder(tiny_embedder.write(tmp_path, tensors))
    np.testing.assert_allclose(found.embed(["invoice"]), found.embed(["bill"]), rtol=1e-6)
    mixed = vectors(4)[mapping] * tensors["weights"][:, None]
    np.testing.assert_allclose(found.embed(["invoice dog"])[0], expected("invoice dog", mixed), rtol=1e-5)


def test_the_layout_of_sentence_transformers(tmp_path):
    found = LocalEmbedder(tiny_embedder.write_sentence_transformers(tmp_path / "st"))
    np.testing.assert_allclose(found.embed(["the cat"])[0], expected("the cat", vectors()), rtol=1e-5)
    assert found.name == "st"
    assert found.embed(["cat zebra"]) != found.embed(["cat"])  # there the unknown word has a vector too


def test_texts_do_not_depend_on_their_neighbours(tiny):
    texts = [" ".join(WORDS[1 + (n + k) % 7] for k in range(n % 13)) for n in range(3000)]
    together = tiny.embed(texts)
    assert together == tiny.embed(texts)
    assert together[::97] == [tiny.embed([text])[0] for text in texts[::97]]


def test_vectors_are_cut_to_their_first_dimensions_where_the_model_allows(tiny, tmp_path):
    [whole], [cut] = tiny.embed(["the cat"]), tiny.embed(["the cat"], dimensions=2)
    np.testing.assert_allclose(cut, np.array(whole[:2]) / np.linalg.norm(whole[:2]), rtol=1e-5)
    for size in (0, -1, 5):
        with pytest.raises(ValueError, match="1 to 4 dimensions"):
            tiny.embed(["cat"], dimensions=size)
    rigid = LocalEmbedder(tiny_embedder.write(tmp_path / "rigid", {"embeddings": vectors()}))
    assert len(rigid.embed(["cat"], dimensions=4)[0]) == 4
    with pytest.raises(ValueError, match="cannot be cut"):
        rigid.embed(["cat"], dimensions=2)


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "日本語", "\n" * 10])
def test_a_text_without_a_known_token_is_a_vector_of_zeros(tiny, text):
    assert tiny.embed([text, "cat"])[0] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "poison", ["cat \x00 dog", "cat \ud83d dog", "cat \udc00\ud800 dog", "cat \u202e dog", "cat \ufffe dog"]
)
def test_poison_beside_words_leaves_the_words(tiny, poison):
    assert tiny.embed([poison]) == tiny.embed(["cat dog"])


def test_no_texts(tiny):
    assert tiny.embed([]) == []


def test_a_long_text_is_read_in_pieces_to_its_end(tiny):
    text = "cat dog " * (2 * AT_ONCE // 8) + "invoice " * 100
    found = tiny.embed_counted([text, "leave"])
    assert found.tokens == [text.count(" "), 1]
    np.testing.assert_allclose(found.vectors[0], expected(text, vectors()), rtol=1e-3, atol=1e-4)


def test_a_megabyte_without_a_blank(tiny):
    found = tiny.embed_counted(["x" * 1_000_000])
    assert found.tokens[0] <= 1 + 1_000_000 // PIECE


def test_what_is_beyond_the_context_is_refused_with_its_place(tmp_path):
    found = LocalEmbedder(tiny_embedder.write(tmp_path, {"embeddings": vectors()}, seq_length=5))
    assert found.context_length == 5
    with pytest.raises(TextTooLong, match="more than 5 tokens") as refused:
        found.embed(["cat", "cat " * 6])
    assert refused.value.index == 1


def test_threads_share_one_embedder(tmp_path):
    found = LocalEmbedder(tiny_embedder.write(tmp_path, {"embeddings": vectors()}))
    texts = [f"the {word}" for word in WORDS[1:]] * 20
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: found.embed(texts), range(32)))
    assert all(result == results[0] for result in results)


def test_nothing_heavy_is_loaded_before_the_first_text():
    program = (
        "import sys; from pathlib import Path; from inference.embedder import LocalEmbedder, WEIGHTS;"
        "e = LocalEmbedder(WEIGHTS); e.dimensions;"
        "assert not {'numpy', 'tokenizers'} & set(sys.modules);"
        "e.embed(['one']); assert {'numpy', 'tokenizers'} <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=settings.BASE_DIR)


def test_ours_is_the_default(configured):
    ours = configured("")
    assert ours is not None
    assert ours is local_embedder()
    assert (ours.name, ours.dimensions, ours.nested) == (embedder.OWN_NAME, 256, True)
    assert why_none() == ""


def test_a_folder_is_chosen_by_its_path(configured, tmp_path):
    found = configured(tiny_embedder.write(tmp_path / "mine", {"embeddings": vectors()}))
    assert found is not None
    assert found.name == "mine"


def test_none_is_an_answer_and_says_what_search_does_then(configured):
    assert configured("none") is None
    assert why_none().endswith("search goes by keywords alone.")


def test_a_folder_that_cannot_be_used_says_why(configured, tmp_path):
    assert configured(tmp_path / "nowhere") is None
    assert why_none() == f"The embedder's folder {tmp_path / 'nowhere'} does not exist."
