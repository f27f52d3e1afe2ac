"""The rules of the architecture, read off the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tschurn

PACKAGE = Path(tschurn.__file__).parent
STAGES = {"events", "exploration", "features", "models", "explain", "segments", "drift", "report"}
SHARED = {"tschurn", "contracts", "errors", "config", "runs", "blocks", "processes", "spreadsheet", "disk", "memory",
          "booster_text"}  # fmt: skip
# What may be named where: library → the only places.
ONLY_IN = {
    "duckdb": {"events/engine.py"},
    "keras": {"models/"},
    "keras_tuner": {"models/"},
    "tensorflow": {"models/"},
    "plotly": {"report/"},
    "jinja2": {"report/"},
    "pm4py": {"exploration/discovery.py"},
    "BorutaShap": {"explain/borutashap_package.py"},
    "pyspark": {"events/engine.py"},
    "psycopg": {"events/engine.py"},
    "mlflow": {"tracking.py"},
}


def imports(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", [f for f in FILES if f.parent != PACKAGE], ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_stage_imports_another(file: Path) -> None:
    stage = file.relative_to(PACKAGE).parts[0]
    for name in imports(file):
        if name.split(".")[0] == "tschurn":
            target = name.split(".")[1] if "." in name else "tschurn"
            assert target in SHARED | {stage}, f"{file} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_libraries_stay_in_their_place(file: Path) -> None:
    where = str(file.relative_to(PACKAGE))
    for name in imports(file):
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or any(where.startswith(place) for place in allowed), f"{where} imports {name}"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['tschurn', '--help']\n"
        "from tschurn.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'shap', 'lightgbm', 'pm4py', 'pandas', 'numpy', 'ibis', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_every_module_says_what_it_does() -> None:
    silent = [str(f) for f in FILES if not ast.get_docstring(ast.parse(f.read_text(encoding="utf-8")))]
    assert not silent


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py"], ids=lambda f: f.parent.name)
def test_no_function_of_a_package_has_the_name_of_its_module(file: Path) -> None:
    """Importing the module would put it in the function's place, from then on and for everybody."""
    names = {
        node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    }
    assert not names & {module.stem for module in file.parent.iterdir()}
