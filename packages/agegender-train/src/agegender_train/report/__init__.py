"""What an evaluation leaves on disk: metrics.json, predictions.parquet, report.html and its plots; and model cards."""

from agegender_train.report.cards import make_card
from agegender_train.report.limits import Limit, broken_limits, parse_limits
from agegender_train.report.reading import Report, read_report
from agegender_train.report.writing import write_report

__all__ = ["Limit", "Report", "broken_limits", "make_card", "parse_limits", "read_report", "write_report"]
