"""A supervisor in a process of its own, for tests that kill it: ``-m tests.inference.supervise_fake CONTROL``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path


def main(control: Path) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "sovereign.settings"
    import django

    django.setup()
    from inference.engines.process import Slot
    from inference.engines.supervisor import Supervisor
    from tests.inference.supervising import TIMING, launch

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await Supervisor(launch(control), Slot.take("fake"), TIMING).run(stop)

    asyncio.run(run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
