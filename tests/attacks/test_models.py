"""Model files from somebody who means harm: data or one sentence, never code, never the end of the process."""

from __future__ import annotations

import ast
import io
import json
import pickle
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

import tschurn
from tschurn import disk
from tschurn.errors import ModelError
from tschurn.features.windows import WindowSet
from tschurn.models.baselines import Average, Logistic, MostFrequent
from tschurn.models.boosting import Boosting
from tschurn.models.calibration import Calibration
from tschurn.models.graphs import ARCHITECTURES, Hyperparameters, Shape
from tschurn.models.model import Model
from tschurn.models.networks import make_network
from tschurn.models.saved import load_model, save_model
from tschurn.models.stored import MOST_BYTES, weight_shapes
from tschurn.models.venn_abers import Intervals

ROWS = np.arange(60)


def make_windows() -> WindowSet:
    draw = np.random.default_rng(0)
    daily, history = ["own:a:count", "own:b:count"], ["history:x", "history:y"]
    index = pd.DataFrame({"user_id": 0, "user": ROWS % 20, "anchor": 10 + ROWS % 5})
    features = pd.DataFrame({"feature": daily + history, "kind": ["daily"] * 2 + ["history"] * 2, "side": "own",
                             "measure": "count"})  # fmt: skip
    panel = draw.poisson(1, (20, 30, 2)).astype(np.float32)
    return WindowSet(index, features, panel, draw.random((60, 2)).astype(np.float32), 7, lives_of(panel))


WINDOWS = make_windows()


def a_model(kind: str) -> Model:
    if kind == "average":
        return Average([a_model("logistic"), a_model("boosting")])
    model = {
        "network": lambda: make_network("gru", Hyperparameters(units=4, scaling="piecewise"), 1, 1, ("churn",)),
        "causal": lambda: make_network("c", Hyperparameters("causal_gru", "piecewise", 4), 1, 1, ("churn",)),
        "most_frequent": MostFrequent,
        "logistic": lambda: Logistic("logistic_history", "history"),
        "boosting": lambda: Boosting("lightgbm_history", "flat", 1, 1),
    }[kind]()
    if kind == "boosting":
        model.parameters["min_data_in_leaf"] = 2
    model.fit(WINDOWS, ROWS, np.random.default_rng(1).integers(0, 2, 60).astype(float))
    return model


@pytest.fixture(scope="module")
def fitted() -> dict[str, Model]:
    return {kind: a_model(kind) for kind in ("network", "causal", "most_frequent", "logistic", "boosting", "average")}


def save(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model", WINDOWS)
    return tmp_path / "model"


def resign(folder: Path) -> None:
    """What somebody who can write the folder would do: note the hashes of what they have put there."""
    note = json.loads((folder / "features.json").read_text())
    (folder / "features.json").unlink()
    (folder / "features.json").write_text(json.dumps(note | {"files": disk.contents(folder)}))


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder, WINDOWS)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1000 and message.startswith(str(folder)) and "train" in message
    return message


