"""counts per day, or per day and hour → the platform's rhythm, and the days on which it breaks.

Knows arrays only: row i is the i-th day of the log, the empty ones included.

What a day should hold is the median of the same weekday over the four weeks before it or over the four
after, whichever is less: growth, decline and a change of level then hide no day's fault and fake none.
Where one side is missing it is the least of the other's. A day is far below its rhythm when it holds
less than a quarter of that and lies further below than chance explains, given how much the days of
this log scatter: a log of three users has quiet days by nature.
"""

from __future__ import annotations

import numpy as np

WEEKS = 4  # before and after, that a day is held against
RATIO = 0.25
SIGMAS = 4.0
PASSES = 6  # at most: an outage of weeks hides some of its own days until the others are known
LONG_SILENCE = 15  # days without a row that tell nothing about the rhythm of the days around them
STRAY_SHARE, STRAY_GAP = 0.001, 30  # few rows, a month or more away from all others
STRAY_AGE, STRAY_AGE_SHARE = 5 * 365, 0.2  # years away: a clock that was never set gives more than a few
END_DAYS, END_MEAN, END_MOST, END_USERS = 7, 0.1, 0.2, 5
CLOCK_DAYS = 14
CLOCK_ROWS, CLOCK_CHANGE, CLOCK_NOISE, CLOCK_WIN = 200, 0.05, 3.0, 0.4


def core(rows: np.ndarray) -> tuple[int, int]:
    """Rows per day → first and last day of the log proper: without a few rows far before or after all others."""
    active = np.flatnonzero(rows)
    gaps = np.diff(active)
    if len(gaps) < 2:
        return int(active[0]), int(active[-1])
    limit = max(STRAY_GAP, 10 * float(np.median(gaps)))
    total = rows.sum()
    before = np.cumsum(rows[active])[:-1]

    def stray(few: np.ndarray) -> np.ndarray:
        return ((gaps > limit) & (few <= STRAY_SHARE * total)) | ((gaps > STRAY_AGE) & (few <= STRAY_AGE_SHARE * total))

    start = np.flatnonzero(stray(before))
    end = np.flatnonzero(stray(total - before))
    return int(active[start[-1] + 1] if len(start) else active[0]), int(active[end[0]] if len(end) else active[-1])


