"""The command `sap-ai-proxy`.

It imports the server only when it serves, so that help and completion respond quickly.
"""

from typing import TYPE_CHECKING

from gateway.cli import main as command_line
from gateway.cli.loading import loading

if TYPE_CHECKING:
    from gateway.server.runtime import CreateApplication


def main() -> None:
    """Run the command."""
    command_line.main(_load)


def _load() -> "CreateApplication":
    with loading():
        from proxy_server import create_app  # noqa: PLC0415 - it takes about a second, and only serving needs it

    return create_app


if __name__ == "__main__":
    main()
