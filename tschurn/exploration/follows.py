"""Steps of cases → the directly-follows graph of all, churned and stayed users, and how the two differ.

Van der Aalst, "Process Mining: Data Science in Action" (2016), chapter 6. Only edges come out of the engine, no steps.
The difference of two shares: each is a ratio of sums over users, Σ x / Σ m, with x the times that a user takes the
edge and m the times that the user leaves its source. Its variance is Σ (x − p m)² / (Σ m)² (Cochran 1977, section
6.4), which needs no independent steps, only independent users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import numpy as np
import pandas as pd

from tschurn.contracts import DIRECTLY_FOLLOWS, FOLLOWED_BY, FOLLOWS_DIFFERENCE, PROCESS_GROUPS

if TYPE_CHECKING:
    from tschurn.exploration.cases import Cases

LEAST_USERS = 20  # that leave a step, in either group, for an interval
Q_LIMIT = 0.05
_START = "\0"  # no name of an event holds it
_Z = 1.959963984540054
_EDGE = ["source", "target"]


def edges(cases: Cases) -> ibis.Table:
    """Cases → one row per step and end: user_id, case, source, target, gap, churned.

    What comes after a step is of the group of the step that comes. Day states end with the log: of no group.
    """
    steps = cases.steps
    into = steps.select("user_id", "case", "gap", "churned", source="previous", target="step")
    last = steps.filter(steps.next.isnull())
    churned = last.churned if cases.kind == "session" else ibis.null("boolean")
    ends = last.select("user_id", "case", gap=ibis.null("int64"), churned=churned, source="step",
                       target=ibis.null("string"))  # fmt: skip
    return ibis.union(into, ends)


def follows(edges: ibis.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Edges → DIRECTLY_FOLLOWS and FOLLOWS_DIFFERENCE."""
    by_user = _by_user(edges)
    counted, leaving = _counted(by_user), _leaving(by_user)
    graph = pd.concat([_graph(counted, _times(edges, group), group) for group in PROCESS_GROUPS], ignore_index=True)
    return graph, difference(counted, leaving)


def _of(edges: ibis.Table, group: str) -> ibis.Table:
    """The rows of a group."""
    return edges if group == "all" else edges.filter(edges.churned == (group == "churned"))


def _by_user(edges: ibis.Table) -> ibis.Table:
    """Edges → per user and edge: n and cases of each group, and of all that the user has after source the same (m)."""
    by_case = edges.group_by("user_id", "case", *_EDGE).agg(
        n_all=edges.count(),
        n_churned=edges.count(where=edges.churned.fill_null(False)),
        n_stayed=edges.count(where=(~edges.churned).fill_null(False)),
    )
    sums = {f"n_{g}": by_case[f"n_{g}"].sum() for g in PROCESS_GROUPS}
    sums |= {f"cases_{g}": by_case.count(where=by_case[f"n_{g}"] > 0) for g in PROCESS_GROUPS}
    by_user = by_case.group_by("user_id", *_EDGE).agg(**sums)
    by_user = by_user.mutate(**{name: by_user[name].cast("int64") for name in sums})
    source = ibis.window(group_by=["user_id", "source"])
    return by_user.mutate(**{f"m_{g}": by_user[f"n_{g}"].sum().over(source).cast("int64") for g in PROCESS_GROUPS})


def _counted(by_user: ibis.Table) -> pd.DataFrame:
    """Per user and edge → per edge: n, cases, users of each group, and the sums that variances are made of."""
    xs, ms = ([by_user[f"{letter}_{g}"] for g in FOLLOWED_BY] for letter in "nm")
    sums = {f"{what}_{g}": by_user[f"{what}_{g}"].sum() for what in ("n", "cases") for g in PROCESS_GROUPS}
    sums |= {f"users_{g}": by_user.count(where=by_user[f"n_{g}"] > 0) for g in PROCESS_GROUPS}
    sums |= {f"x{i}x{j}": (xs[i] * xs[j]).sum() for i, j in ((0, 0), (1, 1), (0, 1))}
    sums |= {f"x{i}m{j}": (xs[i] * ms[j]).sum() for i in (0, 1) for j in (0, 1)}
    return _fetched(by_user.group_by(*_EDGE).agg(**sums))


def _leaving(by_user: ibis.Table) -> pd.DataFrame:
    """Per user and edge → per source: who leaves it, and the sums of the users' numbers of leaving it."""
    users = by_user.group_by("user_id", "source").agg(m0=by_user.n_churned.sum(), m1=by_user.n_stayed.sum())
    m0, m1 = users.m0.cast("int64"), users.m1.cast("int64")
    sums = {"m0": m0.sum(), "m1": m1.sum(), "m0m0": (m0 * m0).sum(), "m1m1": (m1 * m1).sum(), "m0m1": (m0 * m1).sum()}
    sums |= {f"u{i}": users.count(where=m > 0) for i, m in enumerate((m0, m1))}
    return _fetched(users.group_by("source").agg(**sums))


def _times(edges: ibis.Table, group: str) -> pd.DataFrame:
    """Edges → per edge the median and the 90 % quantile of the gaps: the least gap that so many do not exceed.

    Equal gaps are counted before they are put in order, so that the engine never holds all gaps of an edge at once.
    """
    known = _of(edges, group).filter(lambda rows: rows.gap.notnull())
    counts = known.group_by(*_EDGE, "gap").agg(n=known.count())
    edge = ibis.window(group_by=_EDGE)
    until_now = ibis.window(group_by=_EDGE, order_by="gap", preceding=None, following=0)
    ranked = counts.mutate(
        rank=counts.n.sum().over(until_now).cast("int64"), total=counts.n.sum().over(edge).cast("int64")
    )
    return _fetched(
        ranked.group_by(*_EDGE).agg(
            median_seconds=ranked.gap.min(where=ranked.rank * 2 >= ranked.total),
            p90_seconds=ranked.gap.min(where=ranked.rank * 10 >= ranked.total * 9),
        )
    )


