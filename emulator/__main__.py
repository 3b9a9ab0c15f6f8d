"""The command that starts the emulator: `python -m emulator`."""

import argparse
import contextlib
import sys
import textwrap

from emulator.faults import FaultKind
from emulator.server import serve
from emulator.state import Settings

_PATHS = """\
to look at it, and to break it:
  GET /admin/tenants            service keys to copy, and what is deployed
  PUT /admin/faults/DEPLOYMENT  break one, such as with {"kind": "slow", "delay": 5}
  DELETE /admin/faults          heal all

"""


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="sap-ai-proxy emulator",
        description="A small SAP AI Core to try things against.",
        epilog=_PATHS + textwrap.fill(f"kinds: {', '.join(each.value for each in FaultKind)}", subsequent_indent="  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="The address to listen on (default: %(default)s).")
    parser.add_argument(
        "--port", type=int, default=8001, help="The port to listen on, 0 for a free one (default: %(default)s)."
    )
    parser.add_argument(
        "--expires-in", type=float, default=43_199, help="The lifetime of a token in seconds (default: %(default)s)."
    )
    parser.add_argument("--notice", default="", help="A sentence that models add to what they say about themselves.")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="End as soon as the process that started the emulator has ended.",
    )
    given = parser.parse_args(arguments)
    with serve(
        host=given.host, port=given.port, settings=Settings(expires_in=given.expires_in, notice=given.notice)
    ) as running:
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            if given.until_stdin_closes:
                sys.stdin.read()
            else:
                running.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
