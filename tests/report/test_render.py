"""Tables → index.html and report.json: whole, the same each time, complete in itself, and proof against names."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import runpy
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest

from tschurn.report import build
from tschurn.report.render import compact, figure_data
from tschurn.report.values import CONTRACTS
from tschurn.report.words import LANGUAGES, Texts, brief, score, share, signed, signed_share, small, times, whole
from tschurn.runs import StageFolder

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))


EMPTY_STATES = (
    *(f"data.{part}" for part in ("empty", "filters_empty", "events_empty")),
    *("usage.empty", "cohorts.empty", "cohorts.survival_empty", "cohorts.census_empty", "deciles.empty"),
    *(f"process.{part}_empty" for part in ("process", "follows", "difference", "paths", "slow", "variants")),
    *("windows.empty", "why.collinear_empty", "why.importance_empty"),
    *(f"group.{part}" for part in ("empty", "list_empty", "comparison_empty", "histogram_empty")),
    *(f"simulated.{part}_empty" for part in ("truth", "precision", "rhythm", "activity", "engagement")),
    "simulated.goal_unmeasured",
    "sharing.empty",
)


PER_TARGET = (
    *("metrics", "differences", "differences_by_anchor", "reliability", "target_summary", "experiments", "trials"),
    *("selection", "surrogates", "importance", "shap_sample", "reasons", "shared_reasons", "truth_figures"),
)


class Page(HTMLParser):
    """What a browser would make of a page: elements, their attributes, the text outside scripts, the scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self._inside = tag
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data):
        if self._inside:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        else:
            self.text += data

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def written(folder: Path, tables=None, notes=(), manifest=None, simulated=True, **sections) -> tuple[str, dict]:
    """The report of these tables, with the section of a simulated log unless told otherwise."""
    tables = made["tables"]() if tables is None else tables
    summary = build(
        tables,
        list(notes),
        made["experiment"](simulated=simulated, **sections),
        made["manifest"]() if manifest is None else manifest,
        folder,
    )
    assert sorted(p.name for p in folder.iterdir()) == ["index.html", "report.json"]
    assert json.loads((folder / "report.json").read_text()) == summary
    return (folder / "index.html").read_text(encoding="utf-8"), summary


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    html, summary = written(tmp_path_factory.mktemp("report"))
    return html, summary, Page(html)


def test_is_small(report):
    assert len(report[0].encode()) < 5_000_000


def test_same_tables_same_bytes(tmp_path, report):
    html, _ = written(tmp_path)
    assert html == report[0]


def test_names_from_the_log_make_no_elements(report):
    html, _, page = report
    assert page.named("img") == []
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    kinds = [a.get("type") for a in page.named("script")]
    assert kinds.count(None) == 1  # the report's own; Plotly is packed
    assert set(kinds) == {None, "application/octet-stream"}
    assert "<script>alert" not in html
    for name in made["HOSTILE"]:
        assert name in page.text  # and yet they are there to read


def unpacked(page: Page, name: str) -> str:
    """A packed block of the page, as its script unpacks it."""
    text = next(text for attributes, text in page.scripts if attributes.get("id") == f"packed-{name}")
    return gzip.decompress(base64.b64decode(text)).decode()


def test_every_figure_has_its_place_and_its_data(report):
    _, _, page = report
    places = [a["id"] for a in page.named("div") if a.get("class") == "plot"]
    data = json.loads(unpacked(page, "figures"))
    assert set(places) <= {f"figure-{name}" for name in data["figures"]}
    assert len(places) == len(set(places)) > 20
    assert all(set(figure) == {"data", "layout"} for figure in data["figures"].values())
    assert "template" not in str(data["figures"]["plane"]["layout"])
    assert set(data["words"]) == {"ko"}


def test_both_languages_are_in_the_page(report, tmp_path):
    """The other language's page is the one that a run in that language has, but for what tells the run's language."""
    _, _, page = report
    korean = Page(written(tmp_path, language="ko")[0])
    pages, of_korean = (json.loads(unpacked(p, "pages")) for p in (page, korean))
    assert set(pages) == set(of_korean) == set(LANGUAGES)
    config = re.compile(r"<div><dt>experiment\.language</dt>.*?</div>")
    for language in LANGUAGES:
        one, other = (config.sub("", p[language]["body"]) for p in (pages, of_korean))
        assert one == other
    assert pages["ko"]["title"] != pages["en"]["title"]
    figures, words = (json.loads(unpacked(page, "figures"))[key] for key in ("figures", "words"))
    drawn = json.loads(unpacked(korean, "figures"))
    assert figures.keys() == drawn["figures"].keys()
    for name, figure in figures.items():
        for path, value in words["ko"][name]:
            inside = figure
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = value
        assert figure == drawn["figures"][name], name


