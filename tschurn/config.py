"""experiments/*.toml → Experiment: every key an experiment file may have, its default, its limits.

An unknown key is an error with a hint; all that is left out has a default that works. The keys are
stable, since other people's files rely on them: add, do not rename.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)  # fmt: skip

from tschurn import mistakes
from tschurn.errors import ConfigError, did_you_mean


class Section(BaseModel):
    """A table of the experiment file: unknown keys refused, values fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


MOST_BYTES = 1 << 20  # of an experiment file
# A key of many parts: what reads TOML takes time and memory by the square of them (200 kB took 23 GiB).
_MANY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
POSTGRES = ("postgresql://", "postgres://")


def _address(path: str) -> str:
    """Where a log lies, as it is. Raises ValueError for an address with a password, or one that is read by nobody."""
    scheme, found, _ = path.partition("://")
    if found and f"{scheme}://" not in POSTGRES:
        raise ValueError("expected a file, a folder, a glob, or an address that begins with postgresql://")
    if mistakes.holds_password(path):
        raise ValueError(mistakes.NO_PASSWORDS)
    return path


def _plain(text: str) -> str:
    if mistakes.CONTROL.search(text):
        raise ValueError("holds a line break or another control character")
    return text


Name = Annotated[str, Field(max_length=255), AfterValidator(_plain)]
Address = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_plain), AfterValidator(_address)]


