from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from assistants.knowledge.api.store_objects import DeletedVectorStore, VectorStoreList, VectorStoreObject
from assistants.knowledge.api.store_serializers import ModifyStoreRequest, StoreRequest, fields_of
from assistants.knowledge.models import VectorStore
from assistants.knowledge.rendering import render_deleted, render_store, render_stores
from assistants.knowledge.services import stores
from sovereign.accounts.api.authentication import principal_of
from sovereign.accounts.api.base import ApiView
from sovereign.accounts.scopes import STORES_READ, STORES_WRITE
from sovereign.core.api.pagination import BY_CREATION, page_of, paginate_together
from sovereign.core.api.schema import PAGE_PARAMETERS

READ_AND_WRITE = {"GET": STORES_READ, "POST": STORES_WRITE, "DELETE": STORES_WRITE}


class VectorStoresView(ApiView):
    """List the project's vector stores, or make one."""

    scopes = READ_AND_WRITE
    serializer_class = StoreRequest

    @extend_schema(operation_id="listVectorStores", parameters=PAGE_PARAMETERS, responses=VectorStoreList)
    def get(self, request: Request) -> Response:
        """The project's vector stores."""
        visible = VectorStore.objects.visible_to(principal_of(request))
        page = page_of(request.query_params)
        return Response(paginate_together(visible, page, order_by=BY_CREATION, render=render_stores))

    @extend_schema(operation_id="createVectorStore", request=StoreRequest, responses=VectorStoreObject)
    def post(self, request: Request) -> Response:
        """Make a vector store.

        Its files are ingested in the background: until that is done its status is `in_progress`.
        """
        body = self.body()
        store = stores.create_store(
            principal=principal_of(request),
            file_ids=body.get("file_ids") or [],
            chunking=body.get("chunking_strategy"),
            **fields_of(body),
        )
        return Response(render_store(store))


class VectorStoreView(ApiView):
    """Read, modify or delete one vector store."""

    scopes = READ_AND_WRITE
    serializer_class = ModifyStoreRequest

    @extend_schema(operation_id="getVectorStore", responses=VectorStoreObject)
    def get(self, request: Request, vector_store_id: str) -> Response:
        """Read a vector store."""
        return Response(render_store(stores.get_store(principal=principal_of(request), store_id=vector_store_id)))

    @extend_schema(operation_id="modifyVectorStore", request=ModifyStoreRequest, responses=VectorStoreObject)
    def post(self, request: Request, vector_store_id: str) -> Response:
        """Change a vector store.

        Only the fields that are sent change, each as a whole. One that has expired is usable again with a longer life.
        """
        fields = fields_of(self.body())
        store = stores.update_store(principal=principal_of(request), store_id=vector_store_id, **fields)
        return Response(render_store(store))

    @extend_schema(operation_id="deleteVectorStore", responses=DeletedVectorStore)
    def delete(self, request: Request, vector_store_id: str) -> Response:
        """Delete a vector store.

        Its files stay.
        """
        stores.delete_store(principal=principal_of(request), store_id=vector_store_id)
        return Response(render_deleted(vector_store_id, "vector_store"))
