"""tschurn: from a raw activity log to an explained, prioritised retention list.

    event log → daily table → 7+7-day windows → churn and sticker models → explanations
              → priority group → HTML report + CSV

Read `pipeline` first: it runs the stages in order. `contracts` names every table that crosses a
stage, `config` every key of an experiment file. The stages are the folders `events`,
`exploration`, `features`, `models`, `explain`, `segments`, `report`; none imports another.
"""

__version__ = "0.1.0"
