# Everything sets itself up: the virtual environment is made, and made anew when its recipe changes.
EXPERIMENT ?= complete_journey
PYTHON ?= python3
SECONDS ?= 600
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup experiment test lint bench bench-windows bench-models bench-explain bench-truth bench-report bench-scoring bench-cycles docs faults fuzz clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## make the virtual environment with all pinned dependencies

$(READY): setup.cfg pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[process,borutashap,postgres,spark,jax,mlflow,bench,docs,test]'
	@touch $@

experiment: $(READY)  ## run an experiment and write its report (EXPERIMENT=complete_journey)
	@$(BIN)/tschurn run experiments/$(EXPERIMENT).toml

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(READY)  ## check style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: bench-windows bench-models bench-explain bench-truth bench-report bench-scoring bench-cycles  ## run all benchmarks; figures in benchmarks/RESULTS.md

bench-windows: $(READY)  ## from a raw log to windows, against other ways to do it, and 10 and 40 times the rows
	@$(BIN)/python benchmarks/windows.py

bench-models: $(READY)  ## training, searching and scoring networks, against other ways to do it (PyTorch where it is installed)
	@$(BIN)/python benchmarks/models.py

bench-explain: $(READY)  ## selecting features, and asking a network itself, against other ways to do it (TimeSHAP where it is installed)
	@$(BIN)/python benchmarks/explain_selection.py
	@$(BIN)/python benchmarks/explain_attribution.py

bench-truth: $(READY)  ## mark the explanations by the truth of the simulated platform, at full size
	@$(BIN)/python benchmarks/truth.py

bench-report: $(READY)  ## size, building and opening of the report, against other tools' pages (needs a finished run and Chromium)
	@$(BIN)/python benchmarks/report.py

docs: $(READY)  ## build the guide in English and Korean: docs/_build/index.html
	@for language in en ko; do $(BIN)/sphinx-build -W --keep-going -q -t $$language -c docs docs/$$language docs/_build/$$language || exit 1; done
	@cp docs/index.html docs/_build/

fuzz: $(READY)  ## change bytes at random and hand them to the doors: benchmarks/FUZZ.md (SECONDS=600)
	@$(BIN)/python tests/fuzz/fuzz.py --seconds $(SECONDS) --report benchmarks/FUZZ.md

faults: $(READY)  ## kill runs, fill their disk, damage their folders, 200 times: benchmarks/FAULTS.md
	@PYTHONPATH=tests $(BIN)/python -m faults.injector 200 --out benchmarks/FAULTS.md

bench-scoring: $(READY)  ## score a hundred thousand and a million users with a finished run: time, memory, beside the bare scan
	@$(BIN)/python benchmarks/scoring.py

bench-cycles: $(READY)  ## weekly cycles on simulated platforms: false alarms of drift, and when it catches a planted change
	@$(BIN)/python benchmarks/cycles.py
	@$(BIN)/python benchmarks/mondays.py

clean:  ## remove the virtual environment and all reports
	rm -rf $(VENV) && find reports -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
