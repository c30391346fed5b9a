"""Reports of evaluations on disk (metrics.json, predictions.parquet, report.html, plots), limits and model cards."""

from agegender_train.report.cards import make_card
from agegender_train.report.folder import Report, read_report, refuse_earlier_report, write_report
from agegender_train.report.limits import Limit, broken_limits, parse_limits, unmeasured_limits

__all__ = [
    "Limit",
    "Report",
    "broken_limits",
    "make_card",
    "parse_limits",
    "read_report",
    "refuse_earlier_report",
    "unmeasured_limits",
    "write_report",
]
