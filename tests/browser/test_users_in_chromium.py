"""The users and the slider in Chromium: what is found, sorted, opened and saved is what tables and report.json say."""

from __future__ import annotations

import csv
import io
import json
import re
import runpy
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tschurn.report import build
from tschurn.report.words import Texts, brief, score, share, whole

pytestmark = pytest.mark.browser
REPORT = Path(__file__).parent.parent / "report"
made, people = (runpy.run_path(str(REPORT / f"fixture_{name}.py")) for name in ("tables", "users"))
USABLE = ".explorer:not([hidden]) table.users > tbody > tr"
NAMED = [name for name in people["NASTY"] if len(name) < 100 and name]
IDS = [*NAMED, "LONG " + "x" * 300, *(f"user-{k}" for k in range(520))]
WRITTEN = {"share": share, "brief": brief, "whole": whole}
N_A_PAGE = 25


def backtest() -> dict[str, pd.DataFrame]:
    """BACKTEST of priority, made up, at ten shares of the users."""
    return runpy.run_path(str(REPORT / "test_capacity.py"))["backtest"]()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("users")
    tables = made["tables"]() | people["made_up"](IDS) | backtest()
    build(tables, [], made["experiment"]("en"), made["manifest"](), found)
    return found


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return people["made_up"](IDS)


@pytest.fixture
def seen(visit: Callable[..., Any], folder: Path) -> Iterator[Any]:
    """The opened page, its users there; at the end it has said nothing, asked for nothing and was refused nothing."""
    found = visit(folder / "index.html")
    found.page.locator(USABLE).first.wait_for(timeout=120_000)
    yield found
    assert (found.said, found.asked, found.refused) == ([], [], [])


def names(page: Any) -> list[str]:
    return page.locator("table.users button[data-user]").all_text_contents()


def count(page: Any) -> str:
    return page.locator(".explorer .count").inner_text().replace(",", "")


def switch(page: Any, language: str) -> None:
    page.locator(f'button[data-language="{language}"]').click()
    page.locator(f'html[lang="{language}"]').wait_for(state="attached")
    page.locator(USABLE).first.wait_for()


# --- the slider -----------------------------------------------------------------------------------
def slots(page: Any) -> dict[str, tuple[str, str]]:
    return {
        slot.get_attribute("data-slot"): (slot.get_attribute("data-write"), slot.inner_text())
        for slot in page.locator(".capacity [data-slot]").all()
    }


def implied(capacity: dict[str, Any], path: str, how: str, at: int) -> str:
    values: Any = capacity
    for key in path.split("."):
        values = values[key]
    return WRITTEN[how](values[at])


