"""What the routes of prompts take."""

from __future__ import annotations

from assistants.kinds import AssistantType
from assistants.prompts.api.fields import ValuesField, VariablesField
from assistants.prompts.models import (
    DESCRIPTION_LENGTH,
    LANGUAGE_LENGTH,
    NAME_LENGTH,
    NOTES_LENGTH,
    TEMPLATE_LENGTH,
)
from assistants.prompts.services.prompts import MAXIMUM_TAGS, TAG_LENGTH
from sovereign.core.api.validation import StrictChoice, StrictList, StrictNumber, StrictSerializer, StrictString
from sovereign.core.api.versions import VersionField

ABOUT_TEMPLATE = (
    "The text, with `{{ name }}` where a variable's value goes, `{{# name }}…{{/ name }}` around what is said where "
    "there is one (of a list: once for each of its texts, `{{ . }}`), and `{{^ name }}…{{/ name }}` around what is "
    "said where there is none."
)
ABOUT_VERSION = "A number, an id, the name of a label, or `newest`."


class ChangePromptRequest(StrictSerializer):
    """What is said of a prompt. Only the fields that are sent change."""

    name = StrictString(min_length=1, max_length=NAME_LENGTH, required=False, help_text="Once in a project.")
    description = StrictString(
        max_length=DESCRIPTION_LENGTH, required=False, allow_null=True, help_text="For people who look for it."
    )
    type = StrictChoice(
        choices=AssistantType.values, required=False, help_text="The kind of assistants that it is for."
    )
    language = StrictString(
        max_length=LANGUAGE_LENGTH, required=False, allow_null=True, help_text="Its language, such as `en` or `pt-BR`."
    )
    tags = StrictList(
        child=StrictString(max_length=TAG_LENGTH),
        maximum=MAXIMUM_TAGS,
        required=False,
        help_text="Words to find it by.",
    )


class PromptRequest(ChangePromptRequest):
    """A prompt with its first version."""

    name = StrictString(min_length=1, max_length=NAME_LENGTH, help_text="Once in a project.")
    template = StrictString(max_length=TEMPLATE_LENGTH, help_text=ABOUT_TEMPLATE)
    variables = VariablesField(required=False, help_text="What the template is filled in with.")
    notes = StrictString(max_length=NOTES_LENGTH, required=False, help_text="What the first version is.")


class PromptVersionRequest(StrictSerializer):
    """A new version. What is left out is as in the version that it is based on."""

    template = StrictString(max_length=TEMPLATE_LENGTH, required=False, help_text=ABOUT_TEMPLATE)
    variables = VariablesField(required=False, help_text="What the template is filled in with.")
    notes = StrictString(max_length=NOTES_LENGTH, required=False, help_text="What was changed, and why.")
    expected_version = StrictNumber(
        minimum=1,
        maximum=10**9,
        integer=True,
        required=False,
        help_text="The newest version's number as it was looked at: somebody else's change is not overwritten unseen.",
    )
    based_on = VersionField(required=False, help_text=f"The version that it was made of. {ABOUT_VERSION}")


class LabelRequest(StrictSerializer):
    version = VersionField(help_text=f"Where the label is to point. {ABOUT_VERSION}")


class PreviewRequest(StrictSerializer):
    """A version that exists (the newest where nothing is said), or a text that is not kept."""

    values = ValuesField(required=False, help_text="Sample values by the variables' names.")
    version = VersionField(required=False, help_text=f"The version to fill in. {ABOUT_VERSION}")
    template = StrictString(
        max_length=TEMPLATE_LENGTH, required=False, help_text="A text to fill in, in place of the version's."
    )
    variables = VariablesField(required=False, help_text="Its variables, in place of the version's.")
