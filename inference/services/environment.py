"""Providers that environment variables describe: rows that are kept equal to what the variables say now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from inference.models import Provider
from inference.services.providers import checked_address, keep_engine, restart_engine
from inference.services.registry import forget_catalogue
from sovereign.core.configuration import Configuration
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

EXTERNAL = "external"  # the name of the one that SOVEREIGN_ENGINE_URL points to
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
OLLAMA_PORT = 11434


def configured_providers(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """The wanted rows by their names.

    :raises ApiError: an address that is none.
    """
    kind = Provider.Kind
    wanted: dict[str, dict[str, Any]] = {}
    if configuration.engine_url:
        variable = "SOVEREIGN_ENGINE_API_KEY" if configuration.engine_api_key else ""
        wanted[EXTERNAL] = _row(kind.OPENAI_COMPATIBLE, configuration.engine_url, variable, inner_network=True)
    if configuration.ollama_host:
        wanted["ollama"] = _row(kind.OLLAMA, ollama_address(configuration.ollama_host), "", inner_network=True)
    if configuration.openai_api_key:
        wanted["openai"] = _row(kind.OPENAI, OPENAI_URL, "OPENAI_API_KEY")
    if configuration.anthropic_api_key:
        wanted["anthropic"] = _row(kind.ANTHROPIC, ANTHROPIC_URL, "ANTHROPIC_API_KEY")
    return wanted


def _row(kind: str, address: str, variable: str, *, inner_network: bool = False) -> dict[str, Any]:
    return {
        "kind": kind,
        "base_url": checked_address(address, inner_network=inner_network),
        "key_variable": variable,
        "inner_network": inner_network,
    }


def ollama_address(host: str) -> str:
    """The address that ``OLLAMA_HOST`` means, in the ways that Ollama itself reads it.

    >>> ollama_address("gpu"), ollama_address("0.0.0.0:9"), ollama_address("https://o.example/x")
    ('http://gpu:11434', 'http://127.0.0.1:9', 'https://o.example/x')
    """
    if "://" in host:
        return host
    parts = urlsplit(f"http://{host}")
    try:
        port = parts.port or OLLAMA_PORT
    except ValueError:
        raise ApiError(f"OLLAMA_HOST is '{host}', which is no address.") from None
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 (what a server listens on)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}{parts.path}"


@register()
def check_addresses(**_: Any) -> Iterable[CheckMessage]:
    """What ``synchronise_environment`` would stumble over, said before anything starts."""
    try:
        configured_providers(settings.SOVEREIGN)
    except ApiError as error:
        yield Error(f"SOVEREIGN_ENGINE_URL or OLLAMA_HOST: {error.message}", id="sovereign.E009")


@service
def synchronise_environment() -> None:
    """Make the registry say what the environment says now: nothing of an earlier setting is asked any more.

    :raises ApiError: a variable holds an address that is none.
    """
    wanted = configured_providers(settings.SOVEREIGN)
    of_environment = Provider.objects.filter(source=Provider.Source.ENVIRONMENT)
    for gone in of_environment.exclude(name__in=wanted):
        _let_go(gone)
    known = {provider.name: provider for provider in of_environment.select_for_update(no_key=True)}
    for name, described in wanted.items():
        row = {**described, "enabled": True, "all_projects": True, "sealed_key": ""}
        provider = known.get(name)
        if provider is None:
            source = Provider.Source.ENVIRONMENT
            made, _ = Provider.objects.get_or_create(name=name, defaults={**row, "source": source, "created_at": now()})
            keep_engine(made)
            continue
        keep_engine(provider)
        if any(getattr(provider, field) != value for field, value in row.items()):
            for field, value in row.items():
                setattr(provider, field, value)
            provider.save()
            restart_engine(provider)


def _let_go(provider: Provider) -> None:
    """Its variable is gone. Prices that somebody typed in outlive a start without it: then it is only disabled."""
    forget_catalogue(keep_engine(provider))
    if not provider.prices.exists():
        provider.delete()
    elif provider.enabled:
        provider.enabled = False
        provider.save(update_fields=["enabled"])
        restart_engine(provider)
