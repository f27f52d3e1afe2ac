"""DAILY, USER_DAYS and SUPPORTERS → the daily panel [users × days × features], written block of users by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tschurn.features.daily import OTHER

BLOCK_BYTES = 8 << 20  # of the panel that are in memory at a time


def user_blocks(users: int, days: int, features: int) -> list[slice]:
    """→ consecutive users, as many at a time as BLOCK_BYTES hold."""
    size = max(1, BLOCK_BYTES // (4 * max(1, days * features)))
    return [slice(start, min(start + size, users)) for start in range(0, users, size)]


class PanelFile:
    """A .npy file [users × days × features] float32 that is written block by block, in the order of the users.

    What is written is not kept in memory, as it would be with a memory map.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._file = path.open("wb")
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, block: np.ndarray) -> None:
        np.ascontiguousarray(block, dtype="<f4").tofile(self._file)

    def close(self) -> None:
        self._file.close()


class DailyBlocks:
    """DAILY and the people of USER_DAYS → the panel's columns from them, for some users at a time."""

    def __init__(
        self, acts: ir.Table, user_days: pd.DataFrame, features: pd.DataFrame, users: pd.Index, first: pd.Timestamp,
        days: int,
    ) -> None:  # fmt: skip
        self._acts, self._users, self._first, self._days, self._features = acts, users, first, days, features
        keys = zip(*(features[c] for c in ("side", "event_name", "measure")), strict=True)
        self._place = {key: i for i, key in enumerate(keys)}
        self._user_days = user_days
        self._user = users.get_indexer(user_days["user_id"])

    def block(self, users: slice) -> np.ndarray:
        """→ [users of the block × days × features], zeros where nothing happened."""
        panel = np.zeros((users.stop - users.start, self._days, len(self._features)), dtype=np.float32)
        ids = self._users[users]
        acts = self._acts
        if len(ids) < len(self._users):
            acts = acts.filter(acts.user_id >= ids[0], acts.user_id <= ids[-1])
        rows = acts.select("user_id", "day", "side", "event_name", "n", "value").to_pyarrow()
        user = ids.get_indexer(rows["user_id"].to_pandas())
        day = self._day(pc.cast(rows["day"], pa.int32()).to_numpy())
        own, slots = self._slots(rows)
        for measure, column in (("count", "n"), ("value", "value")):
            values, slot = rows[column].to_numpy(), slots[measure]
            alone = own & (slot >= 0)
            panel[user[alone], day[alone], slot[alone]] = values[alone]
            folded = ~own & (slot >= 0)  # several events of a day come together in `other`
            np.add.at(panel, (user[folded], day[folded], slot[folded]), values[folded])
        here = (self._user >= users.start) & (self._user < users.stop)
        people = self._user_days[here]
        user = self._user[here] - users.start
        day = self._day(people["day"].to_numpy().astype("datetime64[D]").astype(np.int64))
        for name, slot in self._people_slots():
            panel[user, day, slot] = people[name].to_numpy()
        return panel

    def _day(self, since_1970: np.ndarray) -> np.ndarray:
        return since_1970 - (self._first - pd.Timestamp(0)).days

    def _slots(self, rows: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Whether the event of a row has features of its own; the panel columns of count and value, -1 for none."""
        side, event = (rows[c].combine_chunks().dictionary_encode() for c in ("side", "event_name"))
        pairs = [(s, e) for s in side.dictionary.to_pylist() for e in event.dictionary.to_pylist()]
        pair = side.indices.to_numpy().astype(np.int64) * len(event.dictionary) + event.indices.to_numpy()
        own = np.array([(s, e, "count") in self._place and e != OTHER for s, e in pairs], dtype=bool)
        slots = {
            measure: np.array(
                [self._place.get((s, e if known else OTHER, measure), -1)
                 for (s, e), known in zip(pairs, own, strict=True)], np.int64,
            )[pair]
            for measure in ("count", "value")
        }  # fmt: skip
        return own[pair], slots

    def _people_slots(self) -> Iterator[tuple[str, int]]:
        """Columns of people in USER_DAYS and their place in the panel."""
        actors = self._features["measure"] == "actors"
        for k, slot in enumerate(np.flatnonzero(actors & self._features["event_name"].notna())):
            yield f"actors_{k}", int(slot)
        for slot in np.flatnonzero(actors & self._features["event_name"].isna()):
            yield "actors", int(slot)


def people_events(features: pd.DataFrame) -> list[str] | None:
    """FEATURES of the panel → the received events for which people are counted, `other` last; None for none."""
    counted = features[(features["measure"] == "actors") & features["event_name"].notna()]
    names = counted["event_name"].tolist()
    return names if not names or names[-1] == OTHER else [*names, OTHER]
