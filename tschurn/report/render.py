"""Summary + figures + words → one HTML page that needs no other file and makes no request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tschurn.contracts import MOST_REASONS
from tschurn.report.figures import DOTS_SHOWN
from tschurn.report.simulated import TOP_USERS, TRUTH
from tschurn.report.simulated_figures import WEEKDAYS
from tschurn.report.summary import RELIABLE_R2, SIGNIFICANT_Q, TARGETS
from tschurn.report.verdict import METRIC_NAMES

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEVEL, ECE_BINS = 0.95, 10
LIFTS = {"lift_10": 0.1, "lift_20": 0.2}


class Texts:
    """The words of the report in one language: texts/<language>.toml, by "section.key"."""

    def __init__(self, words: Mapping[str, Mapping[str, str]]) -> None:
        self.words = {f"{section}.{key}": text for section, part in words.items() for key, text in part.items()}

    @classmethod
    def load(cls, language: str) -> Texts:
        """language ("en" or "ko") → its words."""
        path = resources.files("tschurn.report") / "texts" / f"{language}.toml"
        return cls(tomllib.loads(path.read_text(encoding="utf-8")))

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


def page(summary: Mapping[str, Any], figures: Mapping[str, go.Figure], texts: Texts) -> str:
    """The whole report as HTML; equal arguments give equal text."""
    environment = _environment()
    script = _script_text(environment.loader.get_source(environment, "report.js")[0])
    plotly = _plotly()
    return environment.get_template("report.html.j2").render(
        s=summary,
        t=texts,
        figures={name: json_for_script(figure.to_plotly_json()) for name, figure in figures.items()},
        plotly=Markup(plotly),
        script=Markup(script),
        policy=_policy(plotly, script),
        targets=TARGETS,
        metric_names=[m for m in METRIC_NAMES if m not in ("base_rate", "ece_perfect")],
        lifts=LIFTS,
        level=LEVEL,
        bins=ECE_BINS,
        reliable_r2=RELIABLE_R2,
        significant_q=SIGNIFICANT_Q,
        dots_shown=DOTS_SHOWN,
        truth_figures=TRUTH,
        reasons_shown=MOST_REASONS,
        top_users=TOP_USERS,
        weekdays=WEEKDAYS,
    )


@cache
def _environment() -> jinja2.Environment:
    """The templates, with the ways in which numbers are written."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tschurn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "whole": whole, "score": score, "times": times, "share": share,
        "signed": signed, "signed_share": signed_share, "small": small, "brief": brief,
    }  # fmt: skip
    return environment


def json_for_script(value: Any) -> Markup:
    """JSON that can stand inside <script type="application/json">: nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_listed)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


@cache
def _plotly() -> str:
    return _script_text(get_plotlyjs())


def _script_text(source: str) -> str:
    """JavaScript that can stand inside <script>; `<\\/` and `<\\!` mean the same in strings and patterns."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")  # as the HTML parser reads it, for the hash
    return re.sub(r"<(?=/script|!--)", r"<\\", source, flags=re.IGNORECASE)


def _policy(*scripts: str) -> str:
    """A Content-Security-Policy under which only these scripts run and no request leaves the page."""
    digests = (base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


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
