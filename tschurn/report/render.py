"""Summaries + figures + words → one HTML page that needs no other file and makes no request."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tschurn.contracts import MOST_REASONS, RELIABLE_R2
from tschurn.report.calibration import BRIER
from tschurn.report.comparison import SIGNIFICANT_Q
from tschurn.report.groups import DOTS_SHOWN
from tschurn.report.quality import cards
from tschurn.report.simulated import TOP_USERS, TRUTH
from tschurn.report.simulated_figures import WEEKDAYS
from tschurn.report.summary import TARGETS
from tschurn.report.theme import DARK, THEME
from tschurn.report.verdict import METRIC_NAMES
from tschurn.report.words import LANGUAGES, Texts, brief, score, share, signed, signed_share, small, times, whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCRIPTS = ("core", "reading", "figures", "capacity", "users", "start")  # in this order
LEVEL, ECE_BINS = 0.95, 10
SENTENCES_SHOWN = 5  # of one check; the others unfold
LIFTS = {"lift_10": 0.1, "lift_20": 0.2}


def page(
    summaries: Mapping[str, Mapping[str, Any]],
    figures: Mapping[str, Mapping[str, go.Figure]],
    data: Mapping[str, Any],
) -> str:
    """Summaries and figures by language → the whole report as HTML, in the first of them before it is switched; equal
    arguments give equal text.

    data: what scripts of the page read, by name.
    """
    bodies = {}
    for language in summaries:
        texts = Texts.load(language)
        bodies[language] = Body(
            texts("page.title_simulated" if summaries[language]["simulated"] else "page.title",
                  name=summaries[language]["experiment"]).striptags(),
            content(summaries[language], figures[language], texts),
        )  # fmt: skip
    return shell(bodies, figures, data)


@dataclass(frozen=True)
class Body:
    """What one language's page says: its title, and what stands inside <div class="page">."""

    title: str
    html: Markup


def shell(bodies: Mapping[str, Body], figures: Mapping[str, Mapping[str, go.Figure]], data: Mapping[str, Any]) -> str:
    """Bodies and figures by language, the first of which is shown → one HTML file with style, scripts and data in it.

    Plotly, the figures and the data are packed (gzip, base64), since they are four fifths of the file otherwise.
    """
    first = next(iter(bodies))
    script = _script()
    plotly = _plotly()
    blocks = {
        "figures": compact(figure_data(figures)),
        "pages": compact({language: {"title": b.title, "body": str(b.html)} for language, b in bodies.items()}),
        **{name: compact(value) for name, value in data.items()},
    }
    page = environment().get_template("shell.html.j2")
    return page.render(
        language=first,
        title=bodies[first].title,
        body=bodies[first].html,
        t=Texts.load(first),
        blocks={name: packed(text) for name, text in blocks.items()} | {"plotly": _packed_plotly()},
        script=Markup(script),
        policy=_policy(plotly, script),
    )


def content(summary: Mapping[str, Any], figures: Mapping[str, go.Figure], texts: Texts) -> Markup:
    """What one language's page says: a summary, its figures (only their names matter) and its words → HTML."""
    return Markup(environment().get_template("report.html.j2").render(
        s=summary,
        t=texts,
        figures=figures,
        languages=LANGUAGES,
        targets=TARGETS,
        metric_names=[m for m in METRIC_NAMES if m not in ("base_rate", "ece_perfect", *BRIER[1:])],
        brier=BRIER,
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
        sentences_shown=SENTENCES_SHOWN,
        cards=cards(summary["quality"]["findings"], texts),
    ))  # fmt: skip


def figure_data(figures: Mapping[str, Mapping[str, go.Figure]]) -> dict[str, Any]:
    """Figures by language and name → what the page draws them from: each in the first language, and by language
    what differs in the others, as [path, value]; the look that all share, and the colours it has in the dark."""
    first, *others = figures
    drawn = {
        language: {name: _without_template(figure) for name, figure in some.items()}
        for language, some in figures.items()
    }
    words = {
        language: {name: _differences(drawn[first].get(name), figure) for name, figure in drawn[language].items()}
        for language in others
    }
    return {
        "figures": drawn[first], "words": words, "colours": DARK,
        "template": json.loads(compact(THEME.to_plotly_json())),
    }  # fmt: skip


def _without_template(figure: go.Figure) -> dict[str, Any]:
    found = json.loads(compact(figure.to_plotly_json()))
    found["layout"].pop("template", None)
    return found


def _differences(one: Any, other: Any, path: tuple[str | int, ...] = ()) -> list[list[Any]]:
    """Two JSON values → [path, value] of what the other has otherwise; a list of another length counts as a whole."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in _differences(one[key], other[key], (*path, key))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and one != other:
        return [found for i in range(len(one)) for found in _differences(one[i], other[i], (*path, i))]
    return [] if one == other else [[list(path), other]]


def family(figure: str, texts: Texts) -> str:
    """A figure's name → the key of its definition: the longest that is the name, or its beginning up to a hyphen."""
    keys = [key for key in texts.section("definitions") if f"{figure}-".startswith(f"{key}-")]
    return max(keys, key=len, default="")


@cache
def environment() -> jinja2.Environment:
    """The templates, with the ways in which numbers are written."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("tschurn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "whole": whole, "score": score, "times": times, "share": share,
        "signed": signed, "signed_share": signed_share, "small": small, "brief": brief,
    }  # fmt: skip
    templates.globals["family"] = family
    return templates


def compact(value: Any) -> str:
    """A value → JSON without spaces; no NaN."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_listed)


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def packed(text: str) -> str:
    """Text → gzip → base64, the same for the same text: in these letters nothing can end the element around them."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode()


@cache
def _plotly() -> str:
    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")


@cache
def _packed_plotly() -> str:
    return packed(_plotly())


@cache
def _script() -> str:
    """The page's own scripts as one, which can stand inside <script>."""
    folder = resources.files("tschurn.report") / "templates" / "js"
    parts = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    return _script_text(f'"use strict";\n(() => {{\n{parts}\n}})();')


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
