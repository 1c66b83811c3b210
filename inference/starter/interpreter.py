"""Which Python has torch and vLLM: the engine's own. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def engine_python(configured: str, data_dir: Path) -> str:
    """The engine's interpreter: the configured one, else the one of ``<data_dir>/engine``.

    Raises FileNotFoundError, with a sentence for the user, where there is none.
    """
    python = Path(configured).expanduser() if configured else Path(data_dir) / "engine" / "bin" / "python"
    if not python.exists():
        raise FileNotFoundError(f"No engine at {python}: run `python manage.py install_engine` first.")
    return str(python)