def test_the_words_of_a_figure_are_all_that_differs():
    def figure(title: str, xs: list[float], text: list[str]) -> go.Figure:
        return go.Figure(go.Scatter(x=xs, y=[1, 2], text=text), layout={"title": {"text": title}})

    data = figure_data({"en": {"a": figure("one", [1, 2], ["x", "y"]), "only": figure("", [1, 2], [])},
                        "ko": {"a": figure("eins", [1, 2, 3], ["x", "z"])}})  # fmt: skip
    assert sorted(data["words"]["ko"]["a"], key=str) == sorted(
        [[["layout", "title", "text"], "eins"], [["data", 0, "x"], [1, 2, 3]], [["data", 0, "text", 1], "z"]], key=str
    )


def test_ids_are_unique_and_links_lead_somewhere(report):
    _, _, page = report
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    links = [a["href"] for a in page.named("a")]
    assert links and all(link.startswith("#") and link[1:] in ids for link in links)


def test_needs_nothing_else(report):
    _, _, page = report
    for tag, attributes in page.elements:
        assert "src" not in attributes and "srcset" not in attributes, tag
        assert attributes.get("href", "#").startswith(("#", "data:"))
    style = page.scripts[0][1]
    assert "url(" not in style and "@import" not in style


def test_policy_allows_these_scripts_only(report):
    _, _, page = report
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "unsafe" not in scripts
    code = [unpacked(page, "plotly"), *(text for a, text in page.scripts[1:] if "type" not in a)]
    digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code}
    assert set(re.findall(r"'sha256-([^']+)'", scripts)) == digests
    assert len(digests) == 2


def test_the_numbers_of_the_summary_are_on_the_page(report):
    _, summary, page = report
    text = re.sub(r"\s+", " ", page.text)
    assert f"{summary['rows']:,}" in text
    for target in summary["targets"].values():
        for model, metric in itertools.product(target["models"], ("ap", "auc", "brier")):
            assert f"{model[metric]:.3f}" in text
    assert f"{summary['segments']['priority']} of {summary['group']['scored']} scored users" in text
    assert "unreliable" in text
    for user in summary["list"]:
        assert user["user_id"] in text


def test_every_metric_stands_in_its_cell(report):
    html, summary, _ = report
    order = ["ap", "auc", "accuracy", "micro_ap", "brier", "ece", "lift_10", "lift_20", "validation_ap"]
    section = re.search(r'<section id="models">.*?</section>', html, re.S)[0]
    tables = re.findall(r'<table class="metrics">.*?</table>', section, re.S)
    for table, about in zip(tables, summary["targets"].values(), strict=True):
        rows = re.findall(r"<tr.*?</tr>", table, re.S)[1:]
        for row, model in zip(rows, about["models"], strict=True):
            assert f"<code>{model['name']}</code>" in row
            assert ("<mark>" in row) is model["used"]
            cells = [float(number) for number in re.findall(r'<td class="n">([\d.]+)', row)]
            assert cells == pytest.approx([model[m] for m in order], abs=0.005)


def test_tables_from_a_run_folder_give_the_same_page(tmp_path, report):
    folder = StageFolder(tmp_path)
    for name, frame in made["tables"]().items():
        folder.write(CONTRACTS[name], frame)
    tables = {name: folder.read(CONTRACTS[name]) for name in made["tables"]()}
    (tmp_path / "report").mkdir()
    html, summary = written(tmp_path / "report", tables)
    assert summary == report[1]
    assert html == report[0]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_each_verdict_has_its_sentence(tmp_path, language):
    tables = slim()
    cases = (("ahead", 0.01, 0.02), ("level", -0.01, 0.02), ("behind", -0.02, -0.01), ("unknown", None, None))
    for outcome, low, high in cases:
        tables["differences"] = tables["differences"].assign(low=low, high=high)
        html, _ = written(tmp_path, tables, language=language)
        start = Texts.load(language).words[f"verdict.learned_{outcome}"].partition("{target}</b>")[2][:4]
        assert f"</b>{start}" in html


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_run_without_sticker(tmp_path, language):
    texts = Texts.load(language)
    html, summary = written(
        tmp_path, made["tables"](sticker=False), ["no_sticker_target"], sticker=False, language=language
    )
    assert texts("notes.no_sticker_target") in html
    assert texts("no_sticker.no_sticker_target") in html
    assert "figure-plane" not in html
    assert summary["targets"]["sticker"] == {}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_nothing_at_all_still_says_why(tmp_path, language):
    texts = Texts.load(language)
    empty = {name: frame.head(0) for name, frame in made["tables"]().items()}
    for tables in ({}, empty):
        html, _ = written(tmp_path, tables, manifest={}, language=language)
        page = Page(html)
        for key in EMPTY_STATES:
            assert re.sub("<.*?>", "", texts.words[key]) in re.sub("<.*?>", "", html), key
        assert not [a for a in page.named("div") if a.get("class") == "plot"]


