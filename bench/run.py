#!/usr/bin/env python3
"""Compares Loopwright with peers, in turn, in one run on one machine.

    make bench                 every comparison
    make bench NAME=start      one of them

Prints the machine, versions and durability on top, then one line a metric and peer:

    bench NAME METRIC ours=… peer=… (PEER) ratio=… goal=… ok|short

`ratio` says how many times better ours is. A side that cannot run here is `missing[why]`; its figures are never taken from
elsewhere. All values of all rounds go to bench/results.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparisons import COMPARISONS  # noqa: E402
from harness import comparison as compare  # noqa: E402
from harness import machine, paths  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares Loopwright with peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(sorted(COMPARISONS))}")
    parser.add_argument("--rounds", type=int, help="rounds of each comparison")
    parser.add_argument("--without-peers", action="store_true", help="measure ours only; peers are reported as missing")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in COMPARISONS]
    if unknown:
        parser.error(f"there is no comparison {unknown[0]}; there are {', '.join(sorted(COMPARISONS))}")

    paths.WORK.mkdir(parents=True, exist_ok=True)
    if not arguments.without_peers:
        paths.install_peers()
    facts = machine.facts(paths.WORK)
    print("# " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"# loopwright {paths.our_version()}")
    report = {"machine": facts, "loopwright": paths.our_version(), "comparisons": {}}
    is_short = False
    for name in arguments.names or COMPARISONS:
        one = COMPARISONS[name]()
        one.rounds = arguments.rounds or one.rounds
        results = compare.measure(one, lambda text: print(text, file=sys.stderr))
        versions = "; ".join(f"{result.name}: {result.version or result.missing}" for result in results)
        print(f"# {name}: {one.rounds} rounds; durability: {one.durability}; {versions}")
        for line in compare.lines(one, results):
            print(line, flush=True)
            is_short |= line.endswith(" short")
        report["comparisons"][name] = {
            "rounds": one.rounds,
            "durability": one.durability,
            "sides": {result.name: {"version": result.version, "missing": result.missing, "values": result.values} for result in results},
            "lines": compare.lines(one, results),
        }
    write(report)
    return 1 if is_short else 0


def write(report: dict) -> None:
    """Keeps the comparisons of earlier runs that this one did not repeat."""
    path = Path(__file__).resolve().parent / "results.json"
    if path.exists():
        earlier = json.loads(path.read_text())
        report["comparisons"] = {**earlier.get("comparisons", {}), **report["comparisons"]}
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())
