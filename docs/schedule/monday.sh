#!/bin/sh
# One Monday: score, calibrate anew if drift asks for it, and hand the list over. Run in the project's folder.
#
# Ends with tschurn's exit code: 0 done, 3 the list is there, but the models should be trained anew (retrain.sh).
set -u
run=reports/mine/current
log=data/events.parquet
out=lists/$(date +%F)
calls=${CALLS:-calls} # where the callers look

mkdir -p log lists "$calls"

score() {
    tschurn score "$run" --log "$log" --out "$out" --fail-on recalibrate --json --quiet --log-file log/score.log \
        >log/score.json
}
asked() {
    python3 -c 'import json; print(json.load(open("log/score.json"))["summary"]["recommendation"])'
}

# The list takes its place at once, so that nobody opens half of one.
deliver() {
    cp "$out/priority_group.csv" "$calls/.priority_group.csv" &&
        mv "$calls/.priority_group.csv" "$calls/$(date +%F).csv" || exit 4
}

score
code=$?
if [ "$code" -eq 4 ]; then # disk or memory: once more when others are done
    sleep "${WAIT:-600}"
    score
    code=$?
fi
case $code in 0 | 3) deliver ;; *) exit "$code" ;; esac
if [ "$code" -eq 3 ] && [ "$(asked)" = recalibrate ]; then
    tschurn recalibrate "$run" --log "$log" --quiet --log-file log/score.log && score
    code=$?
    case $code in 0 | 3) deliver ;; esac
fi
exit "$code"
