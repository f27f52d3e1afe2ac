"""settings → what is different on the platform from a day on: a planted change that drift must catch.

It is a law of the world as the holidays are, so the truth knows it: p_churn_true and p_sticker_true are right before
it, across it and after it. Whoever watches a log knows nothing of it until its day.

    tired_creators    engagement falls, everybody's alike: more churn than the features tell
    bored_fans        fewer stickers from the same fans: activity goes on as before
    fickle_creators   what tells creators apart, traits, habits and what happened to them, counts for less: who
                      stays is a matter of luck, and a ranking learned before loses its worth
    renamed_event     the tracker gives an event another name; nobody behaves differently
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tschurn.config import Simulation
from tschurn.simulator.population import BURN_IN

TIRED = -2.5  # log-odds of an act at full strength
RENAMED, NEW_NAME = "post", "story"  # own rows


@dataclass(frozen=True)
class Change:
    """engagement: added to the log-odds of an act. alike: what is left of the differences between creators, 1 being
    all. stickers: factor of their rate. All are [days, BURN_IN days before the log on]. renamed: the share of the
    rows of RENAMED that have NEW_NAME, from position `day` on.
    """

    day: int
    engagement: np.ndarray
    alike: np.ndarray
    stickers: np.ndarray
    renamed: float


def planned(settings: Simulation, ahead: int) -> Change | None:
    """settings → Change up to `ahead` days after the log, where there is one."""
    if settings.change is None or settings.change_day is None:
        return None
    day, strength = BURN_IN + settings.change_day, settings.change_strength
    since = np.arange(BURN_IN + settings.days + ahead) >= day

    def by(change: str, effect: float) -> np.ndarray:
        return np.where(since & (settings.change == change), effect, 0.0)

    return Change(
        day=day,
        engagement=by("tired_creators", TIRED * strength),
        alike=1 - by("fickle_creators", strength),
        stickers=1 - by("bored_fans", strength),
        renamed=strength if settings.change == "renamed_event" else 0.0,
    )
