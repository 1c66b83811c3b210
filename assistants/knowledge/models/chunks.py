"""What is searched: the pieces of a file in a store, where their words are, and their vectors.

Nothing of it is worth a backup: it is made of the files again. It is written by ``retrieval.indexing`` alone, which
keeps ``StoreStatistics`` true.
"""

from __future__ import annotations

from django.db import models

from assistants.knowledge.models.stores import StoreFile, VectorStore

SPACE_LENGTH = 300


class Chunk(models.Model):
    """A piece of a file's text. ``position`` counts from 0 within its file."""

    member = models.ForeignKey(StoreFile, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    position = models.PositiveIntegerField()
    tokens = models.PositiveIntegerField()
    terms = models.PositiveIntegerField(help_text="How many words it has for the search by keywords.")
    repeated = models.PositiveIntegerField(
        db_default=0, default=0, help_text="How many characters at its beginning the chunk before it has, too."
    )
    text = models.TextField()

    class Meta:
        ordering = ("member", "position")
        constraints = [models.UniqueConstraint(fields=("member", "position"), name="chunk_position")]

    def __str__(self) -> str:
        return f"{self.position} of {self.member_id}"


class Posting(models.Model):
    """In which chunks of one file a word stands, and how often (``retrieval.postings`` reads ``data``).

    ``term`` is a number made of the store and the word: the words of other stores do not lengthen a list. A file of
    a thousand chunks has one row for each of its words, not one for each word of each chunk.
    """

    pk = models.CompositePrimaryKey("term", "member_id")
    term = models.BigIntegerField()
    # No constraint: checking it for every row takes longer than writing the row. Django cascades all the same.
    member = models.ForeignKey(StoreFile, on_delete=models.CASCADE, related_name="postings", db_constraint=False)
    data = models.BinaryField()


class MemberVectors(models.Model):
    """The vectors of a file's chunks by position: each of length one or zero, little-endian float32.

    One row for a file, so that a store's vectors are in memory quickly.
    """

    member = models.OneToOneField(StoreFile, on_delete=models.CASCADE, related_name="vectors")
    space = models.CharField(max_length=SPACE_LENGTH, help_text="The embedding model, its version and their width.")
    width = models.PositiveIntegerField()
    data = models.BinaryField()


class StoreStatistics(models.Model):
    """What BM25 has to know of a whole store; ``version`` grows whenever what is searched changes."""

    store = models.OneToOneField(VectorStore, on_delete=models.CASCADE, primary_key=True, related_name="statistics")
    chunks = models.PositiveBigIntegerField(default=0)
    terms = models.PositiveBigIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)
