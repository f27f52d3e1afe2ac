"""the stage: EVENT_LOG and DAILY → windows, a block of users at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from tschurn import blocks
from tschurn.config import Experiment
from tschurn.contracts import SUPPORTERS, Progress
from tschurn.errors import LogError
from tschurn.features import daily as d
from tschurn.features import facts, index, labels, splits, supporters
from tschurn.features import history as h
from tschurn.features.money import money
from tschurn.features.panel import DailyBlocks, PanelFile, people_events, user_blocks
from tschurn.features.people import with_people
from tschurn.runs import parquet_writer

MOST_CELLS = 20_000_000_000  # of a panel: more is a mistake in the log's first or last day
_STEPS = 6
_DENSE_CELLS = 4_000_000  # users times days for which supporters are held at a time


@dataclass(frozen=True)
class Supporting:
    """Supporters of some users: what sums over days, and what holds at a day, [users × days × columns] each."""

    daily: np.ndarray
    levels: np.ndarray


class Builder:
    """One build of the windows; each method is one step of `build`."""

    def __init__(
        self, event_log: ir.Table, acts: ir.Table, known: Mapping[str, pd.DataFrame], experiment: Experiment,
        folder: Path, progress: Progress,
    ) -> None:  # fmt: skip
        self.event_log, self.acts, self.known, self.experiment = event_log, acts, known, experiment
        self.folder, self.progress = folder, progress
        summary = known["log_summary"].iloc[0]
        self.first, self.days = pd.Timestamp(summary["first_day"]), int(summary["days"])
        self.rows = int(summary["rows"])
        self.has_sticker = experiment.targets.sticker is not None
        self.has_history = experiment.features.history == "full"
        self.has_hours = not bool(summary["only_days"])
        self.settings = settings_of(experiment)

    def build(self) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
        """→ the tables of `build_windows` by name, and history."""
        self._daily_tables()
        self._people()
        acts = labels.activity(self.user_days, self.users, self.first, self.days)
        self._progress(4, "labels")
        found, exclusions = index.windows(
            acts, self.users, self.first, self._outages(), self.experiment, self._contacts()
        )
        index.refuse_poor_churn(found, acts, self.experiment)
        history = self._blocks(acts, found)
        for name in ("active", "stickers", "sticker_value", "first_hour", "last_hour"):
            np.save(self.folder / f"{name}.npy", getattr(acts, name), allow_pickle=False)
        self._progress(_STEPS, "")
        observe = self.experiment.windows.observe_days
        return {
            "features": self.features,
            "windows": found,
            "money": money(acts, found, self.experiment.windows, self.has_sticker),
            "unscored": index.unscored(found, acts, self.users, self.first, observe, int(found["anchor"].max())),
            "exclusions": exclusions,
            "vocabulary": self.words,
            "user_days": self.user_days,
        }, history

    def _daily_tables(self) -> None:
        """DAILY → VOCABULARY, the panel's features, and USER_DAYS but for the people."""
        shape, sticker = self.experiment.windows, self.experiment.targets.sticker
        self.training_days = splits.training_days(self.days, shape, self.experiment.split)
        self._progress(1, "daily table")
        self.words = d.vocabulary(
            self.acts, self.first + pd.Timedelta(days=self.training_days - 1), self.experiment.features.max_events,
            {(sticker.side, e) for e in sticker.events} if sticker else set(),
        )  # fmt: skip
        table = d.user_days(self.acts, self.experiment.targets).to_pyarrow()
        # column by column, each given up once it is a frame's: a long log's days are the largest table there is
        self.user_days = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
        del table
        self.users = pd.Index(self.user_days["user_id"].unique())
        self.panel_features = d.daily_features(self.words, self.experiment.features.actors)
        cells = len(self.users) * self.days * len(self.panel_features)
        if cells > MOST_CELLS:
            raise LogError(
                f"{len(self.users):,} users on {self.days:,} days (from {self.first.date()} on) with "
                f"{len(self.panel_features)} daily features are more than fit on a machine; if the first or last "
                "timestamps are wrong, set `since` and `until` under [log]"
            )

    def _people(self) -> None:
        """EVENT_LOG → how many people acted towards each user each day; joins USER_DAYS."""
        self._progress(2, "people")
        days = self.known["platform_days"]
        cut = blocks.cut(pd.to_datetime(days["day"]).dt.date.tolist(), days["rows"].tolist())
        names = people_events(self.panel_features)
        self.user_days = with_people(self.user_days, self.users, self.event_log, cut, names)

    def _outages(self) -> list[int]:
        """Days on which the whole platform's log fails, where windows must not touch them."""
        if not self.experiment.windows.skip_outages:
            return []
        days = self.known["platform_days"]
        flagged = pd.to_datetime(days.loc[days["flag"].notna(), "day"])
        return ((flagged - self.first).dt.days).tolist()

    def _contacts(self) -> pd.DataFrame | None:
        """CONTACTS, where windows with a contact must not be learned from."""
        asked = self.experiment.contacts
        return self.known.get("contacts") if asked is not None and not asked.include else None

    def _blocks(self, acts: labels.Activity, found: pd.DataFrame) -> np.ndarray:
        """Panel (to its file) and history, block of users by block; → history [windows × features]."""
        own_features = self.panel_features
        daily_supporters = supporters.daily_columns(self.settings)
        self.panel_features = pd.concat([own_features, daily_supporters], ignore_index=True)
        shape = (len(self.users), self.days, len(self.panel_features))
        fact_rows, fact_values = self._facts(acts)
        history_rows = pd.DataFrame()
        if self.has_history:
            history_rows = pd.concat(
                [h.history_features(self.panel_features, self.has_sticker, self.has_hours),
                 supporters.level_columns(self.settings), fact_rows], ignore_index=True,
            )  # fmt: skip
        self.features = pd.concat([self.panel_features, history_rows], ignore_index=True)
        history = np.zeros((len(found), len(history_rows)), dtype=np.float32)
        source = DailyBlocks(self.acts, self.user_days, own_features, self.users, self.first, self.days)
        user, anchor = found["user"].to_numpy(), found["anchor"].to_numpy()
        file = PanelFile(self.folder / "panel.npy", shape)
        level_file = PanelFile(self.folder / "levels.npy", (*shape[:2], len(self.settings.levels)))
        for block, dense in self._with_supporters(user_blocks(*shape)):
            self._progress(4 + block.stop / len(self.users), "panel and history")
            panel = source.block(block)
            if dense is not None:
                panel = np.concatenate([panel, dense.daily], axis=2)
            file.append(panel)
            level_file.append(np.zeros((len(panel), self.days, 0)) if dense is None else dense.levels)
            if self.has_history:
                rows = np.flatnonzero((user >= block.start) & (user < block.stop))
                if not len(rows):
                    continue
                values = self._history(panel, acts.of(block), dense, user[rows] - block.start, anchor[rows])
                history[rows] = np.concatenate([values, fact_values[user[rows]]], axis=1)
        file.close()
        level_file.close()
        return history

    def _history(
        self, panel: np.ndarray, acts: labels.Activity, dense: Supporting | None, user: np.ndarray,
        anchor: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """→ [windows of the block × history features but for facts]."""
        anchors = np.unique(anchor)
        columns = len(h.history_features(self.panel_features, self.has_sticker, self.has_hours))
        result = np.empty((len(user), columns), dtype=np.float32)
        measured = h.at_anchors(panel, acts, anchors, self.first.day_of_week, self.has_sticker, self.has_hours)
        for a, values in zip(anchors, measured, strict=True):
            here = anchor == a
            result[here] = values[user[here]]
        return result if dense is None else np.concatenate([result, dense.levels[user, anchor]], axis=1)

    def _with_supporters(self, panels: list[slice]) -> Iterator[tuple[slice, Supporting | None]]:
        """Blocks of the panel, each with its supporters; as few passes over the log as rows and memory allow."""
        if not self.settings.counts:
            yield from ((block, None) for block in panels)
            return
        cells = len(self.users) * self.days
        passes = max(1, -(-self.rows // blocks.BLOCK_ROWS), -(-cells // _DENSE_CELLS))
        size = -(-len(self.users) // passes)
        with ExitStack() as files:
            writer = None
            for start in range(0, len(self.users), size):
                part = slice(start, min(start + size, len(self.users)))
                dense = supporters.compute(
                    self._log_of(part), self.settings, self.users[part], self.first.date(), self.days
                )
                table = SUPPORTERS.check(dense.frame())
                path = self.folder / f"{SUPPORTERS.name}.parquet"
                writer = writer or files.enter_context(parquet_writer(path, table.schema))
                writer.write_table(table)
                daily, levels = dense.daily, dense.levels
                for block in user_blocks(part.stop - start, self.days, len(self.panel_features)):
                    yield slice(start + block.start, start + block.stop), Supporting(daily[block], levels[block])

    def _log_of(self, users: slice) -> ir.Table:
        """EVENT_LOG of some of the users; itself where that is all of them."""
        if users == slice(0, len(self.users)):
            return self.event_log
        return blocks.of_users(self.event_log, self.users[users])

    def _facts(self, acts: labels.Activity) -> tuple[pd.DataFrame, np.ndarray]:
        learned = acts.active[:, : self.training_days].any(axis=1)
        return facts.encode(self.known["facts"], self.users, learned)

    def _progress(self, step: float, note: str) -> None:
        self.progress("windows", step, _STEPS, note)


def settings_of(experiment: Experiment) -> supporters.Settings:
    log, sticker, features = experiment.log, experiment.targets.sticker, experiment.features
    return supporters.Settings(
        supporter_events=log.supporter_events,
        sticker_events=sticker.events if sticker and sticker.side == "received" else (),
        post_events=log.post_events,
        reply_events=log.reply_events,
        quiet_days=features.quiet_days,
        regular_days=features.regular_days,
    )
