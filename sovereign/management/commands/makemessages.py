"""Django's ``makemessages``, which also finds what our scripts say: ``t("…")`` and ``tn("…", "…", n)``."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import makemessages

#: what marks a text: in scripts the functions of static/web/words.js, in Python one that leaves it as it is
KEYWORDS = {"djangojs": ["--keyword=t", "--keyword=tn:1,2"], "django": ["--keyword=_marked"]}
LEFT_OUT = [".venv", "var", "tests", "docs", "templates/admin", "templates/unfold"]  # the admin is English


class Command(makemessages.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        options["ignore_patterns"] = [*options["ignore_patterns"], *LEFT_OUT]
        self.xgettext_options = [*makemessages.Command.xgettext_options, *KEYWORDS[options["domain"]]]
        super().handle(*args, **options)
