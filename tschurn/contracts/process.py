"""Tables of what follows what: cases, the directly-follows graph of churned against stayed users, variants, paths.

Groups. The days before `until`, the last one whose outcomes may be looked at, are cut into blocks of `observe_days`
days, counted back from `until` − `outcome_days`; only whole blocks with an own event of the user count. A block is
followed by churn when none of the `outcome_days` days after it has own activity ('churned'), else by activity
('stayed'). A session belongs to the block that its first day lies in. A life in day states is too long for that: each
of its steps belongs to the block that its first day lies in, a step from one state to the next to that of the next,
and where it ends to none. So a user may stand in both groups, with different stretches.
"""

from __future__ import annotations

from tschurn.contracts.table import Table

FOLLOWED_BY = ("churned", "stayed")  # what followed the block of a case or step
PROCESS_GROUPS = ("all", *FOLLOWED_BY)

PROCESS_SUMMARY = Table(
    "process_summary",
    "One row: what a case is. case_kind: 'session' or 'day_states'; reason: 'sessions_ok', 'only_days' or "
    "'shared_timestamps'; shared_share: share of the rows that share their timestamp with another row of their "
    "session; variants, churned_variants, stayed_variants: how many there are; until: the last day whose outcomes were "
    "looked at (null: there are no groups); churned_steps, stayed_steps: steps of each group; path_users_share: share "
    "of the users in the file of the users behind each link of PATHS (null: there is none). discovery: 'pm4py', or why "
    "there is no PROCESS_MODEL; model_steps: steps of whole users that it was learned from; fitness and precision: of "
    "token replay on about a thousand of them (Berti and van der Aalst 2021; Munoz-Gama and Carmona 2010).",
    (),
    {
        "case_kind": "string",
        "reason": "string",
        "shared_share": "float64",
        "cases": "int64",
        "steps": "int64",
        "variants": "int64",
        "churned_variants": "int64",
        "stayed_variants": "int64",
        "churned_steps": "int64",
        "stayed_steps": "int64",
        "until": "date?",
        "observe_days": "int64",
        "outcome_days": "int64",
        "path_users_share": "float64?",
        "discovery": "string",
        "model_steps": "int64?",
        "fitness": "float64?",
        "precision": "float64?",
    },
)
DIRECTLY_FOLLOWS = Table(
    "directly_follows",
    "Directly-follows graph by group ('all', 'churned', 'stayed'): how often `target` comes right after `source` in a "
    "case. Null source: the case starts with target; null target: the case ends with source. cases, users: those "
    "behind it; share: of all that comes after source; median_seconds, p90_seconds: whole seconds from the beginning "
    "of source to that of target which half, and 90 %, do not exceed (null at starts and ends; day states begin at "
    "days, so that theirs are multiples of 86,400). dependency: (n − back) / (n + back + 1), back the number of the "
    "opposite, n / (n + 1) for a step after itself (Weijters and van der Aalst 2003); null at starts and ends.",
    ("group", "source", "target"),
    {
        "group": "string",
        "source": "string?",
        "target": "string?",
        "n": "int64",
        "cases": "int64",
        "users": "int64",
        "share": "float64",
        "median_seconds": "int64?",
        "p90_seconds": "int64?",
        "dependency": "float64?",
    },
)
FOLLOWS_DIFFERENCE = Table(
    "follows_difference",
    "DIRECTLY_FOLLOWS of 'churned' minus 'stayed': share in each, their difference with a 95 % interval whose variance "
    "is that of a ratio of sums over users (linearised; users in both groups with their covariance), and whether it "
    "stands out of noise: Benjamini-Hochberg at 5 % over all rows with an interval. Null where either group has fewer "
    "than 20 users that leave source (churned_users, stayed_users).",
    ("source", "target"),
    {
        "source": "string?",
        "target": "string?",
        "churned_share": "float64",
        "stayed_share": "float64",
        "difference": "float64",
        "low": "float64?",
        "high": "float64?",
        "stands": "bool",
        "churned_users": "int64",
        "stayed_users": "int64",
    },
)
VARIANTS = Table(
    "variants",
    "The most frequent sequences of steps by group; `steps` is a JSON list. cases and share: of the group's cases; of "
    "day states in the groups 'churned' and 'stayed' a case is what begins in a block of a user.",
    ("group", "steps"),
    {"group": "string", "steps": "string", "length": "int64", "cases": "int64", "share": "float64"},
)
PATHS = Table(
    "paths",
    "Main paths for the Sankey: of the cases, how many go from `source` at position `step` to `target` at `step + 1` "
    "(rare names folded into 'other', null target: the case ended). share_of_start: of all cases; share_of_previous: "
    "of those that stand at source in this position; churned_share: of those cases whose group is known, the share "
    "that was followed by churn (null for day states, and where no case has a group).",
    ("step", "source", "target"),
    {
        "step": "int32",
        "source": "string",
        "target": "string?",
        "n": "int64",
        "share_of_start": "float64",
        "share_of_previous": "float64",
        "users": "int64",
        "churned_share": "float64?",
    },
)
PROCESS_MODEL = Table(
    "process_model",
    "A process tree of the cases by the inductive miner (Leemans, Fahland and van der Aalst 2014), top down, node "
    "after node. kind: 'sequence', 'choice', 'parallel', 'loop' (its first child, then the others and it again), "
    "'step' (label: its name) or 'skip' (nothing). depth: 0 is the root.",
    ("node",),
    {"node": "int32", "depth": "int32", "kind": "string", "label": "string?"},
)
