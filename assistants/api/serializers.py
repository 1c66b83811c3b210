"""What ``/v1/assistants`` takes."""

from __future__ import annotations

from assistants.api.fields import ResponseFormatField, ToolField, ToolResourcesSerializer
from assistants.models import (
    DESCRIPTION_LENGTH,
    INSTRUCTIONS_LENGTH,
    MAXIMUM_TOOLS,
    MODEL_LENGTH,
    NAME_LENGTH,
    ReasoningEffort,
)
from sovereign.core.api.validation import (
    Metadata,
    StrictChoice,
    StrictList,
    StrictNumber,
    StrictSerializer,
    StrictString,
)


class AssistantRequest(StrictSerializer):
    """Create (only ``model`` is required) and, with ``partial=True``, modify."""

    model = StrictString(max_length=MODEL_LENGTH, min_length=1)
    name = StrictString(max_length=NAME_LENGTH, required=False, allow_null=True)
    description = StrictString(max_length=DESCRIPTION_LENGTH, required=False, allow_null=True)
    instructions = StrictString(max_length=INSTRUCTIONS_LENGTH, required=False, allow_null=True)
    reasoning_effort = StrictChoice(choices=ReasoningEffort.values, required=False, allow_null=True)
    tools = StrictList(child=ToolField(), maximum=MAXIMUM_TOOLS, required=False, allow_null=True)
    tool_resources = ToolResourcesSerializer(required=False, allow_null=True)
    metadata = Metadata()
    temperature = StrictNumber(minimum=0, maximum=2, required=False, allow_null=True)
    top_p = StrictNumber(minimum=0, maximum=1, required=False, allow_null=True)
    response_format = ResponseFormatField(required=False, allow_null=True)