class Harm:
    """Unpickling it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.made,))


@pytest.mark.parametrize("kind", ["network", "causal", "most_frequent", "logistic", "boosting", "average"])
def test_pickles_in_place_of_any_file_are_not_run(fitted: dict[str, Model], kind: str, tmp_path: Path) -> None:
    made = tmp_path / "harm"
    folder = save(fitted[kind], tmp_path)
    for file in [f for f in folder.rglob("*") if f.is_file()]:
        kept = file.read_bytes()
        file.write_bytes(pickle.dumps(Harm(made)))
        if file.name != "features.json":
            resign(folder)
        refused(folder)
        file.write_bytes(kept)
    assert not made.exists()
    pickle.loads(pickle.dumps(Harm(made)))
    assert made.exists()  # that the pickle does harm


def test_arrays_of_objects_are_not_run(fitted: dict[str, Model], tmp_path: Path) -> None:
    folder, made = save(fitted["network"], tmp_path), tmp_path / "harm"
    weights = dict(fitted["network"]._weights)
    for some in ({"harm": np.array([Harm(made)], dtype=object)},
                 weights | {"log_odds/bias": np.array([Harm(made)], dtype=object)}):  # fmt: skip
        np.savez(folder / "weights.npz", **some)
        resign(folder)
        refused(folder)
    np.save(folder / "weights.npy", np.array([Harm(made)], dtype=object))
    (folder / "weights.npy").replace(folder / "weights.npz")
    resign(folder)
    refused(folder)
    assert not made.exists()


def test_a_keras_file_with_a_lambda_is_never_opened(fitted: dict[str, Model], tmp_path: Path) -> None:
    import keras

    made = tmp_path / "harm"
    code = f"lambda x: (open({str(made)!r}, 'w').close(), x)[1]"
    harmful = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(eval(code))])
    made.unlink(missing_ok=True)  # building it has run it
    harmful.save(tmp_path / "harm.keras")
    keras_file = (tmp_path / "harm.keras").read_bytes()
    made.unlink(missing_ok=True)

    folder = save(fitted["network"], tmp_path)
    (folder / "model.keras").write_bytes(keras_file)  # beside the weights: nobody looks at it
    np.testing.assert_array_equal(
        load_model(folder, WINDOWS).log_odds(WINDOWS, ROWS), fitted["network"].log_odds(WINDOWS, ROWS)
    )
    for name in ("weights.npz", "model.json"):
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(keras_file)
        resign(folder)
        refused(folder)
        (folder / name).write_bytes(kept)
    assert not made.exists()


def npz(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(shape: tuple[int, ...], content: bytes = b"", dtype: str = "<f4") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + content


def test_arrays_of_other_shapes_sizes_and_kinds_are_refused_before_they_are_read(
    fitted: dict[str, Model], tmp_path: Path
) -> None:
    import tracemalloc

    folder = save(fitted["network"], tmp_path)
    weights = {f"{k}.npy": npy(v.shape, v.tobytes()) for k, v in fitted["network"]._weights.items()}
    npz(folder / "weights.npz", weights)
    resign(folder)
    load_model(folder, WINDOWS)
    bias = "log_odds/bias.npy"
    bombs = {
        "a bomb of zeros": weights | {bias: npy((1,), bytes(512 << 20))},
        "a shape of 4 TiB": weights | {bias: npy((1 << 40,), bytes(4))},
        "too few": weights | {bias: npy((1,))},
        "a negative shape": weights | {bias: npy((-1,), bytes(4))},
        "double precision": weights | {bias: npy((1,), bytes(8), "<f8")},
        "a NaN": weights | {bias: npy((1,), np.float32("nan").tobytes())},
        "an infinity": weights | {bias: npy((1,), np.float32("inf").tobytes())},
        "one more": weights | {"more.npy": npy((1,), bytes(4))},
        "one less": {k: v for k, v in weights.items() if k != bias},
        "no header": weights | {bias: b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 60_000},
        "a path": {("../" + k if k == bias else k): v for k, v in weights.items()},
        "no zip at all": None,
    }
    for what, members in bombs.items():
        if members is None:
            (folder / "weights.npz").write_bytes(bytes(1000))
        else:
            npz(folder / "weights.npz", members)
        del members
        resign(folder)
        tracemalloc.start()
        refused(folder)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20, (what, peak)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_shapes_that_are_expected_are_those_of_the_graph(architecture: str) -> None:
    from tschurn.models.graphs import Averaged, graph

    h = Hyperparameters(architecture, units=5, history_units=3, dense_units=4)
    for history in (0, 6) if architecture != "causal_gru" else (0,):
        shape = Shape(7, 9, history, 2)
        made = Averaged(graph(h, shape).model).by_path()
        assert weight_shapes(h, shape) == {path: array.shape for path, array in made.items()}


def test_a_network_as_large_as_its_note_says_is_not_made(fitted: dict[str, Model], tmp_path: Path) -> None:
    folder = save(fitted["network"], tmp_path)
    note = json.loads((folder / "model.json").read_text())
    note["hyperparameters"]["units"] = 60_000
    (folder / "model.json").write_text(json.dumps(note))
    resign(folder)
    assert f"{MOST_BYTES:,}" in refused(folder)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of absurd scales; what overflows counts as 0
@pytest.mark.parametrize("kind", ["network", "causal", "most_frequent", "logistic", "boosting"])
def test_any_value_of_the_note_may_be_another_one(fitted: dict[str, Model], kind: str, tmp_path: Path) -> None:
    """A model or one sentence, and what loads answers with numbers."""
    folder = save(fitted[kind], tmp_path)
    whole = json.loads((folder / "model.json").read_text())
    others = (None, -1, 0, 10**9, 10**400, 1e308, "", "x", [], [[]], {}, True, "../../etc/passwd", float("nan"))
    refusals = 0
    for path in paths_of(whole):
        for other in others:
            (folder / "model.json").write_text(json.dumps(changed(whole, path, other)))
            resign(folder)
            try:
                model = load_model(folder, WINDOWS)
            except ModelError as error:
                refusals += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
            else:
                assert np.isfinite(model.log_odds(WINDOWS, ROWS)).all(), (path, other)
    assert refusals > 10


def paths_of(value: object, path: tuple = ()) -> list[tuple]:
    """The way to every value in a note; of a list, to its first two."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [path, *(p for key, v in inside for p in paths_of(v, (*path, key)))]


