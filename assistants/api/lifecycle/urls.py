"""``/api/v1/assistants``: addresses with fixed words go before those where an assistant's id may stand."""

from assistants.api.lifecycle import assistants, deployments, prompts, search, versions

_MODULES = (assistants, search, versions, prompts, deployments)

urlpatterns = [
    *(pattern for module in _MODULES for pattern in module.fixed),
    *(pattern for module in _MODULES for pattern in module.patterns),
]
