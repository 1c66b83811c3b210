#!/usr/bin/env python
"""Django's command line for Sovereign."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sovereign.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # one sentence about a setting, and no traceback
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
