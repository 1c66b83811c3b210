"""Files, uploads, and the vector stores that make files searchable."""

from assistants.knowledge.models.files import File, Purpose, Upload, UploadPart
from assistants.knowledge.models.stores import FileBatch, IngestionStatus, StoreFile, VectorStore

__all__ = ["File", "FileBatch", "IngestionStatus", "Purpose", "StoreFile", "Upload", "UploadPart", "VectorStore"]
