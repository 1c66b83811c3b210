"""``python -m tests.support.prepare ENGINES``: what ``manage.py up`` prepares, without serving; prints credentials.

``ENGINES`` is JSON, model name → address: engines that are registered beside the one of the environment.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from inference import services  # noqa: E402  (apps first)
from sovereign.management.bootstrap import ADMINISTRATOR, prepare  # noqa: E402


def main(engines: dict[str, str]) -> None:
    credentials = prepare()
    for model, url in engines.items():
        services.create_provider(
            name=model, kind="openai_compatible", base_url=url, all_projects=True, inner_network=True
        )
    services.register_models(names=[(model, model, None) for model in ["fake", *engines]])
    print(json.dumps({"user": ADMINISTRATOR, "password": credentials.password, "api_key": credentials.api_key}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
