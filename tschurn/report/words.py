"""language → the words of the report, and how numbers are written in them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from markupsafe import Markup

LANGUAGES = {"en": "English", "ko": "한국어"}  # each by its own name


class Texts:
    """The words of the report in one language: texts/<language>.toml, by "section.key"."""

    def __init__(self, words: Mapping[str, Mapping[str, str]], language: str = "en") -> None:
        self.language = language
        self.words = {f"{section}.{key}": text for section, part in words.items() for key, text in part.items()}

    @classmethod
    @cache
    def load(cls, language: str) -> Texts:
        """language ("en" or "ko") → its words."""
        path = resources.files("tschurn.report") / "texts" / f"{language}.toml"
        return cls(tomllib.loads(path.read_text(encoding="utf-8")), language)

    def __call__(self, key: str, **values: object) -> Markup:
        """A sentence as HTML; the words are ours and may hold tags, the values are escaped."""
        return Markup(self.words[key]).format(**values)

    def plain(self, key: str, **values: object) -> str:
        """A text for a figure; values from a log must have been made safe."""
        return self.words[key].format(**values)

    def name(self, section: str, code: object) -> str | Markup:
        """What people call a code; the code itself where the words do not know it."""
        known = self.words.get(f"{section}.{code}")
        return str(code).replace("_", " ") if known is None else Markup(known)

    def section(self, section: str) -> dict[str, str]:
        """All texts of one section, in order."""
        return {k.partition(".")[2]: v for k, v in self.words.items() if k.startswith(f"{section}.")}


# --- how numbers are written; null is a dash ------------------------------------------------------
def whole(value: float | None) -> str:
    """12345 → 12,345."""
    return "–" if value is None else f"{value:,.0f}"


def score(value: float | None) -> str:
    """0.87123 → 0.871."""
    return "–" if value is None else f"{value:.3f}"


def times(value: float | None) -> str:
    """2.4 → 2.40."""
    return "–" if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    """0.3142 → 31.4%."""
    if value is None:
        return "–"
    return f"{value:.0%}" if abs(value * 100 - round(value * 100)) < 1e-9 else f"{value:.1%}"


def signed(value: float | None) -> str:
    """0.0123 → +0.012; a true minus sign for negative numbers."""
    return "–" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def signed_share(value: float | None) -> str:
    """0.0123 → +1.2%; a true minus sign for negative numbers."""
    return "–" if value is None else f"{value:+.1%}".replace("-", "\N{MINUS SIGN}")


def small(value: float | None) -> str:
    """A p-value: 0.0421 → 0.042, 0.00001 → <0.001."""
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def brief(value: float | None) -> str:
    """Any number in three significant digits, with thousands marked: 12345.6 → 12,346, 0.01234 → 0.0123."""
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
