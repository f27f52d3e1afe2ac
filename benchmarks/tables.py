"""cells → a table in Markdown on standard output."""

from __future__ import annotations


def head(*names: str) -> None:
    """The names of the columns, and the line under them."""
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))


def row(*cells: object) -> None:
    """One row."""
    print("| " + " | ".join(map(str, cells)) + " |")