class About(Section):
    """[experiment]: its name (a folder name), the seed of everything random, the report's language."""

    name: Annotated[str, Field(pattern=r"^[\w][\w .-]{0,79}$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    language: Literal["en", "ko"] = "en"


class Columns(Section):
    """[log.columns]: what the log calls its columns. actor, value and object may be absent from the log."""

    user: Name = "user_id"
    actor: Name = "actor_id"
    time: Name = "timestamp"
    event: Name = "event"
    value: Name = "value"
    object: Name = "object"


Share = Annotated[float, Field(ge=0, le=1)]


class Part(Section):
    """[log.received], [log.stickers]: another log of the same platform, read along with the first one.

    event: the name of all its events, where it has no column that names them.
    """

    path: Address
    columns: Columns = Columns()
    event: Annotated[str, Field(min_length=1)] | None = None


class Log(Section):
    """[log]: where the event log is and how to read it.

    creators: users to keep; exclude: users and actors to leave out; facts: what is known of users apart from the
    log (files with ids in their first column). received, stickers: further logs of the same platform. engine:
    what the path says where it is left out; master: of Spark, else the session that is there or one on this machine.
    bad_rows: whether a time or value that cannot be read stops the run, or its row is left out, counted and listed.
    post_events, reply_events: own and received events by which posts are answered.
    """

    path: Address | None = None
    dataset: Literal["complete_journey", "creator_platform"] | None = None
    timezone: str = "UTC"
    naive_time: Literal["local", "utc"] = "local"
    columns: Columns = Columns()
    since: date | None = None
    until: date | None = None
    creators: Address | None = None
    exclude: Address | None = None
    facts: Address | None = None
    received: Part | None = None
    stickers: Part | None = None
    engine: Literal["duckdb", "postgres", "spark"] | None = None  # None: what the path says
    master: Name | None = None
    bad_rows: Literal["stop", "refuse"] = "stop"
    drop_duplicates: bool = False
    supporter_events: tuple[str, ...] | None = None
    post_events: tuple[str, ...] = ()
    reply_events: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _as_the_dataset_needs(cls, raw: Any) -> Any:
        """What is known of a built-in dataset, unless said otherwise."""
        known = isinstance(raw, dict) and isinstance(raw.get("dataset"), str)
        return _DATASETS.get(raw["dataset"], {}) | raw if known else raw

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"no such time zone{did_you_mean(value, available_timezones())}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Log:
        if (self.path is None) == (self.dataset is None):
            raise ValueError(
                "give either `path` (a CSV or Parquet file, folder or glob, a DuckDB file or a postgresql:// URL) or "
                "`dataset`, one of the two"
            )
        if self.dataset and (self.received or self.stickers):
            raise ValueError("`received` and `stickers` join a log of your own (`path`); a dataset is whole")
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"`since` ({self.since}) is after `until` ({self.until})")
        if bool(self.post_events) != bool(self.reply_events):
            raise ValueError("give both `post_events` and `reply_events`, or neither: posts are answered by replies")
        return self

    @model_validator(mode="after")
    def _one_engine(self) -> Log:
        server = bool(self.path) and self.path.startswith(POSTGRES)
        if (self.engine == "postgres") != server and self.engine is not None:
            raise ValueError(
                'a `path` that begins with postgresql:// is read with `engine = "postgres"`, and no other is; '
                "leave the key out, or correct the path"
            )
        if self.engine == "spark" and self.dataset:
            raise ValueError('`engine = "spark"` reads files, not a dataset')
        if self.master and self.engine != "spark":
            raise ValueError('`master` is for `engine = "spark"` only')
        return self

    @property
    def simulated(self) -> bool:
        """Whether the log is that of the simulated creator platform."""
        return self.dataset == "creator_platform"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


PLATFORM_ZONE = "Asia/Seoul"
# complete_journey: a "supporter" would be a mailing. creator_platform: its days are cut in its own zone, and its
# causes are marked by channels, not by single people.
_DATASETS = {
    "complete_journey": {"supporter_events": ()},
    "creator_platform": {"supporter_events": (), "timezone": PLATFORM_ZONE},
}
PLATFORM_STICKERS = ("sticker_small", "sticker_medium", "sticker_large")
MOST_ROWS = 50_000_000


class Simulation(Section):
    """[simulation]: the size and rates of the simulated creator platform (`dataset = "creator_platform"`).

    creators: on the list, a few of whom never act. rows: of the raw log, all counted. churn_rate,
    sticker_rate: of all closed windows of 7 + 7 days, one a day. The defaults are the founding project's.
    The holiday Seollal is known for the years 2020 to 2030.

    change: how the platform changes from the log's day `change_day` on (0 is the first), by `change_strength`
    (simulator/change.py). The rates are those of the same platform without it.
    """

    creators: Annotated[int, Field(ge=20, le=20_000)] = 750
    fans: Annotated[int, Field(ge=100, le=10_000_000)] = 60_000
    first_day: Annotated[date, Field(ge=date(2020, 1, 1), le=date(2029, 12, 31))] = date(2022, 11, 10)
    days: Annotated[int, Field(ge=42, le=1_000)] = 139
    rows: Annotated[int, Field(ge=1_000, le=MOST_ROWS)] = 5_186_966
    churn_rate: Annotated[float, Field(gt=0, lt=1)] = 0.36
    sticker_rate: Annotated[float, Field(gt=0, lt=1)] = 0.10
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    change: Literal["tired_creators", "bored_fans", "fickle_creators", "renamed_event"] | None = None
    change_day: Annotated[int | None, Field(ge=1, validate_default=True)] = None
    change_strength: Annotated[float, Field(gt=0, le=1)] = 0.5

    @field_validator("first_day", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        if not isinstance(value, date) and not (isinstance(value, str) and "-" in value):
            raise ValueError("expected a day such as 2022-11-10")
        return value

    @field_validator("change_day")
    @classmethod
    def _a_whole_change(cls, value: int | None, known: ValidationInfo) -> int | None:
        if (value is None) != (known.data.get("change") is None) and "change" in known.data:
            raise ValueError("`change` and `change_day` go together: what changes, and from which day of the log on")
        if value is not None and value >= known.data.get("days", value + 1):
            raise ValueError(f"expected a day of the log, which has days = {known.data['days']}, the first being 0")
        return value

    @field_validator("change_strength")
    @classmethod
    def _of_a_change(cls, value: float, known: ValidationInfo) -> float:
        if known.data.get("change", value) is None and value != cls.model_fields["change_strength"].default:
            raise ValueError("is the strength of a `change`, and there is none")
        return value


SMALL_SIMULATION = {"creators": 300, "fans": 6_000, "rows": 600_000}


class WindowShape(Section):
    """[windows]: days observed, days of outcome, days from one anchor to the next.

    min_history_days: from a user's first activity to the anchor, at least. skip_outages: closed windows that touch
    a day on which the platform's log fails are neither learned from nor measured on.
    """

    observe_days: Annotated[int, Field(ge=1, le=366)] = 7
    outcome_days: Annotated[int, Field(ge=1, le=366)] = 7
    stride_days: Annotated[int, Field(ge=1, le=366)] = 7
    min_history_days: Annotated[int, Field(ge=0, le=3660)] = 0
    skip_outages: bool = False


class ChurnTarget(Section):
    """[targets.churn]: which own events count as activity (absent: all)."""

    events: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


class StickerTarget(Section):
    """[targets.sticker]: the valuable events, and whether they are received or the user's own.

    given "stays": p_sticker is the probability of a sticker if the user stays, learned from and measured on the
    windows of those who do; "all": of a sticker, whoever stays.
    """

    events: Annotated[tuple[str, ...], Field(min_length=1)]
    side: Literal["own", "received"] = "received"
    given: Literal["all", "stays"] = "all"


class Targets(Section):
    """[targets]: churn always; sticker only where it is configured."""

    churn: ChurnTarget = ChurnTarget()
    sticker: StickerTarget | None = None

    @property
    def exclusive(self) -> bool:
        """Whether who churns cannot have a sticker: a sticker is then itself an own act that counts as activity."""
        if self.sticker is None or self.sticker.side == "received":
            return False
        return self.churn.events is None or set(self.sticker.events) <= set(self.churn.events)


class Split(Section):
    """[split]: how windows are divided, and the share of the anchors (or users) that is test.

    "rolling": the test anchors as `origins` periods one after the other, each with models of its own.
    """

    kind: Literal["time", "rolling", "random", "user"] = "time"
    origins: Annotated[int, Field(ge=2, le=20)] = 3
    test_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.25


class FeatureChoice(Section):
    """[features]: what the models see beyond the daily window.

    actors: people who acted towards the user, counted by "day" or also by "event". A supporter with
    regular_days active days has gone quiet after quiet_days without an act.
    """

    history: Literal["full", "none"] = "full"
    max_events: Annotated[int, Field(ge=1, le=500)] = 30  # per side; the rest is folded into `other`
    actors: Literal["day", "event"] = "day"
    quiet_days: Annotated[int, Field(ge=1, le=366)] = 14
    regular_days: Annotated[int, Field(ge=1, le=366)] = 3


class Exploration(Section):
    """[exploration]: robust: whether single days (a holiday, a campaign) are kept from bending the trend and the weekly
    rhythm of daily usage; outage days are left out of the fit in any case."""

    robust: bool = True


class Models(Section):
    """[models]: `auto`, or the name of the model that is used for the list; whether FLAML is one of the baselines.

    trunk "shared": networks learn both targets at once, as causal_gru always does; "own": each its own.
    """

    use: str = "auto"
    trunk: Literal["own", "shared"] = "own"
    automl: bool = False


class Search(Section):
    """[search]: the Bayesian searches, of a network and of LightGBM, and the experiment before them.

    seeds: under how many the best cells of the experiment are fitted. trials and seconds: the budget of each search.
    sample_users: share of users that trials train on, trial_epochs: their epochs; epochs: those of the final fits.
    """

    seeds: Annotated[int, Field(ge=1, le=20)] = 3
    trials: Annotated[int, Field(ge=1, le=1000)] = 15
    seconds: Annotated[float, Field(gt=0)] | None = None
    sample_users: Annotated[float, Field(gt=0, le=1)] = 0.4
    trial_epochs: Annotated[int, Field(ge=1, le=1000)] = 4
    epochs: Annotated[int, Field(ge=1, le=1000)] = 12


class Explain(Section):
    """[explain]: how features are selected before the surrogates, and what the model itself is asked.

    boruta_trials: shadow rounds. background: what days and features are compared with, the windows of so many
    `references` ("typical") or a life in which nothing has happened ("nothing"). groups: of features, at most.
    levers: events that the platform can move.
    """

    selector: Literal["native", "borutashap"] = "native"
    vif_limit: Annotated[float, Field(gt=1)] = 10.0
    boruta_trials: Annotated[int, Field(ge=5, le=1000)] = 30
    background: Literal["typical", "nothing"] = "typical"
    references: Annotated[int, Field(ge=1, le=32)] = 4
    groups: Annotated[int, Field(ge=6, le=12)] = 8
    levers: tuple[str, ...] = ()


class SegmentRule(Section):
    """[segments]: who is in the priority group.

    score: what ranks users, "priority" (p_churn × p_sticker) or "value_at_risk" (p_churn × what a user is `worth`:
    the value of stickers "expected" of who stays, or that of the "last_28_days"). threshold "quantile": the top
    `share` of the scores; "value": a score of at least `value`; "capacity": the best `capacity` users; "knee": where
    the curve of sorted log scores bends; "mixture": where the upper of two normal distributions of log scores becomes
    the likelier. likely_churn: p_churn from which a user below the threshold is an "other churner"; likely_sticker:
    p_sticker from which one who stays is a "favourite" (absent: the top `share` of p_sticker).
    """

    score: Literal["priority", "value_at_risk"] = "priority"
    worth: Literal["expected", "last_28_days"] = "expected"
    threshold: Literal["quantile", "value", "capacity", "knee", "mixture"] = "quantile"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    value: Annotated[float, Field(ge=0)] | None = None
    capacity: Annotated[int, Field(ge=1, le=2**53)] | None = None
    likely_churn: Annotated[float, Field(gt=0, lt=1)] = 0.5
    likely_sticker: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _parameter_given(self) -> SegmentRule:
        if self.threshold in ("value", "capacity") and getattr(self, self.threshold) is None:
            raise ValueError(f'`threshold = "{self.threshold}"` needs the key `{self.threshold}`')
        if self.score == "priority" and self.value is not None and self.value > 1:
            raise ValueError(f"`value = {self.value:g}` is never reached: a priority is at most 1")
        return self

    @property
    def ranks_by(self) -> str:
        """The score by its name in contracts.SCORES_COMPARED."""
        by_value = self.score == "value_at_risk"
        return "p_churn_value_28" if by_value and self.worth == "last_28_days" else self.score


class CallList(Section):
    """[list]: what the list for the callers is like.

    holdout: share of the priority group that is left alone, drawn at random in strata of the score, so that the effect
    of contacting can be measured. pseudonyms: ids in the lists are replaced by pseudonyms, made with the secret in the
    environment variable TSCHURN_PSEUDONYM_KEY.
    """

    holdout: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    pseudonyms: bool = False


class Costs(Section):
    """[costs]: what calling costs and brings, in the unit of the stickers' value.

    contact: the cost of one call. success: the share of called churners who stay because of it. margin: the share of
    a kept user's value that is gained.
    """

    contact: Annotated[float, Field(ge=0)]
    success: Annotated[float, Field(gt=0, le=1)]
    margin: Annotated[float, Field(gt=0, le=1)] = 1.0


class Contacts(Section):
    """[contacts]: who was contacted when, a CSV or Parquet file with user_id and contacted_on.

    Windows with a contact are left out of training, calibration and test unless `include`. Users contacted in the last
    `cooldown_days` before the list are not on it.
    """

    path: Address
    include: bool = False
    cooldown_days: Annotated[int, Field(ge=0, le=366)] = 28


class Rfm(Section):
    """[rfm]: the score of recency, frequency and value per period.

    days: length of each of two periods, the later one up to the last day (absent: half the log). cuts: bins of each
    measure. weights: of recency, frequency, value. classes: shares of users with the highest scores that are best, good
    and fair; the others are "other".
    """

    days: Annotated[int, Field(ge=7, le=36_600)] | None = None
    cuts: Annotated[int, Field(ge=2, le=20)] = 5
    weights: tuple[Share, Share, Share] = (0.3, 0.2, 0.5)
    classes: tuple[Share, Share, Share] = (0.2, 0.2, 0.2)

    @model_validator(mode="after")
    def _sensible(self) -> Rfm:
        if sum(self.weights) <= 0:
            raise ValueError("`weights` are all 0: give at least one of recency, frequency, value some weight")
        if sum(self.classes) > 1:
            raise ValueError(f"`classes` are shares of all users: they add up to {sum(self.classes):g}, at most 1")
        return self


class Profiles(Section):
    """[profiles]: ratio: two variables of the scored users, above and below the line, whose distribution is shown by
    segment (absent: the active days of the last four weeks over those of the last eight)."""

    ratio: tuple[str, str] | None = None


class RunOptions(Section):
    """[run]: threads of the libraries' pools (two targets are trained side by side from 2 on), and memory."""

    threads: Annotated[int, Field(ge=1, le=256)] = 2
    memory_mib: Annotated[int, Field(ge=256, le=2**30)] = 1024  # of the in-process engine; beyond it goes to disk


class Experiment(Section):
    """One experiment file.

    actions ([actions]): what callers may do about a reason; a feature's name or a pattern of it
    ("history:supporters:*", "*") → the text in the column `action` of the list; of patterns that fit, the first.
    """

    experiment: About
    log: Log
    windows: WindowShape = WindowShape()
    targets: Targets = Targets()
    split: Split = Split()
    features: FeatureChoice = FeatureChoice()
    exploration: Exploration = Exploration()
    models: Models = Models()
    search: Search = Search()
    explain: Explain = Explain()
    segments: SegmentRule = SegmentRule()
    list: CallList = CallList()
    actions: dict[str, str] = {}
    costs: Costs | None = None
    contacts: Contacts | None = None
    rfm: Rfm = Rfm()
    profiles: Profiles = Profiles()
    run: RunOptions = RunOptions()
    simulation: Simulation = Simulation()

    def in_language(self, language: str) -> Experiment:
        """The same experiment, told in another language ("en" or "ko")."""
        return self.model_copy(update={"experiment": self.experiment.model_copy(update={"language": language})})

    @model_validator(mode="after")
    def _simulated(self) -> Experiment:
        sticker = self.targets.sticker
        if not self.log.simulated:
            if "simulation" in self.model_fields_set:
                raise ValueError('[simulation] is for `dataset = "creator_platform"` under [log] only')
            return self
        if self.log.creators or self.log.columns != Columns():
            raise ValueError('`dataset = "creator_platform"` brings its own columns and its list of creators')
        # what the truth is about: other days or targets would be marked by it all the same, and wrongly
        if self.log.timezone != PLATFORM_ZONE:
            raise ValueError(f'`dataset = "creator_platform"` counts its days in {PLATFORM_ZONE}; set that `timezone`')
        if self.targets.churn.events:
            raise ValueError('`dataset = "creator_platform"` knows the truth of all own acts; leave out '
                             "`events` of [targets.churn]")  # fmt: skip
        if sticker and sticker.given == "stays":
            raise ValueError('`dataset = "creator_platform"` knows the truth of stickers whoever stays; leave out '
                             "`given` of [targets.sticker]")  # fmt: skip
        if sticker and (sticker.side != "received" or set(sticker.events) != set(PLATFORM_STICKERS)):
            raise ValueError('`dataset = "creator_platform"` knows the truth of received stickers; set '
                             f"[targets.sticker] events = {list(PLATFORM_STICKERS)}")  # fmt: skip
        return self


_TOO_DEEP = "is nested too deeply for an experiment file"


def load(path: str | Path) -> Experiment:
    """Experiment file → Experiment.

    Raises ConfigError, naming the file, the key, what was expected and what was found; a value that may hold a secret
    is not repeated.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(_text(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such experiment file{_neighbour(path)}") from None
    except OSError as error:
        raise ConfigError(f"{str(path)[:300]}: cannot be read as an experiment file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{path}: {_TOO_DEEP}") from None
    except ValueError as error:  # of TOML, and of numbers with thousands of digits
        raise ConfigError(f"{path}: is not valid TOML: {mistakes.quiet(str(error))}") from None
    return parse(raw, str(path))


def parse(raw: dict[str, Any], source: str) -> Experiment:
    """A TOML document as a dict → Experiment; `source` names it in messages."""
    try:
        experiment = Experiment.model_validate(raw)
        if (key := mistakes.password_in(raw)) is not None:
            raise ConfigError(f"{source}: key `{key}` {mistakes.NO_PASSWORDS}")
        return experiment
    except ValidationError as error:
        raise ConfigError(f"{source}: {mistakes.sentence(error, Experiment)}") from None
    except RecursionError:
        raise ConfigError(f"{source}: {_TOO_DEEP}") from None


def _text(path: Path) -> str:
    """The text of an experiment file; a pipe or a device is not waited for."""
    if not path.is_file() and path.exists() and not path.is_dir():
        raise OSError(0, "it is no plain file")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(0, f"it has more than {MOST_BYTES:,} bytes")
    text = content.decode("utf-8-sig")
    if _MANY_PARTS.search(text):
        raise RecursionError
    return text


def with_log(experiment: Experiment, path: str) -> Experiment:
    """The same experiment with another [log] `path`, of the same format and to its end. Raises ConfigError."""
    log = experiment.log
    given = log.model_dump(exclude_unset=True, exclude={"until"}) | {"path": path, "dataset": None}
    if (log.path or "").startswith(POSTGRES) != path.startswith(POSTGRES):
        given |= {"engine": None, "master": None}  # what the new path says
    try:
        return experiment.model_copy(update={"log": Log.model_validate(given)})
    except ValidationError as error:
        raise ConfigError(f"--log: {mistakes.sentence(error, Log)}") from None


def simulation(values: dict[str, Any]) -> Simulation:
    """Arguments of the command line by key of [simulation], as text → Simulation. Raises ConfigError."""
    try:
        return Simulation.model_validate(values)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise ConfigError(
            mistakes.sentence(error, Simulation).replace(f"key `{key}`", f"--{key.replace('_', '-')}")
        ) from None


def _neighbour(path: Path) -> str:
    """A hint at the experiment file whose name is close to one that does not exist."""
    folder = path.parent
    names = [p.name for p in folder.glob("*.toml")] if folder.is_dir() else []
    return did_you_mean(path.name, names, str(folder / "{}"))