def _fetched(table: ibis.Table) -> pd.DataFrame:
    """An aggregate → a frame; source and target as texts or null, all else nullable integers."""
    frame = table.to_pyarrow().to_pandas()
    names = [column for column in _EDGE if column in frame]
    return frame.astype({c: "str" if c in names else "Int64" for c in frame.columns})


def _graph(counted: pd.DataFrame, times: pd.DataFrame, group: str) -> pd.DataFrame:
    """→ the rows of DIRECTLY_FOLLOWS of one group."""
    columns = {f"{what}_{group}": what for what in ("n", "cases", "users")}
    found = counted[[*_EDGE, *columns]].rename(columns=columns)
    found = found[found["n"] > 0].astype(dict.fromkeys(columns.values(), "int64"))
    edges, seconds = _pairs(found), times.set_index(pd.Index(_pairs(times), tupleize_cols=False))
    for name in ("median_seconds", "p90_seconds"):
        found[name] = pd.array([seconds[name].get(edge, pd.NA) for edge in edges], dtype="Int64")
    found["share"] = found["n"] / found.groupby("source", dropna=False)["n"].transform("sum")
    number = dict(zip(edges, found["n"], strict=True))
    back = np.array([number.get(edge[::-1], 0) for edge in edges], dtype=float)
    n, itself = found["n"].to_numpy(float), (found["source"] == found["target"]).to_numpy(bool)
    dependency = np.where(itself, n / (n + 1), (n - back) / (n + back + 1))
    between = (found["source"].notna() & found["target"].notna()).to_numpy(bool)
    found = found.assign(group=group, dependency=np.where(between, dependency, np.nan)).astype({"group": "str"})
    found = found.sort_values(["n", *_EDGE], ascending=[False, True, True], ignore_index=True)
    return found[list(DIRECTLY_FOLLOWS.columns)]


def _pairs(frame: pd.DataFrame) -> list[tuple[str | None, str | None]]:
    """source and target of each row, None where null."""
    return list(zip(*(frame[name].astype(object).where(frame[name].notna(), None) for name in _EDGE), strict=True))


def difference(counted: pd.DataFrame, leaving: pd.DataFrame) -> pd.DataFrame:
    """What `_counted` and `_leaving` found → FOLLOWS_DIFFERENCE, of the edges whose source both groups leave."""
    row = pd.Index(leaving["source"].fillna(_START)).get_indexer(counted["source"].fillna(_START))  # each source once
    both = pd.concat([counted, leaving.drop(columns="source").iloc[row].reset_index(drop=True)], axis=1)
    both = both[(both["m0"] > 0) & (both["m1"] > 0) & (both["n_churned"] + both["n_stayed"] > 0)]
    v = {name: both[name].to_numpy(float) for name in both.columns if name not in _EDGE}
    share = [v[f"n_{g}"] / v[f"m{i}"] for i, g in enumerate(FOLLOWED_BY)]
    own = [
        (v[f"x{i}x{i}"] - 2 * p * v[f"x{i}m{i}"] + p**2 * v[f"m{i}m{i}"]) / v[f"m{i}"] ** 2 for i, p in enumerate(share)
    ]
    shared = (v["x0x1"] - share[1] * v["x0m1"] - share[0] * v["x1m0"] + share[0] * share[1] * v["m0m1"]) / (
        v["m0"] * v["m1"]
    )
    for i, p in enumerate(share):  # where nobody or everybody takes the edge there is no spread to see
        users = v[f"u{i}"]
        agresti = (users * p + 2) / (users + 4)
        own[i] = np.where((p == 0) | (p == 1), agresti * (1 - agresti) / (users + 4), own[i])
    error = np.sqrt(np.maximum(own[0] + own[1] - 2 * shared, 0))
    error[(np.minimum(v["u0"], v["u1"]) < LEAST_USERS) | (error == 0)] = np.nan
    gap = share[0] - share[1]
    found = pd.DataFrame(
        {"source": both["source"], "target": both["target"], "churned_share": share[0], "stayed_share": share[1],
         "difference": gap, "low": np.maximum(gap - _Z * error, -1), "high": np.minimum(gap + _Z * error, 1),
         "stands": _stands(gap / error), "churned_users": both["u0"], "stayed_users": both["u1"]}
    )  # fmt: skip
    found = found.sort_values(["difference", *_EDGE], ascending=[False, True, True], ignore_index=True)
    return found.astype({"churned_users": "int64", "stayed_users": "int64", "stands": "bool"})[
        list(FOLLOWS_DIFFERENCE.columns)
    ]


def _stands(z: np.ndarray) -> np.ndarray:
    """z scores → which of them stand out of noise, by Benjamini and Hochberg (1995); those without one do not."""
    from scipy.stats import false_discovery_control, norm

    known = np.isfinite(z)
    stands = np.zeros(len(z), dtype=bool)
    stands[known] = false_discovery_control(2 * norm.sf(np.abs(z[known]))) <= Q_LIMIT if known.any() else False
    return stands