def far_below(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows per day → the rows that the rhythm leads one to expect, and which days are far below it.

    The first days are never flagged: a log that begins slowly has no rhythm yet.
    """
    usable = ~_long_silence(rows)
    flagged = np.zeros(len(rows), dtype=bool)
    for _ in range(PASSES):
        level = expected(rows, usable & ~flagged)  # days found at fault are no longer the rhythm of others
        found = _below(rows, level)
        if (found == flagged).all():
            break
        flagged = found
    return level, flagged


def expected(rows: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Rows per day → what the same weekday holds in the weeks around; 0 where nothing is known.

    usable: the days that may speak for others.
    """
    result = np.zeros(len(rows))
    for weekday in range(min(7, len(rows))):
        place = np.arange(weekday, len(rows), 7)
        kept = usable[place]
        earlier = np.cumsum(kept) - kept
        nothing = np.full(WEEKS, np.nan)
        padded = np.concatenate([nothing, rows[place][kept].astype(float), nothing])
        around = np.lib.stride_tricks.sliding_window_view(padded, WEEKS)
        result[place] = _least(around[earlier], around[earlier + WEEKS + kept])
    return result


def _least(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The lesser of two medians; where one side is unknown, the least value of the other."""
    known = [np.isfinite(side).sum(axis=1) >= 2 for side in (before, after)]
    filled = [np.where(k[:, None], side, 0.0) for k, side in zip(known, (before, after), strict=True)]
    medians = [np.nanmedian(side, axis=1) for side in filled]
    least = [np.nanmin(side, axis=1) for side in filled]
    return np.select([known[0] & known[1], known[0], known[1]], [np.minimum(*medians), least[0], least[1]], default=0.0)


def _below(rows: np.ndarray, level: np.ndarray) -> np.ndarray:
    spread = _dispersion(rows, level)
    low = (rows < RATIO * level) & (rows < level - SIGMAS * np.sqrt(spread * level))
    for first, last in runs((rows == 0) & (level > 0)):
        if level[first : last + 1].sum() > SIGMAS**2 * spread:  # many quiet days together tell what one cannot
            low[first : last + 1] = True
    # what is missing from the first day on is no fall: the log merely begins there
    for first, last in runs(low)[:1]:
        if first == 0:
            low[: last + 1] = False
    return low


def _dispersion(rows: np.ndarray, level: np.ndarray) -> float:
    """Variance of a day in units of its mean, by the median deviation: 1 is pure chance (Poisson), less is not used."""
    known = level > 0
    if not known.any():
        return 1.0
    residual = (rows[known] - level[known]) / np.sqrt(level[known])
    return max(1.0, (1.4826 * float(np.median(np.abs(residual - np.median(residual))))) ** 2)


def _long_silence(rows: np.ndarray) -> np.ndarray:
    result = np.zeros(len(rows), dtype=bool)
    for first, last in runs(rows == 0):
        result[first : last + 1] = last - first + 1 >= LONG_SILENCE
    return result


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Days → first and last position of each unbroken run of them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def collapse(users: np.ndarray) -> int | None:
    """Active users per day → the first day after which the platform has ended; None while it lives.

    Ended: for a week or more, up to the last day, at most a trickle of the users of the month before.
    """
    n = len(users)
    if n < 3 * END_DAYS:
        return None
    weekly = np.convolve(users, np.ones(7) / 7, mode="valid")  # [i]: the mean of the days i .. i + 6
    month = np.array([np.median(weekly[max(0, e - 27) : e - 5]) if e >= 13 else 0.0 for e in range(n)])
    most = np.maximum.accumulate(users[::-1])[::-1]  # [i]: of the days from i on
    mean = np.cumsum(users[::-1])[::-1] / np.arange(n, 0, -1)
    last_good = np.arange(n - END_DAYS)
    before = month[last_good]
    after = last_good + 1
    ended = (before >= END_USERS) & (most[after] < END_MOST * before) & (mean[after] < END_MEAN * before)
    ended &= users[last_good] >= END_MOST * before
    return int(after[ended][0]) if ended.any() else None


def clock_jumps(hours: np.ndarray) -> list[tuple[int, int]]:
    """Rows per day and hour [days × 24] → (day, hours by which the whole profile moves from that day on).

    A jump is a shift by whole hours that makes the two weeks after like the two before, that no other
    change of habits explains, and that stays.
    """
    days = len(hours)
    found: list[tuple[int, int]] = []
    if days < 2 * CLOCK_DAYS:
        return found
    rows = hours.sum(axis=1, keepdims=True)
    share = np.divide(hours, rows, out=np.zeros(hours.shape), where=rows > 0)  # each day counts alike
    at = np.arange(CLOCK_DAYS, days - CLOCK_DAYS + 1)
    half = CLOCK_DAYS // 2
    before, after = _profile(share, at - CLOCK_DAYS, at), _profile(share, at, at + CLOCK_DAYS)
    noise = np.maximum(
        _distance(_profile(share, at - CLOCK_DAYS, at - half), _profile(share, at - half, at)),
        _distance(_profile(share, at, at + half), _profile(share, at + half, at + CLOCK_DAYS)),
    ) / np.sqrt(2)
    moved = np.stack([_distance(np.roll(before, s, axis=1), after) for s in range(24)], axis=1)
    best = moved[:, 1:].argmin(axis=1) + 1
    change, left = moved[:, 0], moved[np.arange(len(at)), best]
    total = np.concatenate([[0], np.cumsum(rows)])
    many = (total[at] - total[at - CLOCK_DAYS] >= CLOCK_ROWS) & (total[at + CLOCK_DAYS] - total[at] >= CLOCK_ROWS)
    clear = many & (change > np.maximum(CLOCK_CHANGE, CLOCK_NOISE * noise)) & (left < CLOCK_WIN * change)
    clear &= _stays(share, at, before, best)
    gain = np.where(clear, change - left, 0.0)
    while gain.any():
        top = int(gain.argmax())
        found.append((int(at[top]), int((best[top] + 11) % 24 - 11)))
        gain[max(0, top - CLOCK_DAYS) : top + CLOCK_DAYS + 1] = 0.0
    return sorted(found)


def _stays(share: np.ndarray, at: np.ndarray, before: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Whether the third and fourth week after still fit the moved profile better; true where the log ends before."""
    late_from, late_to = np.minimum(at + CLOCK_DAYS, len(share)), np.minimum(at + 2 * CLOCK_DAYS, len(share))
    late = _profile(share, late_from, late_to)
    rolled = np.take_along_axis(before, (np.arange(24)[None, :] - best[:, None]) % 24, axis=1)
    return (late_to - late_from < 7) | (_distance(rolled, late) < _distance(before, late))


def _profile(share: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean profile of the days start .. end − 1, for each pair of them; sums to 1, or is 0 without a row."""
    total = np.concatenate([np.zeros((1, 24)), np.cumsum(share, axis=0)])
    sums = total[end] - total[start]
    whole = sums.sum(axis=1, keepdims=True)
    return np.divide(sums, whole, out=np.zeros_like(sums), where=whole > 1e-9)


def _distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Total variation: the share of the rows that lie in another hour."""
    return 0.5 * np.abs(p - q).sum(axis=1)
