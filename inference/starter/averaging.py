"""Average trained weights: ``python -m inference.starter.averaging OUT FOLDER=SHARE FOLDER=SHARE``.

Weights that were trained on from others can be averaged with these: what the further training disturbed comes back,
and most of what it taught stays. Needs the engine's interpreter. Nothing here imports Django.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

FILE = "model.safetensors"


def averaged(parts: list[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    """Tensors of the same names and shapes, weighted by shares that need not add up to one."""
    total = sum(share for _, share in parts)
    if total <= 0:
        raise ValueError("The shares add up to nothing.")
    names = parts[0][0].keys()
    return {name: sum(tensors[name] * (share / total) for tensors, share in parts) for name in names}


def part(text: str) -> tuple[Path, float]:
    """``folder=share``."""
    folder, _, share = text.rpartition("=")
    return Path(folder), float(share)


def main() -> None:
    """Write the averaged folder; all but the weights are the last folder's."""
    from safetensors.torch import load_file, save_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", type=part, nargs="+", metavar="FOLDER=SHARE")
    options = parser.parse_args()
    tensors = averaged([(load_file(folder / FILE), share) for folder, share in options.parts])
    shutil.copytree(options.parts[-1][0], options.out, dirs_exist_ok=True)
    save_file(tensors, options.out / FILE, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
