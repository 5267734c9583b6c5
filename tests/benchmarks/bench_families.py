"""Every family at its released size with random weights: the table of docs/performance.md.

    python -m tests.benchmarks.bench_families [FAMILY[/MODEL]...] [--device cuda] [--out FILE.md]

The same as ``maquette bench``.
"""

import sys

from app.cli.bench import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
