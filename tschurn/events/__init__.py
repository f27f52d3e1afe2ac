"""raw logs → event log: find them, read them where they lie, check them at the door, filter, count what was removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn.contracts import silent

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.contracts import Progress


def read_log(experiment: Experiment, folder: Path, progress: Progress = silent) -> dict[str, pd.DataFrame]:
    """Check the experiment's log and group it once; DAILY and what `open_log` needs are written into `folder`.

    → FILTERS, LOG_SUMMARY, EVENT_NAMES, REFUSED, PLATFORM_DAYS, QUALITY, FACTS by name. Raises LogError for
    whatever is wrong with the log.
    """
    from tschurn.events import reader

    return reader.read(experiment, folder, progress)


@contextmanager
def open_log(experiment: Experiment, folder: Path) -> Iterator[ir.Table]:
    """The folder that `read_log` filled → EVENT_LOG, an Ibis table over the log where it lies."""
    from tschurn.events import reader

    with reader.event_log_of(experiment, folder) as table:
        yield table


@contextmanager
def open_daily(experiment: Experiment, folder: Path) -> Iterator[ir.Table]:
    """The folder that `read_log` filled → DAILY, an Ibis table of an in-process engine."""
    from tschurn.events import reader

    with reader.daily_of(experiment, folder) as table:
        yield table


def of_parts(
    experiment: Experiment, folder: Path, size: int, work: Callable[[ir.Table, ir.Table], dict[str, pd.DataFrame]],
    progress: Progress = silent,
) -> Iterator[dict[str, pd.DataFrame]]:  # fmt: skip
    """The folder that `read_log` filled → what `work` makes of EVENT_LOG and DAILY of each `size` users.

    Whose rows are together is not promised, nor the order; on Spark `work` is done by the executors, and must be
    picklable.
    """
    from tschurn.events import parts

    return parts.of_parts(experiment, folder, size, work, progress)


def input_files(experiment: Experiment) -> list[Path]:
    """The files that the log consists of, lists and facts included. Raises LogError when one is missing."""
    from tschurn.events import sources

    log = experiment.log
    lists = [sources.place(p) for p in (log.creators, log.exclude, log.facts) if p]
    return [f for place in [*sources.places(log), *lists] for f in place.files]


def input_state(experiment: Experiment) -> list[dict[str, Any]]:
    """What identifies a log that lies in a database server, as a fingerprint does a file: its rows and newest time."""
    from tschurn.events import reader

    return reader.state(experiment)


def contact_files(experiment: Experiment) -> list[Path]:
    """The files of [contacts], none without that section. Raises ListError when there is none where it says."""
    from tschurn.events import contacts

    return contacts.files(experiment.contacts.path) if experiment.contacts else []


def read_contacts(
    experiment: Experiment, folder: Path, pseudonyms: Callable[[pd.Series], pd.Series] | None = None
) -> dict[str, pd.DataFrame]:
    """The files of [contacts] and the folder that `read_log` filled → CONTACTS and CONTACTS_READ by name.

    pseudonyms: ids → those that the lists have in their place. Raises ListError for whatever is wrong with a file.
    """
    from tschurn.events import contacts

    with open_daily(experiment, folder) as acts:
        users = acts.select("user_id").distinct().order_by("user_id").to_pyarrow()["user_id"].to_pandas()
    also = pseudonyms(users) if pseudonyms else None
    found, read = contacts.contacts(contact_files(experiment), users, also)
    return {"contacts": found, "contacts_read": read}
