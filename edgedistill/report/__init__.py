"""What a compile did, for programs (report.json) and for people (report.html, a summary)."""

from edgedistill.report.build import build_report
from edgedistill.report.page import write_html
from edgedistill.report.terminal import show, summary

__all__ = ["build_report", "show", "summary", "write_html"]
