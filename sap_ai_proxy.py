"""The command `sap-ai-proxy`: what it serves is loaded when it is served, so that help and completion come at once."""

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
        from proxy_server import create_app  # noqa: PLC0415 - a second that only serving is worth

    return create_app


if __name__ == "__main__":
    main()
