from django.urls import path

from assistants.knowledge.api.batches import (
    FileBatchCancelView,
    FileBatchesView,
    FileBatchFilesView,
    FileBatchView,
)
from assistants.knowledge.api.files import FileContentView, FilesView, FileView
from assistants.knowledge.api.members import (
    VectorStoreFileContentView,
    VectorStoreFilesView,
    VectorStoreFileView,
)
from assistants.knowledge.api.search import VectorStoreSearchView
from assistants.knowledge.api.stores import VectorStoresView, VectorStoreView
from assistants.knowledge.api.uploads import (
    UploadCancellationView,
    UploadCompletionView,
    UploadPartsView,
    UploadsView,
)

STORE = "vector_stores/<str:vector_store_id>"
FILE = f"{STORE}/files/<str:file_id>"
BATCH = f"{STORE}/file_batches/<str:batch_id>"

urlpatterns = [
    path("files", FilesView.as_view(), name="files"),
    path("files/<str:file_id>", FileView.as_view(), name="file"),
    path("files/<str:file_id>/content", FileContentView.as_view(), name="file-content"),
    path("uploads", UploadsView.as_view(), name="uploads"),
    path("uploads/<str:upload_id>/parts", UploadPartsView.as_view(), name="upload-parts"),
    path("uploads/<str:upload_id>/complete", UploadCompletionView.as_view(), name="upload-complete"),
    path("uploads/<str:upload_id>/cancel", UploadCancellationView.as_view(), name="upload-cancel"),
    path("vector_stores", VectorStoresView.as_view(), name="vector-stores"),
    path(STORE, VectorStoreView.as_view(), name="vector-store"),
    path(f"{STORE}/search", VectorStoreSearchView.as_view(), name="vector-store-search"),
    path(f"{STORE}/files", VectorStoreFilesView.as_view(), name="vector-store-files"),
    path(FILE, VectorStoreFileView.as_view(), name="vector-store-file"),
    path(f"{FILE}/content", VectorStoreFileContentView.as_view(), name="vector-store-file-content"),
    path(f"{STORE}/file_batches", FileBatchesView.as_view(), name="vector-store-batches"),
    path(BATCH, FileBatchView.as_view(), name="vector-store-batch"),
    path(f"{BATCH}/cancel", FileBatchCancelView.as_view(), name="vector-store-batch-cancel"),
    path(f"{BATCH}/files", FileBatchFilesView.as_view(), name="vector-store-batch-files"),
]
