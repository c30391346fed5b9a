"""Reports of evaluations on disk (metrics.json, predictions.parquet, report.html, plots), limits and model cards."""

from agegender_train.report.cards import make_card
from agegender_train.report.folder import Report, read_report, write_report
from agegender_train.report.limits import Limit, broken_limits, parse_limits

__all__ = ["Limit", "Report", "broken_limits", "make_card", "parse_limits", "read_report", "write_report"]
