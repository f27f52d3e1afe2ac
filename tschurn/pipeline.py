"""experiment → run folder: the stages in order, tables by name. Read this first.

    log → windows → exploration → models.<target> → explain.<target> → segments → report
                                                                     → ablation.<target> (retrained on fewer columns)
                                                   → reference (what a later log is held against)
                                → origins.<target>.<k> (a rolling split: the origins before the last)
                                → horizons (what to observe, who comes back, whose last week is unusual)

A simulated log has a stage before these (simulation) and one that marks them by what only a simulator
knows (truth).

Each stage takes tables of the stages before it and leaves its own in the run folder; a stage whose
inputs have not changed is not run again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn import workers
from tschurn.config import Experiment
from tschurn.contracts import Progress, silent
from tschurn.reporting import EXPLORED, LOG, PORTRAIT, SEGMENT_TABLES, reasons_of_list, report_tables
from tschurn.runs import Run, StageFolder, commit, fingerprint, source_digest, versions, writing
from tschurn.targets import counted, learnable, targets_and_notes
from tschurn.workers import Training

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd

    from tschurn.features.windows import WindowSet

_WINDOWS = (c.VOCABULARY, c.USER_DAYS, c.FEATURES, c.WINDOWS, c.MONEY, c.UNSCORED, c.EXCLUSIONS)
_JUDGED = 3_000  # test windows at most
# Where the tables of a stage have their contracts, by the first part of its name; those it reads it depends on anyway.
_CONTRACTS = {
    "simulation": ["simulator"], "log": ["events"], "exploration": ["exploration", "process"],
    "windows": ["features"],
    "origins": ["models"], "horizons": ["exploration", "features", "models"], "ablation": ["explain"],
    "columns": ["features"], "truth": ["simulator"], "contacts": ["events"], "seeds": ["segments"],
    "value": ["segments"], "reference": ["drift"],
}  # fmt: skip


@dataclass
class Outcome:
    """What a finished run has to say at once: where things are, and the report's own summary."""

    folder: Path
    summary: dict[str, Any]
    reused: list[str] = field(default_factory=list)


def run(experiment: Experiment, folder: Path, progress: Progress = silent) -> Outcome:
    """Run an experiment in `folder`, reusing whatever stands there and is unchanged.

    Raises UserError for what the user can mend, with one sentence.
    """
    from tschurn import events

    simulated = experiment.log.simulated
    files = [] if simulated else data_of(experiment)
    if experiment.contacts:
        events.contact_files(experiment)  # a missing file is told before a long log is read
    with Run(folder) as run_folder:
        stages = _Stages(experiment, run_folder, progress)
        if simulated:
            stages.simulation()
        stages.log(files)
        if experiment.contacts:
            stages.contacts()
        stages.windows()
        stages.exploration()
        stages.horizons()
        stages.models()
        stages.columns()
        stages.explanations()
        stages.reference()
        stages.ablations()
        stages.seeds()
        stages.value()
        stages.segments()
        if simulated:
            stages.truth()
        summary = stages.report()
        config = experiment.model_dump(mode="json", by_alias=True, exclude=None if simulated else {"simulation"})
        run_folder.write_manifest(config, {"data": stages.files})
        return Outcome(folder, summary, run_folder.reused)


def data_of(experiment: Experiment) -> list[dict[str, Any]]:
    """What identifies the log that an experiment reads: its files, or its state in a database."""
    from tschurn import events

    return [*fingerprint(events.input_files(experiment)), *events.input_state(experiment)]


