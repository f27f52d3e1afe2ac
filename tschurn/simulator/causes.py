"""Constants: what the simulated platform logs, which of it carries a cause, by which features one knows a cause.

CAUSE_FEATURES is the table that explanations are marked by. It was written before any explanation was
run on a simulated log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tschurn.config import PLATFORM_STICKERS

Role = Literal["cause", "distractor", "independent", "user_constant", "plain"]


@dataclass(frozen=True)
class Channel:
    """One kind of event in a creator's room.

    role: 'cause' shows what moves a creator; 'distractor' goes along with a cause but moves nobody;
    'independent' is drawn without regard to anything, 'user_constant' too, once per creator; 'plain' is
    the rest, most of it a matter of how active creator and audience are. Sums of an independent channel over
    28 days still grow in the first 28 days of the log, as all such sums do.
    """

    side: Literal["own", "received"]
    event: str
    role: Role = "plain"
    cause: str | None = None


CHANNELS = (
    Channel("own", "room_open"),
    Channel("own", "post"),
    Channel("own", "chat"),
    Channel("own", "reply"),
    Channel("own", "photo_upload"),
    Channel("own", "voice_post"),
    Channel("own", "live_start"),
    Channel("own", "night_live", "cause", "burnout"),
    Channel("own", "away_notice", "cause", "seasonal_leave"),
    Channel("own", "fee_page_view", "cause", "price_change"),
    Channel("own", "draft_save", "distractor", "burnout"),
    Channel("own", "settings_open", "distractor", "price_change"),
    Channel("own", "profile_edit"),
    Channel("own", "stats_view"),
    Channel("received", "room_visit"),
    Channel("received", "post_view"),
    Channel("received", "chat"),
    Channel("received", "like"),
    Channel("received", "bookmark"),
    Channel("received", "follow"),
    Channel("received", "unfollow"),
    Channel("received", "badge_visit", "cause", "supporters_quiet"),
    Channel("received", "badge_chat", "cause", "supporters_quiet"),
    Channel("received", "gift_view", "distractor", "supporters_quiet"),
    Channel("received", "first_comment", "cause", "unanswered_posts"),
    Channel("received", "recommended", "cause", "falling_reach"),
    Channel("received", "share", "distractor", "falling_reach"),
    Channel("received", "crawler_hit", "independent"),
    Channel("received", "ad_slot", "independent"),
    Channel("received", "cdn_refresh", "user_constant"),
    Channel("received", "region_ping", "user_constant"),
    Channel("received", "sticker_small"),
    Channel("received", "sticker_medium"),
    Channel("received", "sticker_large"),
)
STICKERS = dict(zip(PLATFORM_STICKERS, (1_000, 5_000, 30_000), strict=True))  # won apiece

# cause → at most three features (FEATURES.feature) that show it, each with the sign of its effect on
# churn: +1, more of it, more churn. Chance shows in nothing.
CAUSE_FEATURES: dict[str, dict[str, int]] = {
    "supporters_quiet": {
        "received:badge_visit:count": -1,
        "received:badge_chat:count": -1,
        "history:sum:received:badge_visit:count:28": -1,
    },
    "unanswered_posts": {
        "received:first_comment:count": -1,
        "history:sum:received:first_comment:count:28": -1,
    },
    "falling_reach": {
        "received:recommended:count": -1,
        "history:sum:received:recommended:count:28": -1,
    },
    "burnout": {"own:night_live:count": 1, "history:sum:own:night_live:count:28": 1},
    "price_change": {"own:fee_page_view:count": 1, "history:sum:own:fee_page_view:count:28": 1},
    "seasonal_leave": {"own:away_notice:count": 1, "history:sum:own:away_notice:count:28": 1},
    "chance": {},
}
