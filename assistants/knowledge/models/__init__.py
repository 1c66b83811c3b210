"""Files, uploads, and the vector stores that make files searchable."""

from assistants.knowledge.models.chunks import Chunk, MemberVectors, Posting, StoreStatistics
from assistants.knowledge.models.files import File, Purpose, Upload, UploadPart
from assistants.knowledge.models.stores import FileBatch, FormerPlace, IngestionStatus, StoreFile, VectorStore

__all__ = [
    "Chunk",
    "File",
    "FileBatch",
    "FormerPlace",
    "IngestionStatus",
    "MemberVectors",
    "Posting",
    "Purpose",
    "StoreFile",
    "StoreStatistics",
    "Upload",
    "UploadPart",
    "VectorStore",
]
