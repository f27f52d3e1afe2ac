"""Tables of calibration → whether the probabilities mean what they say, and whether their product does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREY, bounds_of, error_bars, finish
from tschurn.report.values import Tables, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.report.words import Texts

BRIER = ("brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within")


def calibration_summary(tables: Tables, targets: Mapping[str, Any]) -> dict[str, Any]:
    """Tables and the summary of the targets → per target the methods tried and the intervals of the used model.

    tried: rows of CALIBRATION_CHOICE, the lowest log loss first. width: mean width of the intervals on test. bins: of
    the reliability curve; met: those whose mean interval meets that of the share that came true.
    """
    result = {}
    for target, about in targets.items():
        choice = table_of(tables, "calibration_choice", target).sort_values(["log_loss", "method"])
        curve = about.get("reliability", [])
        if curve:
            width = [row["p_high"] - row["p_low"] for row in curve]
            result[target] = {
                "tried": records(choice[["method", "log_loss", "ece", "chosen"]]),
                "width": np.average(width, weights=[row["windows"] for row in curve]),
                "bins": len(curve),
                "met": sum(row["p_low"] <= row["high"] and row["low"] <= row["p_high"] for row in curve),
            }
    return result


def joint_summary(tables: Tables, experiment: Experiment) -> dict[str, Any] | None:
    """JOINT → its rows, the product and the joint rate of all, and in how many bins the latter is higher or lower;
    exclusive: whether the two cannot both happen. Null without a sticker target."""
    if experiment.targets.sticker is None:
        return None
    rows = table_of(tables, "joint").sort_values("bin")
    means = {k: np.average(rows[k], weights=rows["windows"]) if len(rows) else None for k in ("product", "both")}
    return {
        "exclusive": experiment.targets.exclusive,
        "rows": records(rows),
        "windows": int(rows["windows"].sum()),
        **means,
        "higher": int((rows["low"] > rows["product"]).sum()),
        "lower": int((rows["high"] < rows["product"]).sum()),
    }


def reliability_figure(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """What came true against what was predicted, in equal-mass bins; on the diagonal when calibrated."""
    return _on_the_diagonal(rows, "p_mean", "y_mean", ("perfect", "predicted", "came_true"), texts)


def joint_figure(rows: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """How often both happened against the product; on the diagonal where the product is the probability of both."""
    return _on_the_diagonal(rows, "product", "both", ("as_product", "product", "both"), texts)


def _on_the_diagonal(
    rows: Sequence[Mapping[str, Any]], across: str, up: str, names: tuple[str, str, str], texts: Texts
) -> go.Figure | None:
    """Points with their intervals, low to high upwards and, where there are such, p_low to p_high sideways; names:
    of the diagonal and the axes."""
    if not rows:
        return None
    x, y = ([row[column] for row in rows] for column in (across, up))
    diagonal, *titles = (texts.plain(f"figures.{name}") for name in names)
    ends = [row[end] for row in rows for end in ("high", "p_high") if row.get(end) is not None]
    top = min(1.0, 1.08 * max(x + ends))
    figure = go.Figure()
    figure.add_scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1.5},
        name=diagonal,
        hoverinfo="skip",
    )
    sideways = [bounds_of(at, row.get("p_low"), row.get("p_high")) for at, row in zip(x, rows, strict=True)]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": BLUE, "width": 1},
        marker={"size": 8},
        error_x=error_bars(sideways),
        error_y=error_bars([bounds_of(at, row["low"], row["high"]) for at, row in zip(y, rows, strict=True)]),
        customdata=[row["windows"] for row in rows],
        hovertemplate="%{x:.3f} → %{y:.3f} · n = %{customdata:,}<extra></extra>",
        name=titles[1],
    )
    figure.update_xaxes(title_text=titles[0], range=[0, top])
    figure.update_yaxes(title_text=titles[1], range=[0, top])
    return finish(figure, 340, legend=True)