class _Stages:
    """The stages of one run. Each method runs one and keeps its folder for those that follow."""

    def __init__(self, experiment: Experiment, run_folder: Run, progress: Progress) -> None:
        self.experiment = experiment
        self.run = run_folder
        self.progress = progress
        self.done: dict[str, StageFolder] = {}
        self.targets: list[str] = []
        self.origins: dict[str, list[int]] = {}
        self.notes: list[str] = []
        self.files: list[dict[str, Any]] = []

    def simulation(self) -> None:
        """Sizes and rates → a raw log, its creators, and the truth; the stages after it read that log."""
        from tschurn import simulator

        settings = self.experiment.simulation

        def compute(out: StageFolder) -> None:
            simulator.simulate(settings, out.path, ahead=self.experiment.windows.outcome_days, progress=self.progress)

        inputs = {"simulation": self._section("simulation"), "outcome_days": self.experiment.windows.outcome_days}
        self._stage("simulation", [f"simulator/{module}" for module in simulator.MAKE], [], inputs, compute)

    def log(self, files: list[dict[str, Any]]) -> None:
        """Raw log → DAILY, and what the log is worth; `files` are fingerprints of what it is read from."""
        from tschurn import events

        self.files = files
        simulation = self.done.get("simulation")

        def compute(out: StageFolder) -> None:
            tables = events.read_log(self._logged(), out.path, self.progress)
            for table in LOG:
                out.write(table, tables[table.name])

        after = [] if simulation is None else ["simulation"]
        self._stage(
            "log", ["events", "blocks"], after, {"files": files, "log": self._section("log")}, compute, told=_worth
        )

    def _logged(self) -> Experiment:
        """The experiment with the files of its simulated log in place of the dataset's name, where it is simulated."""
        simulation = self.done.get("simulation")
        return self.experiment if simulation is None else reading_simulated(self.experiment, simulation.path)

    def _event_log(self) -> AbstractContextManager[ir.Table]:
        from tschurn import events

        return events.open_log(self._logged(), self.done["log"].path)

    def contacts(self) -> None:
        """The files of [contacts] → who was contacted when, of the users of the log."""
        from tschurn import events, segments
        from tschurn.segments.pseudonyms import KEY_VARIABLE

        experiment = self._logged()
        hide, key = segments.hiding(KEY_VARIABLE in os.environ)

        def compute(out: StageFolder) -> None:
            found = events.read_contacts(experiment, self.done["log"].path, hide)
            for table in (c.CONTACTS, c.CONTACTS_READ):
                out.write(table, found[table.name])

        # another key knows other rows; the key itself is written nowhere
        inputs = {"files": fingerprint(events.contact_files(experiment)), "path": experiment.contacts.path,
                  "key": key}  # fmt: skip
        self._stage("contacts", ["events/contacts", "spreadsheet"], ["log"], inputs, compute)

    def exploration(self) -> None:
        """EVENT_LOG, DAILY and windows → what the data looks like, and the users behind its paths as a file."""
        from tschurn import events, exploration, segments

        hide, key = segments.hiding(self.experiment.list.pseudonyms)

        def compute(out: StageFolder) -> None:
            known = {t.name: self._read("log", t) for t in (c.LOG_SUMMARY, c.PLATFORM_DAYS)}
            known |= {t.name: self._read("windows", t) for t in (c.USER_DAYS, c.WINDOWS)}
            with self._event_log() as event_log, events.open_daily(self.experiment, self.done["log"].path) as daily:
                tables = exploration.explore(
                    event_log, daily, known, self._windows().profile, self.experiment, out.path, hide, self.progress
                )
            for table in EXPLORED:
                out.write(table, tables[table.name])

        sections = {name: self._section(name) for name in ("targets", "windows", "exploration")}
        inputs = {**sections, "seed": self._seed, "hidden_by": key}
        self._stage("exploration", ["exploration", "spreadsheet"], ["log", "windows"], inputs, compute)
        with writing(self.run.folder / exploration.PATH_USERS) as beside:
            shutil.copyfile(self.done["exploration"].path / exploration.PATH_USERS, beside)

    def windows(self) -> None:
        """EVENT_LOG → panel, history, WINDOWS; and which targets there are."""
        from tschurn import events, features, segments
        from tschurn.explain import levers

        contacted = self.experiment.contacts is not None

        def compute(out: StageFolder) -> None:
            known = {table.name: self._read("log", table) for table in (c.LOG_SUMMARY, c.PLATFORM_DAYS, c.FACTS)}
            if contacted:
                known[c.CONTACTS.name] = self._read("contacts", c.CONTACTS)
            with self._event_log() as event_log, events.open_daily(self.experiment, self.done["log"].path) as acts:
                tables, history = features.build_windows(
                    event_log, acts, known, self.experiment, out.path, self.progress
                )
            for table in _WINDOWS:
                out.write(table, tables[table.name])
            out.write_array("history", history)

        sections = {name: self._section(name) for name in ("windows", "targets", "split", "features")}
        inputs = {**sections, "seed": self._seed}
        if contacted:
            inputs["contacts"] = self.experiment.contacts.include
        after = ["log", "contacts"] if contacted else ["log"]
        self._stage("windows", ["features", "blocks"], after, inputs, compute)
        # what the experiment file names wrongly is told before anything is trained
        known_features = self._read("windows", c.FEATURES)
        levers.check(known_features, self.experiment.explain.levers)
        segments.check(known_features, self.experiment)
        self.targets, self.notes = targets_and_notes(self._read("windows", c.WINDOWS), self.experiment)
        self.origins = self._earlier_origins()

    def horizons(self) -> None:
        """Windows and USER_DAYS → how much to observe, who of the churned comes back, how unusual last weeks are."""
        from tschurn.exploration import return_time
        from tschurn.features.next_acts import next_acts
        from tschurn.models import anomaly_view, sufficiency

        def compute(out: StageFolder) -> None:
            windows, user_days = self._windows(), self._read("windows", c.USER_DAYS)
            shape, threads = self.experiment.windows, self.experiment.run.threads
            following = next_acts(windows.index, user_days)
            out.write(c.NEXT_ACTS, following)
            last_day = self._read("log", c.LOG_SUMMARY)["last_day"].iloc[0]
            back = return_time.return_times(windows.index, following, last_day, shape.outcome_days, self._seed)
            out.write(c.RETURN_TIMES, back)
            enough = sufficiency.sufficiency(
                windows.looking_back(sufficiency.LONGEST), following, shape, self.targets, self._seed, threads,
                self.progress,
            )  # fmt: skip
            out.write(c.SUFFICIENCY, enough)
            self.progress("horizons", 0.8, 1, "anomalies")
            unusual = anomaly_view.anomaly_view(
                windows, user_days, windows.newest(), self.targets, self._seed, threads
            )  # fmt: skip
            for table in (c.ANOMALY, c.ANOMALY_CALIBRATION, c.ANOMALY_GAIN):
                out.write(table, unusual[table.name])

        modules = ("evaluation", "quick", "sufficiency", "anomaly", "anomaly_view")
        sources = ["features/next_acts", "exploration/return_time", *(f"models/{module}" for module in modules)]
        inputs = {**{name: self._section(name) for name in ("windows", "run")}, "seed": self._seed}
        self._stage("horizons", sources, ["log", "windows"], inputs, compute)

    def models(self) -> None:
        """Windows → models.<target> and, of a rolling split, origins.<target>.<k>, side by side in processes."""
        waiting: list[Training] = []
        sections = {name: self._section(name) for name in ("models", "search", "run")}
        # the longest first: the last origin has the most to learn from
        wanted = [Training(t) for t in self.targets]
        wanted += [Training(t, k) for t in self.targets for k in self.origins[t]]
        for job in wanted:
            inputs = {**sections, "seed": self._seed, "target": job.target, "origin": job.origin,
                      "backend": os.environ.get("KERAS_BACKEND", "tensorflow")}  # fmt: skip
            self._stage(
                job.stage, ["models"], ["windows"], inputs,
                lambda out, job=job: waiting.append(
                    replace(job, folder=out.path, unfinished=self.run.unfinished(job.stage))
                ), deferred=True,
            )  # fmt: skip
        if waiting:
            days = int(self._read("log", c.LOG_SUMMARY)["days"].iloc[0])
            evaluations = {j.stage: self.run.count(f"test_evaluations.{j.counted}", j.stage) for j in waiting}
            self._work([replace(j, days=days, evaluations=evaluations[j.stage]) for j in waiting], len(wanted))

    def columns(self) -> None:
        """Windows and models → the columns that explanations may speak of: those of windows, and those of models that
        explain themselves by others."""
        from tschurn import models

        def compute(out: StageFolder) -> None:
            import pandas as pd

            windows = self._windows()
            saved = [self.done[f"models.{target}"].path / "evaluated" for target in self.targets]
            direct = [models.direct_explainer(folder, windows) for folder in saved]
            known = [windows.flat_columns(), *(d.columns for d in direct if d is not None)]
            out.write(c.FLAT_COLUMNS, pd.concat(known, ignore_index=True).drop_duplicates("column", ignore_index=True))

        after = ["windows", *(f"models.{target}" for target in self.targets)]
        self._stage("columns", ["models", "features/windows"], after, {}, compute)

    def explanations(self) -> None:
        """Models and windows → explain.<target>, side by side in processes."""
        waiting: list[workers.Explanation] = []
        for target in self.targets:
            job = workers.Explanation(target, self.done[f"models.{target}"].path)
            inputs = {"explain": self._section("explain"), "run": self._section("run"), "seed": self._seed,
                      "target": target}  # fmt: skip
            self._stage(
                job.stage, ["explain"], ["windows", f"models.{target}"], inputs,
                lambda out, job=job: waiting.append(replace(job, folder=out.path)), deferred=True,
            )  # fmt: skip
        rows = self._explained_windows(self._windows()) if waiting else None
        self._work([replace(job, rows=rows) for job in waiting], len(self.targets))

    def reference(self) -> None:
        """Windows, models and explanations → what a later log is held against, to see what has changed."""
        from tschurn import drift, seen

        def compute(out: StageFolder) -> None:
            found = seen.reference(self.done, self._windows(), self.experiment, self.targets)
            for table in drift.REFERENCE:
                out.write(table, found[table.name])

        after = ["log", "windows", *(f"{stage}.{t}" for stage in ("models", "explain") for t in self.targets)]
        inputs = {**{name: self._section(name) for name in ("windows", "run")}, "seed": self._seed}
        self._stage("reference", ["drift", "seen"], after, inputs, compute)

    def ablations(self) -> None:
        """Windows, tuned models and the columns that explanations were left with → ablation.<target>."""
        from tschurn.explain.boruta_shap import kept

        waiting: list[workers.Ablation] = []
        for target in self.targets:
            collinearity = self._read(f"explain.{target}", c.COLLINEARITY)
            left = {
                "independent": collinearity.loc[collinearity["kept"], "column"].tolist(),
                "kept": kept(self._read(f"explain.{target}", c.SELECTION)),
            }
            job = workers.Ablation(target, left, self.done[f"models.{target}"].path)
            inputs = {"seed": self._seed, "target": target, "left": left, "run": self._section("run")}
            self._stage(
                job.stage, ["models"], ["windows", f"models.{target}"], inputs,
                lambda out, job=job: waiting.append(replace(job, folder=out.path)), deferred=True,
            )  # fmt: skip
        self._work(waiting, len(self.targets))

    def seeds(self) -> None:
        """Windows and the refits → seeds.<target>: what other seeds would have said of the list's users."""
        waiting: list[workers.Reseeding] = []
        for target in self.targets:
            job = workers.Reseeding(target, self.done[f"models.{target}"].path)
            inputs = {"seed": self._seed, "target": target, "run": self._section("run")}
            self._stage(
                job.stage, ["models"], ["windows", f"models.{target}"], inputs,
                lambda out, job=job: waiting.append(replace(job, folder=out.path)), deferred=True,
            )  # fmt: skip
        self._work(waiting, len(self.targets))

    def value(self) -> None:
        """Windows and MONEY → what stickers those who stay are worth."""
        from tschurn.models.value import expected_values

        def compute(out: StageFolder) -> None:
            found = expected_values(
                self._windows(), self._read("windows", c.MONEY), self.experiment.windows.outcome_days, self._seed,
                self.experiment.run.threads, self.progress, out.path,
            )  # fmt: skip
            for table in (c.EXPECTED_VALUES, c.VALUE_MODEL):
                out.write(table, found[table.name])

        sources = [f"models/{module}" for module in ("value", "blocks", "views")]
        inputs = {**{name: self._section(name) for name in ("windows", "run")}, "seed": self._seed}
        self._stage("value", sources, ["windows"], inputs, compute)

    def _work(self, jobs: Sequence[workers.Job], of: int) -> None:
        """Do the jobs, those that are left of so many, in processes, and finish their stages."""
        if jobs:
            workers.work(self.experiment, self.done["windows"].path, jobs, of, self.progress, self._ended)

    def _ended(self, job: workers.Job) -> None:
        self.done[job.stage] = self.run.finish(job.stage)
        self.progress(job.stage, 1, 1, self._damage(job.stage))

    def segments(self) -> None:
        """Probabilities, money and reasons → who first, and the proof; writes the lists."""
        from tschurn import segments

        windows = self._windows()
        profile = windows.profile(windows.newest())

        def compute(out: StageFolder) -> None:
            per_target = {
                "models": (c.SCORES, c.OUT_OF_TIME, c.PREDICTIONS, c.TARGET_SUMMARY),
                "seeds": (c.SEED_SCORES,),
            }
            whole = {"windows": (c.FEATURES, c.USER_DAYS, c.MONEY), "log": (c.FACTS, c.LOG_SUMMARY),
                     "value": (c.EXPECTED_VALUES,)}  # fmt: skip
            tables = {t.name: self._per_target(stage, t) for stage, some in per_target.items() for t in some}
            tables |= {t.name: self._read(stage, t) for stage, some in whole.items() for t in some}
            found = segments.segment(tables, profile, self.experiment, self.progress)
            for table in SEGMENT_TABLES:
                out.write(table, found[table.name])

        after = ["log", "windows", "value", *(f"{stage}.{t}" for stage in ("models", "seeds") for t in self.targets)]
        read = ("segments", "targets", "windows", "profiles", "rfm", "costs")
        inputs = {**{name: self._section(name) for name in read}, "seed": self._seed}
        self._stage("segments", ["segments"], after, inputs, compute)
        priority = self._read("segments", c.PRIORITY)
        contacts = self._read("contacts", c.CONTACTS) if "contacts" in self.done else None
        reasons = reasons_of_list(self._per_target("explain", c.REASONS), priority)
        money = self._read("windows", c.MONEY)
        segments.write_lists(
            priority, segments.told_of(priority, reasons, profile, money, self.experiment),
            self._read("segments", c.FIRMNESS), self.experiment, self.run.folder,
            segments.who_rests(contacts, priority, self.experiment),
        )  # fmt: skip
        StageFolder(self.run.folder).write(c.PREDICTIONS, self._per_target("models", c.PREDICTIONS))

    def truth(self) -> None:
        """The run's results → how they stand against what only the simulator knows."""
        import pandas as pd

        from tschurn import simulator
        from tschurn.simulator import judgement, portrait
        from tschurn.simulator.judged_attribution import judge_attribution

        def compute(out: StageFolder) -> None:
            windows = self._windows()
            known = simulator.read_truth(self.done["simulation"].path)
            tested = (c.PREDICTIONS, c.TEST_INTERVALS, c.TARGET_SUMMARY)
            tables = {table.name: self._per_target("models", table) for table in tested}
            explained = (c.SELECTION, c.IMPORTANCE, c.SURROGATES, c.REASONS)
            tables |= {table.name: self._per_target("explain", table) for table in explained}
            figures = judgement.judge(
                known, windows, judged=self._judged(windows), flat_columns=self._read("columns", c.FLAT_COLUMNS),
                collinearity=self._read(f"explain.{self.targets[0]}", c.COLLINEARITY), **tables,
            )  # fmt: skip
            itself = judge_attribution(known, self._per_target("explain", c.ATTRIBUTION))
            out.write(c.TRUTH_FIGURES, pd.concat([figures, itself], ignore_index=True))
            with self._event_log() as event_log:
                drawn = portrait.portrait(event_log, self.experiment.log.timezone, known)
            for table in PORTRAIT:
                out.write(table, drawn[table.name])

        after = [
            "simulation",
            "log",
            "windows",
            "columns",
            *(f"{s}.{t}" for s in ("models", "explain") for t in self.targets),
        ]
        sources = [f"simulator/{module}" for module in simulator.JUDGE]
        self._stage("truth", sources, after, {"seed": self._seed}, compute)

    def report(self) -> dict[str, Any]:
        """All tables → index.html and report.json; → the summary."""
        from tschurn import report

        tables = report_tables(self.done, self.experiment, self.targets, self.origins, self.run.folder)
        manifest = {"versions": versions(), "commit": commit(), "data": self.files}
        self.progress("report", 0, 1)
        summary = report.build(tables, self.notes, self.experiment, manifest, self.run.folder)
        self.progress("report", 1, 1)
        return summary

    @property
    def _seed(self) -> int:
        return self.experiment.experiment.seed

    def _section(self, name: str) -> dict[str, Any]:
        section = getattr(self.experiment, name)
        return {} if section is None else section.model_dump(mode="json")

    def _stage(
        self, name: str, source: list[str], after: list[str], inputs: dict[str, Any],
        compute: Callable[[StageFolder], None], deferred: bool = False,
        told: Callable[[StageFolder], str] | None = None,
    ) -> None:  # fmt: skip
        family = name.split(".")[0]
        contracts = [f"contracts/{area}" for area in ("table", "protocols", *_CONTRACTS.get(family, [family]))]
        inputs = {**inputs, "source": source_digest(*source, *contracts), "versions": versions()}
        self.progress(name, 0, 1)
        found = self.run.stage(name, inputs, after, compute, deferred=deferred)
        if found is not None:
            self.done[name] = found
            notes = ["unchanged"] if name in self.run.reused else [self._damage(name)]
            self.progress(name, 1, 1, ", ".join(filter(None, [*notes, told(found)] if told else notes)))

    def _damage(self, stage: str) -> str:
        """→ why a stage that stood there was computed again; nothing if it was not, or for another reason."""
        found = self.run.damaged.get(stage)
        return f"damaged: {', '.join(found)}; done again" if found else ""

    def _read(self, stage: str, table: c.Table) -> pd.DataFrame:
        return self.done[stage].read(table)

    def _per_target(self, stage: str, table: c.Table) -> pd.DataFrame:
        import pandas as pd

        return pd.concat([self._read(f"{stage}.{target}", table) for target in self.targets], ignore_index=True)

    def _earlier_origins(self) -> dict[str, list[int]]:
        """The origins before the last, by target, at which every block holds both classes: the others teach nothing."""
        if self.experiment.split.kind != "rolling":
            return {target: [] for target in self.targets}
        from tschurn import features

        windows = self._read("windows", c.WINDOWS)
        days = int(self._read("log", c.LOG_SUMMARY)["days"].iloc[0])
        at = {
            k: windows.assign(split=features.split_at(windows, days, self.experiment, k))
            for k in range(1, self.experiment.split.origins)
        }
        return {
            t: [k for k, d in at.items() if learnable(counted(d, t, self.experiment), c.LABELS[t])]
            for t in self.targets
        }

    def _explained_windows(self, windows: WindowSet) -> np.ndarray:
        """Positions of the windows to give reasons for: those of the list, and those to be judged by the truth."""
        import numpy as np

        return (
            windows.newest() if "simulation" not in self.done else np.union1d(windows.newest(), self._judged(windows))
        )

    def _judged(self, windows: WindowSet) -> np.ndarray:
        """Positions of the test windows whose reasons are judged: a sample where there are many."""
        import numpy as np

        test = windows.rows("test")
        random = np.random.default_rng([self._seed, 8])
        return test if len(test) <= _JUDGED else np.sort(random.choice(test, _JUDGED, replace=False))

    def _windows(self) -> WindowSet:
        return workers.open_windows(self.done["windows"], self.experiment)


def _worth(log: StageFolder) -> str:
    """The finished stage `log` → how many findings there are, before anything is computed from it."""
    found = log.read(c.QUALITY)["severity"].value_counts()
    counts = {name: int(found.get(name, 0)) for name in ("warning", "note")}
    return " and ".join(f"{n} {name}{'s' * (n != 1)}" for name, n in counts.items()) + " on its quality"


def reading_simulated(experiment: Experiment, folder: Path) -> Experiment:
    """The experiment with the files of its simulated log in place of the dataset's name."""
    from tschurn import simulator

    files = {"path": str(folder / simulator.EVENTS_FILE), "creators": str(folder / simulator.CREATORS_FILE)}
    log = experiment.log.model_copy(update={"dataset": None, **files})
    return experiment.model_copy(update={"log": log})
