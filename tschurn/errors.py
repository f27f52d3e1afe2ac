"""The errors of tschurn on one page: who made the mistake decides the class and the exit code.

A message is one sentence for the person who can mend it: which file, row, column or key, what was
expected, what was found, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TschurnError(Exception):
    """Any error that tschurn raises on purpose. Raised as itself only when the fault is ours."""

    exit_code = 1


class ContractError(TschurnError):
    """A table broke its contract between two stages: a bug in tschurn, not in the user's data."""


class UserError(TschurnError):
    """The user can mend it. Never raised for a fault of ours."""

    exit_code = 2


class CommandError(UserError):
    """The command line is wrong: an unknown option, a value that cannot be read, two that do not go together."""


class ConfigError(UserError):
    """The experiment file is wrong: an unknown key, a wrong value, a file that is not TOML."""


class LogError(UserError):
    """The event log is wrong: missing, empty, without a column, with a value that cannot be read."""


class ListError(UserError):
    """A table that people filled in is wrong: a list that came back, a file of contacts."""


class TooShortError(UserError):
    """The log is well formed but too short, or its targets too poor, for what was asked."""


class SimulationError(UserError):
    """The simulated platform cannot have the size or the rates that were asked for, or would overwrite a log."""


class RunFolderError(UserError):
    """The run folder cannot be used: another run is in it, or its contents are damaged."""


class ModelError(UserError):
    """A saved model cannot be used: it is none, is damaged, or was trained on other features."""


class MachineError(TschurnError):
    """The machine ran out of something: disk, memory, or a process that the system ended. Try again once it is mended;
    what is finished stays."""

    exit_code = 4


class MissingExtraError(UserError):
    """An optional package was asked for that is not installed; the message names the extra."""


def did_you_mean(name: str, candidates: Iterable[str], inside: str = "{}") -> str:
    """→ the part of a message that suggests the candidate nearest to `name`, or nothing.

    inside: how the candidate is shown, `{}` standing for it.
    """
    near = difflib.get_close_matches(name, list(candidates), n=1)
    return f"; did you mean `{inside.format(near[0])}`?" if near else ""
