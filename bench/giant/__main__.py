"""`python -m bench.giant FOLDER [SCALE]`: write the giant machine, or a part of it."""

from __future__ import annotations

import os
import sys

from bench.giant import build
from bench.giant.shape import scaled


def main() -> None:
    """Write the machine and tell how many files, folders and links it has."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: {__doc__}")
    top, scale = sys.argv[1], float(sys.argv[2]) if len(sys.argv) == 3 else 1.0
    os.makedirs(top)
    print(build(top, scaled(scale)).entries)


main()
