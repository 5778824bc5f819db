"""How far the default recipe's results lie apart from seed to seed.

Takes bundles that `emotrace train default --export` made from runs with different seeds, and prints
mean and sample standard deviation over them of every measure, as Markdown; `--json` writes them all
with each run's value. `--into` writes them into one of the bundles: its spec and its card.

    for seed in 0 1 2; do
      emotrace train default --data DATA --run runs/$seed --seed $seed --export bundles/seed$seed
    done
    python benchmarks/seeds_of_default.py bundles/seed0 bundles/seed1 bundles/seed2 \
      --json benchmarks/results/seeds_of_default.json --into bundles/seed0
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emotrace.analysis.tables import write_json
from emotrace.bundle_spec import CARD_FILE, SPEC_FILE, read_spec, spec_to_json
from emotrace.errors import EmotraceError
from emotrace.storage import atomic_path
from emotrace.training.card import write_card
from emotrace.training.seeds import seeds_table, summarise_seeds, with_seeds


def main() -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number here")
    parser.add_argument("--into", type=Path, metavar="BUNDLE", help="state them in this bundle")
    arguments = parser.parse_args()
    try:
        summary = summarise_seeds([read_spec(folder) for folder in arguments.bundles])
        if arguments.json is not None:
            write_json(arguments.json, summary)
        if arguments.into is not None:
            spec = with_seeds(read_spec(arguments.into), summary)
            write_json(arguments.into / SPEC_FILE, spec_to_json(spec))
            with atomic_path(arguments.into / CARD_FILE) as partial:
                partial.write_text(write_card(spec), encoding="utf-8")
    except EmotraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table = seeds_table(summary)
    print(f"{table.title}. {table.note}\n\n{table.to_markdown()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
