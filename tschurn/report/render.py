"""Summary + figures + words → one HTML page that needs no other file and makes no request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
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
from tschurn.report.verdict import METRIC_NAMES
from tschurn.report.words import Texts, brief, score, share, signed, signed_share, small, times, whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEVEL, ECE_BINS = 0.95, 10
SENTENCES_SHOWN = 5  # of one check; the others unfold
LIFTS = {"lift_10": 0.1, "lift_20": 0.2}


def page(summary: Mapping[str, Any], figures: Mapping[str, go.Figure], texts: Texts) -> str:
    """The whole report as HTML; equal arguments give equal text."""
    templates = environment()
    script = _script_text(templates.loader.get_source(templates, "report.js")[0])
    plotly = _plotly()
    return templates.get_template("report.html.j2").render(
        s=summary,
        t=texts,
        figures={name: json_for_script(figure.to_plotly_json()) for name, figure in figures.items()},
        plotly=Markup(plotly),
        script=Markup(script),
        policy=_policy(plotly, script),
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
    )


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
    return templates


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
