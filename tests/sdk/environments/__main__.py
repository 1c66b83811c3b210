"""``python -m tests.sdk.environments [NAME …]``: install the environments named, or all; 1 where one fails."""

from __future__ import annotations

import subprocess
import sys

from tests.sdk.environments import install, is_installed, names


def main(wanted: list[str]) -> int:
    failed = 0
    for name in wanted or names():
        if is_installed(name):
            continue
        print(f"installing the client environment {name}", file=sys.stderr)
        try:
            install(name)
        except (subprocess.SubprocessError, OSError) as error:
            failed = 1
            print(f"{name} could not be installed; its tests are left out: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