def changed(value: object, path: tuple, other: object) -> object:
    if not path:
        return other
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = changed(value[path[0]], path[1:], other)
    return copied


DAMAGES: dict[str, Callable[[str], str]] = {
    "a circle": lambda t: re.sub(r"left_child=(\S+)", "left_child=0", t, count=1),
    "a child far away": lambda t: re.sub(r"left_child=(\S+)", "left_child=99999999", t, count=1),
    "a leaf far away": lambda t: re.sub(r"left_child=(\S+)", "left_child=-99999999", t, count=1),
    "a feature that is not there": lambda t: re.sub(r"split_feature=(\S+)", "split_feature=999999", t, count=1),
    "many leaves": lambda t: re.sub(r"num_leaves=\d+", "num_leaves=2000000000", t, count=1),
    "no leaves": lambda t: re.sub(r"num_leaves=\d+", "num_leaves=0", t, count=1),
    "categories": lambda t: re.sub(r"decision_type=\d+", "decision_type=1", t, count=1),
    "no trees at a time": lambda t: t.replace("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
    "five at a time": lambda t: t.replace("num_tree_per_iteration=1", "num_tree_per_iteration=5"),
    "many classes": lambda t: t.replace("num_class=1", "num_class=1000000000"),
    "a value that is none": lambda t: re.sub(r"leaf_value=\S+", "leaf_value=nan", t, count=1),
    "a value too few": lambda t: re.sub(r"leaf_value=\S+ ", "leaf_value=", t, count=1),
    "cut off": lambda t: t[: len(t) // 3],
    "nothing": lambda _: "",
    "deep brackets": lambda t: t.replace("pandas_categorical:null", "pandas_categorical:" + "[" * 100_000),
}


@pytest.mark.parametrize("damage", [*DAMAGES, *(f"{d}, sizes set right" for d in list(DAMAGES)[:7])])
def test_text_that_would_end_lightgbm_does_not_reach_it(fitted: dict[str, Model], damage: str, tmp_path: Path) -> None:
    folder = save(fitted["boosting"], tmp_path)
    text = DAMAGES[damage.partition(",")[0]]((folder / "booster.txt").read_text())
    if damage.endswith("right"):
        text = with_right_sizes(text)
    (folder / "booster.txt").write_text(text)
    resign(folder)
    if damage == "deep brackets":  # what comes after the trees is not read
        assert np.isfinite(load_model(folder, WINDOWS).log_odds(WINDOWS, ROWS)).all()
    else:
        refused(folder)


def with_right_sizes(text: str) -> str:
    head, _, rest = text.partition("\n\n")
    trees = re.split(r"(?=Tree=\d+\n)", rest[: rest.index("end of trees")])[1:]
    return re.sub(r"tree_sizes=.*", "tree_sizes=" + " ".join(str(len(t)) for t in trees), head) + "\n\n" + rest


MUTATED = """
import json, random, re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_models import WINDOWS, ROWS, resign, with_right_sizes
from tschurn.errors import ModelError
from tschurn.models.saved import load_model
import numpy as np
folder, draw = Path(sys.argv[2]), random.Random(int(sys.argv[3]))
whole = (folder / "booster.txt").read_text()
whole = whole[: whole.index("end of trees") + 14]
loaded = refused = 0
for _ in range(int(sys.argv[4])):
    text = whole
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(text))
        kind = draw.random()
        if kind < 0.6:
            number = draw.choice(["0", "-1", "1", "7", "-7", "99999", "1e400", "nan", "", "2", "-3"])
            found = list(re.finditer(r"-?[0-9][0-9.e+-]*", text))
            m = draw.choice(found)
            text = text[: m.start()] + number + text[m.end() :]
        elif kind < 0.8:
            text = text[:at] + text[at + draw.randint(1, 200) :]
        else:
            text = text[:at] + draw.choice([" ", "\\n", "=", "x", "\\0", "-", "Tree=0\\n"]) + text[at:]
    try:
        text = with_right_sizes(text)
    except ValueError:
        pass
    (folder / "booster.txt").write_text(text)
    resign(folder)
    try:
        model = load_model(folder, WINDOWS)
        loaded += 1
    except ModelError:
        refused += 1
        continue
    assert np.isfinite(model.log_odds(WINDOWS, ROWS)).all()
    assert np.isfinite(model.contributions(WINDOWS, ROWS)).all()
print(loaded, refused)
"""


def test_changed_text_never_ends_the_process(fitted: dict[str, Model], tmp_path: Path) -> None:
    """In a process of its own, since LightGBM would take this one along."""
    folder = save(fitted["boosting"], tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MUTATED, str(Path(__file__).parent), str(folder), "1", "400"],
        capture_output=True, text=True, timeout=300, env={**__import__("os").environ, "PYTHONPATH": "tests"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    loaded, refusals = map(int, done.stdout.split())
    assert loaded > 10 and refusals > 100  # both happen


def test_what_is_damaged_by_chance_is_found(fitted: dict[str, Model], tmp_path: Path) -> None:
    """A single bit anywhere: the hashes tell it, though the model may still look like one."""
    draw = random.Random(3)
    for kind in ("network", "boosting", "average"):
        folder = save(fitted[kind], tmp_path / kind) if (tmp_path / kind).mkdir() is None else None
        for file in [f for f in folder.rglob("*") if f.is_file() and f.name != "features.json"]:
            kept = file.read_bytes()
            for _ in range(4):
                damaged = bytearray(kept)
                damaged[draw.randrange(len(kept))] ^= 1 << draw.randrange(8)
                file.write_bytes(damaged)
                assert "damaged" in refused(folder)
            file.write_bytes(kept)
        load_model(folder, WINDOWS)


@pytest.mark.parametrize("name", ["model.json", "features.json", "weights.npz"])
def test_what_is_no_plain_file_is_not_waited_for(fitted: dict[str, Model], name: str, tmp_path: Path) -> None:
    import os

    folder = save(fitted["network"], tmp_path)
    for make in (os.mkfifo, lambda p: os.symlink("/dev/zero", p), lambda p: os.symlink(p.name, p), Path.mkdir):
        (folder / name).unlink()
        make(folder / name)
        refused(folder)
        (folder / name).rmdir() if (folder / name).is_dir() else (folder / name).unlink()
        (folder / name).touch()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Calibration, {"method": "platt", "x": [-1.0], "p": [0.0], "tried": []}),
        (Calibration, {"method": "platt", "x": [1.0, 2.0], "p": [0.0], "tried": []}),
        (Calibration, {"method": "os.system", "x": [1.0], "p": [0.0], "tried": []}),
        (Calibration, {"method": "isotonic", "x": [0.0, 1.0], "p": [0.9, 0.1], "tried": []}),
        (Calibration, {"method": "isotonic", "x": [0.0], "p": [2.0], "tried": []}),
        (Calibration, {"method": "isotonic", "x": [], "p": [], "tried": []}),
        (Calibration, {"method": "platt", "x": [float("nan")], "p": [0.0], "tried": []}),
        (Intervals, {"low_x": [0.0], "low_p": [], "high_x": [0.0], "high_p": [1.0]}),
        (Intervals, {"low_x": [0.0, 1.0], "low_p": [0.5, 0.1], "high_x": [0.0], "high_p": [1.0]}),
        (Intervals, {"low_x": [0.0], "low_p": [0.5], "high_x": [0.0], "high_p": [float("inf")]}),
    ],
)
def test_maps_that_are_none_are_refused(kind: type, values: dict) -> None:
    with pytest.raises(ValueError):
        kind.from_dict(values)


