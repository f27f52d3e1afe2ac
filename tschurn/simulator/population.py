"""settings → who lives on the platform: creators with their traits, and the calendar that all of them share.

Days are positions, BURN_IN days before the first day of the log; arrays over days are [days × creators].
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from tschurn.config import Simulation

BURN_IN = 28  # days that are lived, but not logged, so that nobody starts from a blank state
NEVER = 10**6
SILENT_SHARE = 0.04  # of the listed creators: they never act
OLD_SHARE = 0.62  # of the others were there before the log
PRICED_SHARE, LEAVING_SHARE = 0.35, 0.4
GROWTH = 1.5  # newcomers on the last day for each on the first
PRICE_DAY, CAMPAIGN_DAY, OUTAGE_DAY = 0.25, 0.68, 0.83  # as shares of the log
CAMPAIGN_DAYS = 7
LEAVES = (0.16, 0.5, 0.8)  # when leaves begin, as shares of the log; give or take LEAVE_JITTER days
LEAVE_JITTER, LEAVE_DAYS, LEAVE_CHANCE = 5, (14, 22), 0.8  # from 14 up to 21 days
NOTICE_DAYS = 6  # a leave is announced that many days ahead
BURST_HAZARD, BURST_DAYS = 1 / 30, 5
HOLIDAY_DROP, WEEKEND_RISE = -0.5, 0.35
# Lunar New Year's Day (Seollal) of the years around the founding project's; the holiday is the day
# before it to the day after next.
SEOLLAL = (
    date(2020, 1, 25), date(2021, 2, 12), date(2022, 2, 1), date(2023, 1, 22), date(2024, 2, 10),
    date(2025, 1, 29), date(2026, 2, 17), date(2027, 2, 7), date(2028, 1, 27), date(2029, 2, 13), date(2030, 2, 3),
)  # fmt: skip


@dataclass(frozen=True)
class People:
    """The listed creators, [creators] each.

    joined: day of the first act (NEVER: none). base: log-odds of an act on a day when nothing moves
    them, before the common intercept. weekend: how much of the weekend's rise is theirs. priced: in
    the group that the price change hits. loyal: loyal supporters, in effect. audience, talk: how much
    the fans and they themselves do on an active day, 1 being usual.
    """

    user_id: np.ndarray
    joined: np.ndarray
    base: np.ndarray
    weekend: np.ndarray
    priced: np.ndarray
    loyal: np.ndarray
    audience: np.ndarray
    talk: np.ndarray

    def __len__(self) -> int:
        return len(self.user_id)


@dataclass(frozen=True)
class Calendar:
    """What is fixed in advance. Over days: season (log-odds, all creators), weekend, campaign; over days and
    creators: away (on leave), notice (a leave is announced), burst (a week of much work). price_day,
    outage_day: positions."""

    season: np.ndarray
    weekend: np.ndarray
    campaign: np.ndarray
    away: np.ndarray
    notice: np.ndarray
    burst: np.ndarray
    price_day: int
    outage_day: int


def people(settings: Simulation) -> People:
    """settings → People, the same for the same seed."""
    random = np.random.default_rng([settings.seed, 1])
    n = settings.creators
    first, last = BURN_IN, BURN_IN + settings.days - 1
    density = np.linspace(1.0, GROWTH, settings.days)
    newcomer = random.choice(np.arange(first, last + 1), n, p=density / density.sum())
    kind = random.random(n)
    joined = np.where(kind < OLD_SHARE, -1, newcomer)
    joined[random.permutation(n)[: round(SILENT_SHARE * n)]] = NEVER
    return People(
        user_id=random.permutation(n) + 1,
        joined=joined,
        base=random.normal(0.0, 0.9, n),
        weekend=random.uniform(0.0, 2.0, n),
        priced=random.random(n) < PRICED_SHARE,
        loyal=random.lognormal(-0.5, 1.0, n),
        audience=random.lognormal(-0.8, 1.25, n),
        talk=random.lognormal(-0.2, 0.7, n),
    )


def calendar(settings: Simulation, ahead: int) -> Calendar:
    """settings → Calendar from BURN_IN days before the log to `ahead` days after it."""
    random = np.random.default_rng([settings.seed, 2])
    n, total = settings.creators, BURN_IN + settings.days + ahead
    days = [settings.first_day + timedelta(days=i - BURN_IN) for i in range(total)]
    holiday = np.array([any(-1 <= (d - new_year).days <= 2 for new_year in SEOLLAL) for d in days])
    away, notice = _leaves(random, settings, n, total)
    starts = random.random((total, n)) < BURST_HAZARD
    burst = np.zeros((total, n), dtype=bool)
    for age in range(BURST_DAYS):
        burst[age:] |= starts[: total - age]
    campaign = np.zeros(total, dtype=bool)
    begin = BURN_IN + round(CAMPAIGN_DAY * settings.days)
    campaign[begin : begin + CAMPAIGN_DAYS] = True
    return Calendar(
        season=np.where(holiday, HOLIDAY_DROP, 0.0),
        weekend=np.array([d.weekday() >= 5 for d in days]) * WEEKEND_RISE,
        campaign=campaign,
        away=away,
        notice=notice,
        burst=burst,
        price_day=BURN_IN + round(PRICE_DAY * settings.days),
        outage_day=BURN_IN + round(OUTAGE_DAY * settings.days),
    )


def _leaves(random: np.random.Generator, settings: Simulation, n: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """→ away and notice, [days × creators]: a share of the creators leaves at about the same times, and comes back."""
    leaving = random.random(n) < LEAVING_SHARE
    day = np.arange(total)[:, None]
    away, notice = np.zeros((total, n), dtype=bool), np.zeros((total, n), dtype=bool)
    for share in LEAVES:
        begin = BURN_IN + round(share * settings.days) + random.integers(-LEAVE_JITTER, LEAVE_JITTER + 1, n)
        end = begin + random.integers(*LEAVE_DAYS, n)
        goes = leaving & (random.random(n) < LEAVE_CHANCE)
        away |= goes & (day >= begin) & (day < end)
        notice |= goes & (day >= begin - NOTICE_DAYS) & (day < begin)
    return away, notice
