"""Fuzz the doors and say what came of it, as Markdown.

    python tests/fuzz/fuzz.py [--seconds 600] [--seed 1] [--report FILE] [--kept DIR]

Exit code 1 if anything failed; the inputs that failed are left in DIR.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

from fuzzer import Findings, watch, work  # noqa: E402

_MOST_SHOWN = 25  # outcomes of a door


def main(arguments: list[str] | None = None) -> int:
    """→ exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "tschurn-fuzz")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("places", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        from doors import DOORS

        work(DOORS[options.work](), options.seed, *options.places)
    found = fuzz(options.seconds, options.seed)
    text = markdown(found, options)
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    for name, door in found.items():
        for k, (_, data) in enumerate(door.failures):
            options.kept.mkdir(parents=True, exist_ok=True)
            (options.kept / f"{name}-{options.seed}-{k}").write_bytes(data)
    return int(any(door.failures for door in found.values()))


def fuzz(seconds: float, seed: int) -> dict[str, Findings]:
    """→ what came of each door, one after the other."""
    from doors import SHARES

    with tempfile.TemporaryDirectory(prefix="tschurn-fuzz-") as temporary:
        return {
            name: watch(name, seconds * share, seed * 1000, Path(temporary) / name) for name, share in SHARES.items()
        }


def markdown(found: dict[str, Findings], options: argparse.Namespace) -> str:
    """Findings by door → the report."""
    lines = [
        "# What the doors do with bytes that nobody meant",
        "",
        f"`make fuzz SECONDS={options.seconds:g}` (seed {options.seed}), {datetime.now(UTC).date()}. "
        "Good inputs are changed at random; what reaches a new line of the package, or a new outcome, is changed "
        "further. A door must give a result that keeps its contract (every row of a log kept or counted as removed), "
        "or refuse in one line of at most 1000 characters that names the file or the key; anything else is a failure: "
        "another exception, no answer for 30 seconds, the end of the process, a file outside of its folder.",
        "",
        "| door | seconds | inputs | results | refusals | kinds of outcome | corpus | lines reached | failures |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, door in found.items():
        refused = sum(n for outcome, n in door.outcomes.items() if "Error: " in outcome)
        results = door.tried - refused - door.outcomes["failure"]
        lines.append(
            f"| {name} | {door.seconds:.0f} | {door.tried:,} | {results:,} | {refused:,} | {len(door.outcomes)} | "
            f"{door.corpus} | {door.lines} | {len(door.failures)} |"
        )
    for name, door in found.items():
        lines += ["", f"## {name}", "", "| outcome | inputs |", "|---|--:|"]
        lines += [f"| {_cell(outcome)} | {n:,} |" for outcome, n in door.outcomes.most_common(_MOST_SHOWN)]
        if (more := len(door.outcomes) - _MOST_SHOWN) > 0:
            lines.append(f"| {more} more kinds | {sum(n for _, n in door.outcomes.most_common()[_MOST_SHOWN:]):,} |")
        lines += [f"\nFailed: `{_cell(what)}`" for what, _ in door.failures]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'")


if __name__ == "__main__":
    sys.exit(main())