# --- the source ----------------------------------------------------------------------------------
PACKAGE = Path(tschurn.__file__).parent
NEVER = {"eval", "exec", "compile", "__import__"}  # built-in functions
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "yaml", "marshal", "shelve", "torch", "jsonpickle"}
# what processes of ours send each other; never a file
WITH_PICKLE = {"models/search.py"}
LOADERS = {"model_from_json", "from_config", "read_pickle", "deserialize_keras_object"}


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_nothing_in_the_source_can_run_what_it_reads(file: Path) -> None:
    where = file.relative_to(PACKAGE).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        imported = {a.name for a in node.names} if isinstance(node, ast.Import) else (
            {node.module} if isinstance(node, ast.ImportFrom) else set())  # fmt: skip
        if where not in WITH_PICKLE:
            assert not {name.split(".")[0] for name in imported} & MODULES, where
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        assert not (isinstance(node.func, ast.Name) and name in NEVER), f"{where}:{node.lineno}"
        assert name not in LOADERS, f"{where}:{node.lineno}"
        assert name != "load_model" or "keras" not in ast.unparse(node.func), f"{where}:{node.lineno}"
        arguments = {k.arg: k.value for k in node.keywords}
        numpy = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "np"
        if (numpy and name in ("load", "save")) or "allow_pickle" in arguments:
            assert isinstance(arguments.get("allow_pickle"), ast.Constant), f"{where}:{node.lineno}"
            assert arguments["allow_pickle"].value is False, f"{where}:{node.lineno}"
        assert name not in ("loads", "load") or getattr(node.func.value, "id", "") not in MODULES or (
            where in WITH_PICKLE), f"{where}:{node.lineno}"  # fmt: skip
