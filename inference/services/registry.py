"""Model names: known ones, other names for them, what stands in for them, and the default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet

from inference.models import Engine, ModelAlias, ModelFallback, Provider, RegisteredModel
from inference.naming import MAXIMUM_NAME
from inference.snapshot import changed
from sovereign.accounts import audit
from sovereign.accounts.principals import Principal
from sovereign.core.database import now, service
from sovereign.core.errors import ApiError

MAXIMUM_FALLBACKS = 8
MAXIMUM_LEARNED = 2_000  # names that are kept of one provider, those that it serves no more included
EVERYBODYS = ""  # what ``learned_from`` says of a model that everybody may know


@service
def register_models(*, names: Iterable[tuple[str, str, int | None]], provider: Provider | None = None) -> None:
    """Make names known: of each its name, its source and its context length in tokens. Known ones stay.

    :param provider: who told them; for whom it is not, these names do not exist. ``None``: an engine of ours.
    """
    wanted = {name: (source, length) for name, source, length in names if 0 < len(name) <= MAXIMUM_NAME}
    known = dict(RegisteredModel.objects.filter(name__in=wanted).values_list("name", "learned_from"))
    instant, learned_from = now(), provider.pk if provider is not None else EVERYBODYS
    fresh = [
        RegisteredModel(name=name, source=source, context_length=length, learned_from=learned_from, created_at=instant)
        for name, (source, length) in wanted.items()
        if name not in known
    ]
    if fresh:
        RegisteredModel.objects.bulk_create(fresh, ignore_conflicts=True)
        if provider is not None:
            _drop_excess(provider)
    _open_names({name: origin for name, origin in known.items() if origin not in (EVERYBODYS, learned_from)}, provider)
    changed()


def _drop_excess(provider: Provider) -> None:
    """Whoever lists other names every time does not fill the table: the oldest that nobody serves or uses go."""
    learned = RegisteredModel.objects.filter(learned_from=provider.pk)
    excess = learned.count() - MAXIMUM_LEARNED
    if excess > 0:
        served = _served(Engine.objects.all())
        rows = _idle().filter(learned_from=provider.pk).values_list("pk", "name")
        RegisteredModel.objects.filter(pk__in=[pk for pk, name in rows if name not in served][:excess]).delete()


def _idle() -> QuerySet[RegisteredModel]:
    """Names that came from lists alone, and that no administrator did anything with; the oldest first."""
    used = ModelFallback.objects.values("fallback")
    idle = RegisteredModel.objects.filter(source="", is_default=False, aliases=None, fallbacks=None)
    return idle.exclude(pk__in=used)


def _served(engines: QuerySet[Engine]) -> set[str]:
    return {entry["id"] for served in engines.values_list("served", flat=True) for entry in served}


def _open_names(known: dict[str, str], provider: Provider | None) -> None:
    """Who tells known names may make them known to more: an engine of ours, or a provider that is for everybody."""
    if not known:
        return
    origin = provider.pk if provider is not None else EVERYBODYS
    if provider is not None and not provider.all_projects:
        living = set(Provider.objects.filter(pk__in=known.values()).values_list("pk", flat=True))
        known = {name: before for name, before in known.items() if before not in living}
    RegisteredModel.objects.filter(name__in=known).exclude(learned_from=EVERYBODYS).update(learned_from=origin)


@service
def set_default_model(*, model: RegisteredModel, user_id: int | None = None) -> None:
    """What new assistants get, and what the names of OpenAI's models stand for."""
    RegisteredModel.objects.filter(is_default=True).exclude(pk=model.pk).update(is_default=False)
    RegisteredModel.objects.filter(pk=model.pk).update(is_default=True)
    changed()
    audit.record_of_person(user_id, "model.made_default", model, name=model.name)


@service
def add_alias(*, alias: str, model: RegisteredModel, user_id: int | None = None) -> ModelAlias:
    """Another name for ``model``.

    :raises ApiError: the name is taken by another alias, or is no name.
    """
    if not alias.strip() or not alias.isprintable() or len(alias) > MAXIMUM_NAME:
        raise ApiError("An alias is 1 to 200 printable characters.", param="alias")
    try:
        with transaction.atomic():
            made = ModelAlias.objects.create(alias=alias, model=model, created_at=now())
    except IntegrityError:
        raise ApiError(f"The name '{alias}' is already an alias.", param="alias") from None
    changed()
    audit.record_of_person(user_id, "model_alias.created", made, alias=alias, model=model.name)
    return made