def test_the_slider_gives_the_numbers_that_report_json_implies(seen, folder):
    capacity = json.loads((folder / "report.json").read_text(encoding="utf-8"))["capacity"]
    page, sizes = seen.page, capacity["sizes"]
    slider, number = page.locator("#capacity-slider"), page.locator("#capacity-number")
    assert int(number.input_value()) == capacity["start"]
    before = {}
    for at in (sizes.index(capacity["start"]), 0, 1, 57, len(sizes) // 2, len(sizes) - 1):
        slider.fill(str(at))
        told = slots(page)
        assert len(told) == 17
        for path, (how, text) in told.items():
            assert text == implied(capacity, path, how, at), (path, sizes[at])
        assert number.input_value() == str(sizes[at])
        assert slider.get_attribute("aria-valuetext") == whole(sizes[at])
        assert told != before
        before = told


def test_a_number_is_typed_and_the_arrows_move_it(seen, folder):
    capacity = json.loads((folder / "report.json").read_text(encoding="utf-8"))["capacity"]
    page, sizes = seen.page, capacity["sizes"]
    number = page.locator("#capacity-number")
    number.fill("42")
    assert slots(page)["churners"][1] == brief(capacity["churners"][41])
    page.locator("#capacity-slider").focus()
    page.keyboard.press("ArrowRight")
    assert slots(page)["sizes"][1] == "43" and number.input_value() == "43"
    for typed, size in (("203", "200"), ("999999", str(sizes[-1]))):  # the nearest that the page holds
        number.fill(typed)
        number.press("Tab")
        assert number.input_value() == size and slots(page)["sizes"][1] == size
    number.fill("0")
    number.press("Tab")
    assert number.input_value() == str(sizes[-1])


def test_the_chosen_point_moves_in_the_figure(seen, folder):
    capacity = json.loads((folder / "report.json").read_text(encoding="utf-8"))["capacity"]
    page = seen.page
    place = page.locator("#figure-capacity")
    place.scroll_into_view_if_needed()
    page.locator("#figure-capacity:has(.main-svg)").wait_for(timeout=60_000)
    points = "(place) => { const last = place.data.at(-1); return [last.x, last.y, place.layout.shapes[0].x0]; }"
    for at in (9, 120):
        page.locator("#capacity-slider").fill(str(at))
        xs, ys, line = place.evaluate(points)
        assert xs == [at + 1] * 3 and line == at + 1
        assert ys == [capacity[name][at] for name in ("recall", "stickers_share", "money_share")]


# --- the table ------------------------------------------------------------------------------------
def test_search_finds_ids_by_any_part_in_any_case(seen):
    page = seen.page
    search = page.locator("#users-search")
    for text in ("SCRIPT>ALERT", "=1", "하나", "USER-31"):
        search.fill(text)
        expected = [name for name in IDS if text.lower() in name.lower()]
        assert names(page) == expected[:N_A_PAGE]
        assert count(page).startswith(f"{len(expected)} users fit")
    search.fill("nobody of this name")
    assert names(page) == [] and "No user fits" in count(page) and f"{len(IDS)} of {len(IDS)}" in count(page)
    page.locator("[data-clear]").click()
    assert names(page) == IDS[:N_A_PAGE] and search.input_value() == ""


@pytest.mark.parametrize("column", ["rank", "id", "p_churn", "priority", "value_28", "recency", "reason"])
def test_heads_sort_either_way_and_say_so(seen, tables, column):
    page = seen.page
    head = page.locator(f'[data-sort="{column}"]')
    frame = tables["priority"].merge(tables["money"][["user_id", "recency", "value_28"]], on="user_id")
    reasons = tables["reasons"]
    firsts = reasons[(reasons["target"] == "churn") & (reasons["rank"] == 1)].set_index("user_id")["sentence_en"]
    known = {"reason": frame["user_id"].map(firsts)}.get(column)
    for _ in range(2):
        head.click()
        direction = page.locator("th", has=head).get_attribute("aria-sort")
        assert page.locator("th[aria-sort]").count() == 1 and direction in ("ascending", "descending")
        if column == "id":
            shown = [n for n in names(page) if n.startswith("user-")]
            numbers = [int(n[5:]) for n in shown]
            assert numbers == sorted(numbers, reverse=direction == "descending")
            continue
        if column == "reason":
            texts = page.locator("table.users td.reasons").all_text_contents()
            assert "–" not in texts and set(texts) <= set(known.dropna())  # without any: at the end, either way
            continue
        ordered = frame.sort_values(column, ascending=direction == "ascending", kind="stable")
        assert names(page) == ordered["user_id"].head(N_A_PAGE).tolist()


def test_filters_by_segment_reason_and_capacity_hold_together(seen, tables):
    page, reasons = seen.page, tables["reasons"]
    page.locator("#users-segment").select_option("favourites")
    of_segment = tables["priority"].query("segment == 'favourites'")["user_id"].tolist()
    assert names(page) == of_segment[:N_A_PAGE] and count(page).startswith(f"{len(of_segment)} users")
    options = page.locator("#users-reason option").all_text_contents()[1:]
    counts = reasons.groupby("feature")["user_id"].nunique()
    labels = dict(zip(tables["features"]["feature"], tables["features"]["label_en"], strict=True)) | {"f3": "f3"}
    assert sorted(options) == sorted(f"{labels[f]} ({n})" for f, n in counts.items())
    assert [int(re.findall(r"\((\d+)\)$", o)[0]) for o in options] == sorted(counts, reverse=True)
    page.locator("#users-reason").select_option("f1")
    with_reason = set(reasons[reasons["feature"] == "f1"]["user_id"])
    both = [user for user in of_segment if user in with_reason]
    assert names(page) == both[:N_A_PAGE]
    page.locator("#capacity-number").fill("40")
    page.locator("#users-called").check()
    free = tables["list"][~(tables["list"]["holdout"] | tables["list"]["resting"])]["user_id"].tolist()
    assert names(page) == [user for user in both if user in free[:40]]
    page.locator("#capacity-number").fill("150")  # moves what is shown
    assert names(page) == [user for user in both if user in free[:150]][:N_A_PAGE]
    assert "150" in page.locator("label.tick").inner_text()


def test_pages_turn_and_end(seen):
    page = seen.page
    forth, back = page.locator('[data-page="1"]'), page.locator('[data-page="-1"]')
    assert back.is_disabled() and names(page) == IDS[:25]
    forth.click()
    assert names(page) == IDS[25:50] and back.is_enabled() and "26 to 50" in count(page)
    while forth.is_enabled():
        forth.click()
    assert names(page) == IDS[-(len(IDS) % 25 or 25) :]
    back.click()
    assert len(names(page)) == 25


# --- one user -------------------------------------------------------------------------------------
def opened(page: Any, user: str) -> Any:
    page.locator("#users-search").fill(user)
    button = page.get_by_role("button", name=user, exact=True)
    button.focus(timeout=5_000)
    page.keyboard.press("Enter")
    page.locator("#figure-user-timeline:has(.main-svg)").wait_for(timeout=60_000)
    return button


def test_a_user_opens_by_key_with_reasons_days_and_timeline(seen, tables):
    page, user = seen.page, "user-30"
    place = IDS.index(user)
    button = opened(page, user)
    assert button.get_attribute("aria-expanded") == "true"
    for target in ("churn", "sticker"):
        told = tables["reasons"].query("target == @target and user_id == @user").sort_values("rank")
        items = page.locator(f'.details [data-why="{target}"] .reasons li').all_text_contents()
        assert len(items) == 3
        for item, row in zip(items, told.itertuples(), strict=True):
            assert item.startswith(row.sentence_en) and f"+{row.contribution:.3g}"[:4] in item
    figure = page.locator("#figure-user-timeline")
    by_meta = figure.evaluate("(p) => Object.fromEntries(p.data.map((t) => [t.meta, {x: [...t.x], y: [...t.y]}]))")
    first = people["DAY"] - pd.Timedelta(days=55)
    own = tables["user_days"].query("user_id == @user").set_index("day")["own"]
    days = [first + pd.Timedelta(days=k) for k in range(56)]
    assert by_meta["own"]["y"] == [int(own.get(day, 0)) for day in days]
    past = tables["predictions"].query("user_id == @user and target == 'churn'").sort_values("anchor_day")
    past = past[past["anchor_day"] >= first]
    known = [(x, y) for x, y in zip(by_meta["churn"]["x"], by_meta["churn"]["y"], strict=True) if y is not None]
    assert [x for x, _ in known] == [str(day) for day in past["anchor_day"]]
    assert [y for _, y in known] == pytest.approx(past["p"].tolist(), abs=6e-4)
    p = tables["priority"]["p_churn"][place]
    assert (
        by_meta["churn-now"]["y"] == [pytest.approx(p, rel=1e-3)]
        and score(p) in page.locator(USABLE).first.inner_text()
    )
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "false" and page.locator(".details").count() == 0


def test_who_was_explained_by_days_has_bars(seen):
    page = seen.page
    opened(page, IDS[0])
    assert page.locator(".details .days:not([hidden])").count() == 2
    rows = page.locator('.details [data-why="churn"] .days tr')
    assert [row.split("\n")[0].split("\t")[0] for row in rows.all_inner_texts()] == ["before day", "-1 day", "0 day"]
    opened(page, "user-40")
    assert page.locator(".details .days:not([hidden])").count() == 0


def test_held_out_users_are_marked(seen, tables):
    page = seen.page
    texts = Texts.load("en")
    held = tables["list"].query("holdout")["user_id"].iloc[3]
    page.locator("#users-search").fill(held)
    assert str(texts("group.holdout")) in page.locator("table.users mark").first.inner_text()


def test_hostile_ids_are_text(seen):
    page = seen.page
    for name in NAMED:
        opened(page, name)
    assert page.locator("#users :is(script, img, iframe)").count() == 0
    assert page.title() == "Retention report: made up"


# --- the language, the file, the phone ------------------------------------------------------------
def test_a_change_of_language_keeps_what_was_chosen(seen, tables):
    page = seen.page
    page.locator("#capacity-number").fill("77")
    rest = set(tables["priority"].query("segment == 'rest'")["user_id"])
    user = next(user for user in tables["reasons"].query("feature == 'f2'")["user_id"] if user in rest)
    page.locator("#users-segment").select_option("rest")
    page.locator("#users-reason").select_option("f2")
    page.locator('[data-sort="p_churn"]').click()
    opened(page, user)
    users = names(page)
    switch(page, "ko")
    assert page.locator("#capacity-number").input_value() == "77" and slots(page)["sizes"][1] == "77"
    assert page.locator("#users-segment").input_value() == "rest"
    assert page.locator("#users-search").input_value() == user
    assert page.locator("#users-reason").input_value() == "f2"
    assert names(page) == users
    assert page.locator('[aria-sort="descending"] [data-sort="p_churn"]').count() == 1
    assert page.locator('button[aria-expanded="true"]').all_text_contents() == [user]
    assert page.locator(".explorer .count").inner_text().endswith("보입니다.")
    options = page.locator("#users-reason option").all_text_contents()
    assert any(option.startswith("이름 2") for option in options)
    place = page.locator("#figure-capacity")
    place.scroll_into_view_if_needed()
    page.locator("#figure-capacity:has(.main-svg)").wait_for(timeout=60_000)
    assert place.evaluate("(p) => p.data.at(-1).x[0]") == 77


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_file_holds_the_users_that_fit_in_their_order(seen, tables, language):
    page, texts = seen.page, Texts.load(language)
    switch(page, language) if language == "ko" else None
    page.locator("#users-segment").select_option("priority")
    page.locator('[data-sort="p_churn"]').click()
    with page.expect_download() as waiting:
        page.locator("[data-save]").click()
    raw = Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename == "users.csv" and raw.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    assert head[:3] == [str(texts(f"columns.{name}")) for name in ("user", "rank", "segment")]
    assert head[3] == str(texts("columns.p_churn")) and len(set(head)) == len(head) == 21
    frame = tables["priority"].query("segment == 'priority'").sort_values("p_churn", ascending=False, kind="stable")
    assert len(rows) == len(frame)
    for row, user in zip(rows, frame.itertuples(), strict=True):
        formula = user.user_id[:1] in "=-+@"
        assert row[0] == ("'" if formula else "") + user.user_id
        assert row[2] == str(texts.name("segments", "priority"))
        assert float(row[3]) == pytest.approx(user.p_churn, rel=1e-3)
        told = tables["reasons"].query("target == 'sticker' and user_id == @user.user_id").sort_values("rank")
        assert row[-3:] == (told[f"sentence_{language}"].tolist() or ["", "", ""])


def test_a_phone_never_scrolls_sideways(visit, folder):
    found = visit(folder / "index.html", width=390)
    page = found.page
    page.locator(USABLE).first.wait_for(timeout=120_000)
    for user in ("LONG " + "x" * 300, "user-30"):
        opened(page, user)
        wide, seen = found.widths()
        assert (wide, seen) == (390, 390)
        box = page.locator(".details").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert (found.said, found.asked, found.refused) == ([], [], [])


def test_dark_colours_reach_the_opened_user_and_keep_the_chosen_size(seen):
    page = seen.page
    page.locator("#capacity-number").fill("33")
    opened(page, "user-5")
    colours = "(p) => p.data.map((t) => t.marker.color)"
    light = page.locator("#figure-user-timeline").evaluate(colours)
    page.locator("#figure-capacity").scroll_into_view_if_needed()
    page.locator("#figure-capacity:has(.main-svg)").wait_for(timeout=60_000)
    page.locator("[data-theme-switch]").click()
    page.wait_for_timeout(1500)
    dark = page.locator("#figure-user-timeline").evaluate(colours)
    assert len(light) == len(dark) and not set(light) & set(dark)
    assert page.locator("#figure-capacity").evaluate("(p) => p.data.at(-1).x[0]") == 33


def test_tab_goes_through_the_controls_in_their_order(seen):
    page = seen.page
    page.locator("#users-search").focus()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className || 'button'"))
    assert reached[:3] == ["users-segment", "users-reason", "users-called"]
    assert all(a != b or a == "button" for a, b in pairwise(reached))
