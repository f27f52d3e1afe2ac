"""The examples of docs/schedule: each command in them is one that there is, and each file one that its reader takes."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tschurn import cli

EXAMPLES = Path(__file__).parent.parent / "docs" / "schedule"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.is_file())
# Of Airflow's own documentation of the BashOperator, and what every operator takes.
OPERATOR = {"task_id", "bash_command", "env", "append_env", "output_encoding", "skip_on_exit_code", "cwd",
            "output_processor", "retries", "retry_delay", "execution_timeout"}  # fmt: skip
DAG = {"schedule", "start_date", "catchup", "max_active_runs"}
STUB = """#!/bin/sh
# In place of tschurn: says what it was asked, and ends with the next code of the file `codes`.
echo "$*" >>asked
read -r code recommendation <codes
sed -i 1d codes
for word; do
    [ "${before:-}" = --out ] && mkdir -p "$word" && echo user_id >"$word/priority_group.csv"
    before=$word
done
echo "{\\"summary\\": {\\"recommendation\\": \\"$recommendation\\"}}"
exit "$code"
"""


def commands(text: str) -> list[list[str]]:
    """Text → the commands `tschurn ...` in it, as lists of arguments."""
    text = re.sub(r'"\n\s*"|\\\n\s*', "", text)  # what goes on in the next line
    text = re.sub(r"\$\(.*?\)|\$\w+", "X", text)
    found = re.findall(r"(?:^|[\s`\"(])tschurn ((?:run|score|recalibrate|report|simulate|follow-up) [^\n`|>&;]*)", text)
    return [shlex.split(re.sub(r"\s#.*", "", one).strip(' "\\,')) for one in found]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_command_is_one_that_there_is(file: Path) -> None:
    found = commands(file.read_text(encoding="utf-8"))
    assert found or file.suffix in {".service", ".timer"} or file.name == "crontab"
    for arguments in found:
        cli._parser().parse_args(arguments)


def test_the_readme_tells_what_each_exit_code_asks_for() -> None:
    told = re.findall(r"^\| (\d+) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    from tschurn.endings import EXIT_CODES

    assert [int(code) for code in told] == list(EXIT_CODES)


def test_the_readme_names_each_file() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert not [file.name for file in FILES if file.name != "README.md" and f"({file.name})" not in text]


@pytest.mark.parametrize("file", [f for f in FILES if f.suffix == ".sh"], ids=lambda file: file.name)
def test_scripts_are_whole_and_can_be_run(file: Path) -> None:
    assert os.access(file, os.X_OK)
    subprocess.run(["sh", "-n", file], check=True)


def test_the_crontab_has_five_fields_and_scripts_that_there_are() -> None:
    lines = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    jobs = [line for line in lines if not re.match(r"[A-Z]+=", line)]
    assert len(jobs) == 2
    for job in jobs:
        assert re.match(r"([\d*,/-]+ +){5}", job) and not re.search(r"(?<!\\)%", job)
        assert (EXAMPLES.parent.parent / re.search(r"docs/schedule/\S+", job).group()).exists()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for file in EXAMPLES.glob("tschurn-*"):
        text = file.read_text().replace("/srv/tschurn", str(EXAMPLES.parent.parent)).replace("User=tschurn\n", "")
        (tmp_path / file.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if "tschurn" in line]
    assert not told, told


def test_the_dag_asks_airflow_for_what_it_documents() -> None:
    """Airflow is not installed here; it is read as what it is, and its commands above as what they are."""
    tree = ast.parse((EXAMPLES / "airflow_dag.py").read_text(encoding="utf-8"))
    imported = {f"{n.module}.{a.name}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {name for name in imported if name.startswith("airflow")} == {
        "airflow.sdk.DAG", "airflow.providers.standard.operators.bash.BashOperator"
    }  # fmt: skip
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    operators, dags = ([n for n in calls if n.func.id == name] for name in ("BashOperator", "DAG"))
    assert len(operators) == 4 and len(dags) == 2
    assert {k.arg for n in operators for k in n.keywords if k.arg} <= OPERATOR
    assert {k.arg for n in dags for k in n.keywords} == DAG
    tasks = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "TASKS")
    assert {key.value for key in tasks.keys} <= OPERATOR


@pytest.mark.parametrize(
    ("codes", "asked", "end", "delivered"),
    [
        (["0 fine"], ["score"], 0, True),
        (["0 unknown"], ["score"], 0, True),
        (["3 retrain"], ["score"], 3, True),
        (["3 recalibrate", "0 fine", "0 fine"], ["score", "recalibrate", "score"], 0, True),
        (["3 recalibrate", "2 fine"], ["score", "recalibrate"], 2, True),
        (["4 -", "0 fine"], ["score", "score"], 0, True),
        (["4 -", "4 -"], ["score", "score"], 4, False),
        (["2 -"], ["score"], 2, False),
        (["1 -"], ["score"], 1, False),
    ],
)
def test_monday_does_what_the_exit_code_asks_for(
    tmp_path: Path, codes: list[str], asked: list[str], end: int, delivered: bool
) -> None:
    """The script itself, with a stand-in for tschurn that ends as it is told: its codes are tested elsewhere."""
    (tmp_path / "tschurn").write_text(STUB)
    (tmp_path / "tschurn").chmod(0o755)
    (tmp_path / "codes").write_text("\n".join(codes) + "\n")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WAIT": "0"}
    done = subprocess.run(
        [EXAMPLES / "monday.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == end, done.stderr
    lines = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in lines] == asked
    for line in lines:
        cli._parser().parse_args(shlex.split(line))
    assert [p.suffix for p in (tmp_path / "calls").iterdir()] == [".csv"] * delivered


def test_current_moves_only_to_a_run_that_is_done(tmp_path: Path) -> None:
    (tmp_path / "tschurn").write_text('#!/bin/sh\nmkdir -p "reports/mine/$4"\nexit "$(cat code)"\n')
    (tmp_path / "tschurn").chmod(0o755)
    current = tmp_path / "reports" / "mine" / "current"
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for code in (4, 0, 0):
        (tmp_path / "code").write_text(str(code))
        done = subprocess.run([EXAMPLES / "retrain.sh"], cwd=tmp_path, env=environment, check=False)
        assert done.returncode == code and current.is_symlink() == (code == 0)
    assert current.is_dir() and re.fullmatch(r"\d{4}-\d\d", os.readlink(current))
    assert sorted(p.name for p in current.parent.iterdir()) == sorted([os.readlink(current), "current"])


def test_the_stand_in_speaks_as_tschurn_does() -> None:
    """What monday.sh and the DAG read of --json is where --json has it."""
    from tschurn.commands import Result

    answer = cli._Answer(as_json=True)
    told = json.loads(answer.of(Result({"list": Path("x")}, {"recommendation": "fine"})))
    assert told["summary"]["recommendation"] == "fine" and told["paths"]["list"] == "x"