@service
def set_fallbacks(*, model: RegisteredModel, fallbacks: Sequence[RegisteredModel], user_id: int | None = None) -> None:
    """What is asked in the place of ``model``, in this order; none of them may lead back to it.

    :raises ApiError: the model itself, one named twice, too many, or a circle.
    """
    # one lock for all of them: two changes at once could close a circle that neither sees
    list(RegisteredModel.objects.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    check_fallbacks(model, fallbacks)
    wanted = [fallback.pk for fallback in fallbacks]
    kept = list(ModelFallback.objects.filter(model=model).order_by("position").values_list("fallback_id", flat=True))
    if kept == wanted:
        return
    ModelFallback.objects.filter(model=model).delete()
    ModelFallback.objects.bulk_create(
        ModelFallback(model=model, position=position, fallback=fallback)
        for position, fallback in enumerate(fallbacks, start=1)
    )
    changed()
    names = [fallback.name for fallback in fallbacks]
    audit.record_of_person(user_id, "model.fallbacks_set", model, name=model.name, fallbacks=names)


def check_fallbacks(model: RegisteredModel, fallbacks: Sequence[RegisteredModel]) -> None:
    """:raises ApiError: as ``set_fallbacks``."""
    if len({fallback.pk for fallback in fallbacks}) != len(fallbacks):
        raise ApiError("A model is named twice among the fallbacks.", param="fallback")
    if len(fallbacks) > MAXIMUM_FALLBACKS:
        raise ApiError(f"A model has at most {MAXIMUM_FALLBACKS} fallbacks.", param="fallback")
    if (back := _leads_back(model, fallbacks)) is not None:
        raise ApiError(f"'{back}' cannot stand in for '{model}': it would lead back to it.", param="fallback")


def _leads_back(model: RegisteredModel, fallbacks: Sequence[RegisteredModel]) -> RegisteredModel | None:
    """The first of ``fallbacks`` from which fallbacks lead to ``model``."""
    edges: dict[str, list[str]] = {}
    for source, target in ModelFallback.objects.exclude(model=model).values_list("model_id", "fallback_id"):
        edges.setdefault(source, []).append(target)
    for fallback in fallbacks:
        seen, waiting = set[str](), [fallback.pk]
        while waiting:
            if (reached := waiting.pop()) not in seen:
                seen.add(reached)
                waiting += edges.get(reached, [])
        if model.pk in seen:
            return fallback
    return None


@service
def delete_model(*, model: RegisteredModel, user_id: int | None = None, principal: Principal | None = None) -> None:
    """Forget a model's name, its aliases and its fallbacks.

    :raises ApiError: 400 ``model_in_use``: an engine serves it, and would bring it back at once.
    """
    serving = [engine for engine in Engine.objects.exclude(state=Engine.State.DOWN) if engine.entry(model.name)]
    if serving:
        raise ApiError(f"'{model.name}' is being served: stop its engine first.", param="model", code="model_in_use")
    if principal is None:
        audit.record_of_person(user_id, "model.deleted", model, name=model.name)
    else:
        audit.record(principal, "model.deleted", model, name=model.name)
    model.delete()
    changed()


def forget_catalogue(engine: Engine) -> None:
    """Names that nobody but this engine of a hosted provider serves are unknown once it is gone.

    OpenAI's names are old clients' names for the default model, and would otherwise wait for an engine for ever. What
    an administrator did something with stays, and so do names that came from a server of the house.
    """
    changed()
    if engine.provider is not None and engine.provider.all_projects:  # what everybody knew stays known
        RegisteredModel.objects.filter(learned_from=engine.provider.pk).update(learned_from=EVERYBODYS)
    forget_names(engine, {entry["id"] for entry in engine.served})


def forget_names(engine: Engine, names: Set[str]) -> None:
    """Names that this engine does not serve any more are unknown, on the conditions of ``forget_catalogue``."""
    if names and engine.kind in (Engine.Kind.OPENAI, Engine.Kind.ANTHROPIC):
        elsewhere = _served(Engine.objects.exclude(pk=engine.pk))
        _idle().filter(name__in=names - elsewhere).delete()


@service
def remove(obj: Engine | ModelAlias, *, user_id: int | None = None) -> None:
    """Delete an alias, or the row of an engine that is supervised here; one that still works reports again.

    :raises ApiError: the engine of a provider, which goes with its provider.
    """
    if isinstance(obj, Engine) and obj.provider_id is not None:
        raise ApiError(f"'{obj}' is the engine of a provider: disable or delete that.")
    audit.record_of_person(user_id, f"{obj._meta.model_name}.deleted", obj, name=str(obj))
    obj.delete()
    changed()


@service
def record_test(tested: Model, *, model: str, user_id: int | None = None) -> None:
    """Somebody asks a model, by itself or at a provider, whether it answers: which may cost something."""
    kind = "provider" if isinstance(tested, Provider) else "model"
    audit.record_of_person(user_id, f"{kind}.tested", tested, name=str(tested), model=model)
