"""Event log → which blocks of a user's days were followed by churn, which by activity: the groups of contracts.process.

Blocks are numbered from the newest, 0, backwards. Nothing after `until` is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis

from tschurn.exploration.lifecycle import day_number, is_activity, is_own, number_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from tschurn.config import ChurnTarget


@dataclass(frozen=True)
class Blocks:
    """Blocks of `observe_days` days, counted back so that the `outcome_days` after the newest end at `until`.

    first_day: that of the log; a block that would begin before it is none. until None: there are no blocks.
    """

    first_day: date
    until: date | None
    observe_days: int
    outcome_days: int

    @property
    def end(self) -> int:
        """The last day of block 0, in days since 1970."""
        return number_of(self.until or self.first_day) - self.outcome_days

    @property
    def count(self) -> int:
        """How many whole blocks there are."""
        if self.until is None:
            return 0
        return max(0, (self.end - number_of(self.first_day) + 1) // self.observe_days)

    def of(self, day: ir.IntegerValue) -> ir.IntegerValue:
        """Days since 1970 → number of the block, null where there is none."""
        back = self.end - day
        inside = (back >= 0) & (back < self.count * self.observe_days)
        return ibis.ifelse(inside, ibis.ifelse(inside, back, 0) // self.observe_days, ibis.null("int64")).cast("int64")


def followed_by(event_log: ibis.Table, blocks: Blocks, churn: ChurnTarget) -> ibis.Table:
    """EVENT_LOG → user_id, block, churned (boolean): every block with an own event of the user."""
    own = event_log.filter(is_own(event_log))
    if blocks.until is not None:
        own = own.filter(own.day <= blocks.until)
    days = own.group_by("user_id", day=day_number(own.day)).agg(active=is_activity(own, churn).max())
    seen = days.mutate(block=blocks.of(days.day))
    seen = seen.filter(seen.block.notnull()).select("user_id", "block").distinct()
    active = days.filter(days.active)
    went_on = ibis.union(*(_outcomes(active, blocks, k) for k in range(_reach(blocks)))).distinct()
    went_on = went_on.select("block", user="user_id", back=ibis.literal(True))
    joined = seen.left_join(went_on, (seen.user_id == went_on.user) & (seen.block == went_on.block))
    return joined.select(user_id=seen.user_id, block=seen.block, churned=went_on.back.isnull())


def _reach(blocks: Blocks) -> int:
    """How many blocks one day can be in the outcome of."""
    return math.ceil(blocks.outcome_days / blocks.observe_days)


def _outcomes(active: ibis.Table, blocks: Blocks, k: int) -> ibis.Table:
    """Own-active days → user_id and the k-th newest block that ends before the day, if its outcome holds the day."""
    shift = _reach(blocks)  # keeps what is divided above zero, where all engines round alike
    back = blocks.end - active.day + shift * blocks.observe_days
    block = (back // blocks.observe_days).cast("int64") + 1 + k - shift
    later = active.select("user_id", "day", block=block)
    last_day = blocks.end - later.block * blocks.observe_days
    held = (later.block >= 0) & (later.day > last_day) & (later.day <= last_day + blocks.outcome_days)
    return later.filter(held).select("user_id", "block")
