"""``python -m tests.support.prepare ENGINES [limited]``: what ``manage.py up`` prepares, unserved; prints credentials.

``ENGINES`` is JSON, model name → address: engines that are registered beside the one of the environment. ``limited``
as a second argument gives the project limits that nobody reaches.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from inference import services  # noqa: E402  (apps first)
from sovereign.accounts.models import Project  # noqa: E402
from sovereign.accounts.services.limits import set_project_limits  # noqa: E402
from sovereign.accounts.services.quotas import Limits  # noqa: E402
from sovereign.management.bootstrap import ADMINISTRATOR, prepare  # noqa: E402

WIDE = Limits(requests_per_minute=1_000_000, tokens_per_minute=1_000_000_000, concurrent_calls=1_000)


def main(engines: dict[str, str], *, limited: bool) -> None:
    credentials = prepare()
    if limited:
        set_project_limits(project=Project.objects.get(), limits=WIDE)
    for model, url in engines.items():
        services.create_provider(
            name=model, kind="openai_compatible", base_url=url, all_projects=True, inner_network=True
        )
    services.register_models(names=[(model, model, None) for model in ["fake", *engines]])
    print(json.dumps({"user": ADMINISTRATOR, "password": credentials.password, "api_key": credentials.api_key}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), limited="limited" in sys.argv)
