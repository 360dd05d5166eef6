"""A report on scores: one page that opens anywhere, and its tables and charts as files."""

from ._flow import FlowAt as FlowAt
from ._flow import computed_flow as computed_flow
from ._flow import stored_flow as stored_flow
from ._footage import Footage as Footage
from ._motion import require_off as require_off
from ._report import PAGE as PAGE
from ._report import Report as Report
from ._report import build_report as build_report
from ._report import write_report as write_report
from ._results import Result as Result
from ._results import load_results as load_results
from ._runs import Run as Run
from ._runs import load_run as load_run
