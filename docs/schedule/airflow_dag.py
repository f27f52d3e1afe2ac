"""a week's log → its list, and once a month new models: two DAGs for Airflow 3.

Only the BashOperator of the standard provider is used, so that tschurn can live in an environment of its own. A task
that Airflow ends gets SIGTERM, which tschurn takes; a run goes on where it was when the task is tried again.
"""

import json
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

HOME = "/srv/tschurn"
# Added to the worker's own environment.
ENVIRONMENT = {"PATH": f"{HOME}/.venv/bin:/usr/bin:/bin"}
# Airflow tries again after any failure, tschurn asks for it after exit code 4 alone; a second attempt costs little.
TASKS = {"cwd": HOME, "append_env": True, "retries": 2, "retry_delay": timedelta(minutes=30)}

with DAG(
    "tschurn_monday", schedule="0 4 * * 1", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1
):  # fmt: skip
    # The last line of its output, the one JSON object, becomes the task's XCom.
    score = BashOperator(
        task_id="score",
        bash_command="tschurn score reports/mine/current --log data/events.parquet --out lists/$(date +%F) --json "
        "--quiet --log-file log/score.log",
        env=ENVIRONMENT, output_processor=json.loads, execution_timeout=timedelta(hours=2), **TASKS,
    )  # fmt: skip
    deliver = BashOperator(
        task_id="deliver",
        bash_command='cp "$list" calls/.priority_group.csv && mv calls/.priority_group.csv calls/priority_group.csv',
        env=ENVIRONMENT | {"list": "{{ ti.xcom_pull(task_ids='score')['paths']['list'] }}"}, **TASKS,
    )  # fmt: skip
    # Fails, and is told as failures are, when the models should be trained anew; the list is delivered all the same.
    fits = BashOperator(
        task_id="fits",
        bash_command='test "$asked" != retrain',
        env=ENVIRONMENT | {"asked": "{{ ti.xcom_pull(task_ids='score')['summary']['recommendation'] }}"},
        **(TASKS | {"retries": 0}),
    )  # fmt: skip
    score >> [deliver, fits]

with DAG(
    "tschurn_retrain", schedule="0 1 * * 6#1", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1
):  # fmt: skip
    # The space at the end keeps Airflow from reading the script as a template.
    BashOperator(
        task_id="retrain", bash_command="docs/schedule/retrain.sh ", env=ENVIRONMENT,
        execution_timeout=timedelta(hours=12), **TASKS,
    )  # fmt: skip