def slim() -> dict:
    """Tables of few rows and models, for tests that write many reports."""
    tables = made["tables"](users=60)
    tables["shap_sample"] = tables["shap_sample"].groupby(["target", "model", "column"]).head(5)
    tables["surrogates"] = tables["surrogates"][tables["surrogates"]["explained"]]
    tables["seasonality"] = tables["seasonality"].query("series == 'own_events'")
    tables["engagement_paths"] = tables["engagement_paths"].query("user_id == 'user-0'")
    return tables


def test_any_one_table_may_be_absent(tmp_path):
    tables = slim()
    tables |= {"experiments": tables["experiments"].head(2), "selection": tables["selection"].head(9)}
    tables = {n: t[t["target"] == "churn"] if n in PER_TARGET else t for n, t in tables.items()}
    for name in tables:
        written(tmp_path, {k: v for k, v in tables.items() if k != name})


def test_any_one_table_may_lack_sticker(tmp_path):
    tables = slim()
    for name, frame in tables.items():
        if name in PER_TARGET:
            written(tmp_path, tables | {name: frame[frame["target"] == "churn"]})


RULES = [
    ("time", "quantile", "share", 0.1),
    ("user", "value", "value", 0.2),
    ("random", "capacity", "capacity", 50),
]


@pytest.mark.parametrize(("split", "rule", "key", "value"), RULES)
def test_settings(tmp_path, split, rule, key, value):
    tables = slim()
    threshold = {"threshold": rule, key: value}
    tables["threshold"] = tables["threshold"].assign(method=rule, parameter=float(value))
    written(tmp_path, tables, [f"split_{split}", "unknown_code"], split={"kind": split}, segments=threshold)


def test_unscored_users_are_named_with_their_day(tmp_path):
    tables = slim()
    html, summary = written(tmp_path, tables)
    assert f"days up to {summary['group']['anchor_day']}" in html
    html, summary = written(tmp_path, {"unscored": tables["unscored"]})
    assert "37 users could not be scored" in html


def test_notes_are_shown_and_unknown_ones_ignored(tmp_path):
    codes = Texts.load("en").section("notes")
    assert set(codes) == {
        "sticker_never", "sticker_one_class", "no_sticker_target", "sticker_given_stays", "split_user", "split_random",
    }  # fmt: skip
    html, _ = written(tmp_path, notes=[*codes, "never_heard_of"])
    for text in codes.values():
        assert text in html
    assert "never_heard_of" not in html


def test_a_surrogate_without_fidelity_is_not_trusted(tmp_path):
    tables = slim()
    tables["surrogates"] = tables["surrogates"].assign(r2=None, spearman=None, top_decile_overlap=None)
    html, _ = written(tmp_path, tables)
    assert "could not be measured" in html
    assert "repeats it" not in html


def test_case_kinds_and_reasons(tmp_path):
    tables = slim()
    for reason, kind in (("only_days", "day_states"), ("shared_timestamps", "day_states"), ("new_reason", "session")):
        tables["process_summary"] = tables["process_summary"].assign(
            reason=reason, case_kind=kind, discovery="not installed: x"
        )
        tables["directly_follows"] = tables["directly_follows"].head(0)
        html, _ = written(tmp_path, tables)
        assert "tschurn[process]" in html


def test_a_table_that_breaks_its_contract_leaves_no_file(tmp_path):
    tables = made["tables"]()
    tables["metrics"] = tables["metrics"].drop(columns="used")
    with pytest.raises(KeyError):
        build(tables, [], made["experiment"](), {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_packed_cannot_end_its_script(report):
    for attributes, text in report[2].scripts:
        if (attributes.get("id") or "").startswith("packed-"):
            assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)


def test_there_is_no_number_that_json_does_not_know():
    with pytest.raises(ValueError, match="JSON"):
        compact({"a": float("nan")})


WRITTEN = {
    whole: {12345: "12,345", None: "–"},
    score: {0.87149: "0.871", None: "–"},
    times: {2.4: "2.40", None: "–"},
    share: {0.3142: "31.4%", 0.1: "10%", 0.29: "29%", None: "–"},
    signed_share: {0.0123: "+1.2%", -0.5: "−50.0%", None: "–"},
    signed: {0.0123: "+0.012", -0.5: "−0.500", None: "–"},
    small: {0.0421: "0.042", 1e-9: "<0.001", None: "–"},
    brief: {12345.6: "12,346", 0.012345: "0.0123", -2.0: "−2", None: "–"},
}


@pytest.mark.parametrize("write", WRITTEN)
def test_numbers_are_written(write):
    assert {value: write(value) for value in WRITTEN[write]} == WRITTEN[write]
