"""Checks everything that can be wrong before the first request: keys, tokens, networks, deployments."""

from gateway.cli.check.examine import CheckResult
from gateway.cli.check.inquiry import run_check
from gateway.cli.check.render import print_report
from gateway.cli.check.report import Finding, Report
from gateway.config.settings import Settings
from gateway.upstream.management import ManagementClient

__all__ = ["CheckResult", "Finding", "Report", "check", "print_report", "run_check"]


def check(settings: Settings, client: ManagementClient) -> Report:
    """Try every subaccount of *settings*, and every deployment that is served, with requests that cost nothing."""
    return run_check(settings, client).report
