"""Providers that environment variables describe: rows that are equal to what the variables say at each start.

Processes need not have the same variables. Each one says again and again that it wants what its own describe, and a
row goes only when its lease has run out: nobody has wanted it for a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from inference.models import Provider
from inference.services.providers import keep_engine, restart_engine
from inference.services.registry import forget_catalogue
from sovereign.core.addresses import checked_address
from sovereign.core.configuration import Configuration
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

EXTERNAL = "external"  # the name of the one that SOVEREIGN_ENGINE_URL points to
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"
OLLAMA_PORT = 11434
WANTED = timedelta(seconds=60)  # how long a row stays after the last process that wants it said so
RENEWED = timedelta(seconds=20)  # after which every process says it again


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
    """Make the registry say what this process's environment says now: an earlier address is asked nothing any more.

    :raises ApiError: a variable holds an address that is none.
    """
    wanted = configured_providers(settings.SOVEREIGN)
    of_environment = Provider.objects.filter(source=Provider.Source.ENVIRONMENT)
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
    _renew(wanted.keys())


@service
def keep_environment() -> None:
    """To be called every 20 s by whoever synchronised: renews the leases, and brings back what others let go.

    What is there stays as it is, also where another process has begun since with another address.

    :raises ApiError: as ``synchronise_environment``.
    """
    wanted = configured_providers(settings.SOVEREIGN)
    enabled = Provider.objects.filter(source=Provider.Source.ENVIRONMENT, enabled=True)
    if wanted.keys() - enabled.values_list("name", flat=True):
        synchronise_environment()
    else:
        _renew(wanted.keys())


def _renew(wanted: Set[str]) -> None:
    """Only what nobody wants goes: a process that lacks a variable says nothing about the others."""
    instant = now()
    rows = Provider.objects.filter(source=Provider.Source.ENVIRONMENT)
    late = rows.filter(name__in=wanted).exclude(wanted_until__gt=instant + WANTED - RENEWED)
    late.update(wanted_until=instant + WANTED)
    unwanted = rows.exclude(name__in=wanted).exclude(wanted_until__gt=instant)
    for gone in unwanted.select_for_update(no_key=True):
        _let_go(gone)


def _let_go(provider: Provider) -> None:
    """Its variable is gone. Prices that somebody typed in outlive that: then it is only disabled."""
    is_priced = provider.prices.exists()
    if is_priced and not provider.enabled:
        return
    forget_catalogue(keep_engine(provider))
    if not is_priced:
        provider.delete()
    else:
        provider.enabled = False
        provider.save(update_fields=["enabled"])
        restart_engine(provider)
