from functools import partial

from django.apps import AppConfig


class AssistantsConfig(AppConfig):
    name = "assistants"
    label = "assistants"

    def ready(self) -> None:
        from assistants.catalog.services import uses
        from assistants.kinds import Environment
        from assistants.knowledge.services import files, resources
        from assistants.models import Assistant
        from assistants.prompts.services import uses as prompt_uses
        from assistants.services import names_using
        from assistants.services.links import uses_of_prompt
        from sovereign.accounts.services import keys

        keys.environments.update(Environment.choices)
        files.forgetters.append(partial(resources.forget_file, Assistant.objects.all()))
        uses.finders.append(names_using)
        prompt_uses.finders.append(uses_of_prompt)
