"""The run's tables → one HTML file that needs nothing else, and report.json.

summary decides every number, figures draws, render places. Import is cheap: pandas, Plotly and
Jinja2 are loaded when a report is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tschurn.config import Experiment


def build(
    tables: Mapping[str, pd.DataFrame],
    notes: Sequence[str],
    experiment: Experiment,
    manifest: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Tables by the names of contracts → folder/index.html and folder/report.json; → what is in the latter.

    Each file is written whole or not at all.

    Any table may be absent or empty, and any per-target table may lack a target: the report then says
    why there is nothing to show. notes: codes of what the run wants to say (texts/*.toml, [notes];
    unknown ones are ignored). manifest: may hold "data", "versions" and "commit". Same arguments, same bytes.
    """
    from tschurn.report.figures import draw
    from tschurn.report.render import page
    from tschurn.report.summary import summarise
    from tschurn.report.users import users_data
    from tschurn.report.words import LANGUAGES, Texts
    from tschurn.runs import write_json, writing

    first = experiment.experiment.language
    languages = sorted(LANGUAGES, key=lambda language: language != first)
    summaries = {
        language: summarise(tables, notes, experiment.in_language(language), manifest) for language in languages
    }
    for summary in summaries.values():
        summary["reproduce"] = summaries[first]["reproduce"]  # the configuration as it was, in either language
    figures = {language: draw(tables, summaries[language], Texts.load(language)) for language in languages}
    data = {"users": users_data(tables, experiment), "capacity": summaries[first]["capacity"]}
    html = page(summaries, figures, data)
    write_json(folder / "report.json", summaries[first])
    with writing(folder / "index.html") as beside:
        beside.write_text(html, encoding="utf-8", newline="\n")
    return summaries[first]


def users_shown(priority: pd.DataFrame) -> list[Any]:
    """PRIORITY → ids of the users whom the page shows one by one: of tables by user the report needs no others."""
    from tschurn.report import users

    return users.shown(priority)


def build_follow_up(results: Mapping[str, Any], folder: Path) -> list[str]:
    """What happened to past lists → folder/follow_up.html and folder/follow_up.json; → the same in a few sentences."""
    from tschurn.report import follow_up

    return follow_up.build(results, folder)


def build_comparison(results: Mapping[str, Any], folder: Path) -> list[str]:
    """What differs between two runs → folder/comparison.html and folder/comparison.json; → the same in a few
    sentences."""
    from tschurn.report import versus

    return versus.build(results, folder)
