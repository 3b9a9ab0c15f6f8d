"""A look at everything that can be wrong before the first request: keys, tokens, networks, deployments."""

from gateway.cli.check.examine import Examined
from gateway.cli.check.inquiry import look
from gateway.cli.check.render import print_report
from gateway.cli.check.report import Finding, Report
from gateway.config.settings import Settings
from gateway.upstream.management import ManagementClient

__all__ = ["Examined", "Finding", "Report", "check", "look", "print_report"]


def check(settings: Settings, client: ManagementClient) -> Report:
    """Try every subaccount of *settings*, and every deployment that is served, with requests that cost nothing."""
    return look(settings, client).report
