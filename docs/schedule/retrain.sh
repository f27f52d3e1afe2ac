#!/bin/sh
# New models, in a run folder of their own; `current` points to it only when it is done. Run in the project's folder.
set -eu
name=$(date +%Y-%m)
mkdir -p log
tschurn run experiments/mine.toml --run "$name" --quiet --log-file log/retrain.log
ln -sfn "$name" reports/mine/.current
mv -T reports/mine/.current reports/mine/current
