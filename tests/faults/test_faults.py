"""Whatever kills a run, fills its disk or damages its folder: the next run ends as an undisturbed one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faults.attempt import Attempt
from faults.damage import DAMAGES, damage
from faults.folder import differences, half_written
from faults.injector import Life, Undisturbed, as_markdown, undisturbed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")]
SEED, FAULTS = 7, 20


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed(tmp_path_factory.mktemp("faults") / "one")


@pytest.fixture
def finished(pattern: Undisturbed, tmp_path: Path) -> Path:
    """A copy of the undisturbed run's folder."""
    return shutil.copytree(pattern.folder, tmp_path / "life" / "latest")


def test_twenty_faults_are_survived(pattern: Undisturbed, tmp_path: Path) -> None:
    injections = Life(0, SEED, tmp_path / "life 0", pattern).live(FAULTS)
    assert len(injections) == FAULTS
    assert not any(i.lost for i in injections), as_markdown(injections, SEED, 0)


def test_a_lost_result_would_be_seen(pattern: Undisturbed, finished: Path) -> None:
    """The comparison that all rests on."""
    assert differences(finished, pattern.folder) == []
    table = finished / "stages" / "windows" / "windows.parquet"
    damage(table, "bit turned", np.random.default_rng(0))
    assert half_written(finished, pattern.folder, set()) == ["stages/windows/windows.parquet"]
    assert differences(finished, pattern.folder) == ["different: stages/windows/windows.parquet"]
    (finished / "scores.csv").unlink()
    (finished / "stages" / ".log.partial").mkdir()
    manifest = json.loads((finished / "manifest.json").read_text())
    (finished / "manifest.json").write_text(json.dumps(manifest | {"counters": {}}))
    assert differences(finished, pattern.folder) == [
        "missing: scores.csv", "different: stages/windows/windows.parquet", "left: .log.partial", "manifest: counters",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_report_of_a_damaged_folder_is_one_sentence_and_a_run_mends_it(
    pattern: Undisturbed, finished: Path, tschurn: Callable[..., tuple[int, str, str]], kind: str
) -> None:
    random = np.random.default_rng(3)
    damage(finished / "stages" / "segments" / "priority.parquet", kind, random)
    damage(finished / "stages" / "log" / "quality.parquet", kind, random)
    code, _, complaint = tschurn("report", finished)
    assert code == 2 and str(finished) in complaint and "run the experiment again" in complaint
    told = [line for line in complaint.splitlines() if line.startswith("tschurn: ")]
    assert len(told) == 1 and "log/quality.parquet, segments/priority.parquet" in told[0]
    assert "Traceback" not in complaint
    ended = Attempt(pattern.toml, finished.parent.parent).wait(600)
    assert ended.code == 0, ended.said
    assert differences(finished, pattern.folder) == []
