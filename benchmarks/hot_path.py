"""A profile of the proxy under load with py-spy: where the time of a request and of a chunk goes.

Only threads that hold the interpreter's lock are sampled, because that lock limits a process. System calls that release
it are not seen. The proxy is not paused for a sample, because a pause would wake its threads; inconsistent samples are
discarded.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants import Proxy
from benchmarks.figures import text
from benchmarks.installing import HERE, NotInstalledError, cache_folder, compiled, virtualenv
from benchmarks.measures import Bench, CannotServeError, Measure, Taken
from benchmarks.plan import hot_paths, schedules_of
from benchmarks.processes import ProcessTree, cores
from benchmarks.stacks import Stack, folded, profile_tables
from benchmarks.targets import CHUNK_CPU, REQUEST_CPU

_LOOK = 0.3
_SLACK = 1.0
_PATIENCE = 30.0
_FEW = 400
_DENIED = """\
py-spy may not look into another process here. Run this as root, or allow it: on Linux by
`sysctl kernel.yama.ptrace_scope=0`, in a container by starting that with `--cap-add=SYS_PTRACE`."""


class NoProfileError(RuntimeError):
    """Raised if py-spy failed. The text says why, and what to do."""


class Sampler:
    """py-spy attached to the busiest process of a contestant for some *seconds*. It runs on another core."""

    def __init__(self, program: Path, output: Path, *, seconds: float, rate: int, pause: bool) -> None:
        self._output = output
        self._seconds = seconds
        options = ["--gil", "--full-filenames", "--nolineno", "--format", "raw", "--rate", str(rate)]
        self._command = [str(program), "record", "--output", str(output), *options, *["--nonblocking"] * (not pause)]

    def watch(self, tree: ProcessTree) -> None:
        """Sample the busiest process; raises `NoProfileError` if py-spy fails."""
        command = [*self._command, "--pid", str(tree.busiest(_LOOK))]
        with subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as spy:
            try:
                # Limit it by the clock, because its own count of samples takes longer if it is too slow.
                spy.wait(self._seconds)
            except subprocess.TimeoutExpired:
                spy.send_signal(signal.SIGINT)
            try:
                _, said = spy.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise NoProfileError("py-spy did not end") from error
            finally:
                spy.kill()
        if spy.returncode or not self._output.exists():
            raise NoProfileError(explained(said))

    def stacks(self) -> list[Stack]:
        """Return the sampled stacks; none if nothing was sampled."""
        if not self._output.exists():
            return []
        return folded(self._output.read_text().splitlines(), HERE.parent)


def explained(said: str) -> str:
    """Return why py-spy failed, from its output, and what to do if that is known."""
    if "permission denied" in said.lower() or "operation not permitted" in said.lower():
        return _DENIED
    last = [line for line in said.splitlines() if line.strip()]
    return f"py-spy failed: {last[-1].strip() if last else 'it printed nothing'}"


def written(measure: Measure, taken: Taken, stacks: Sequence[Stack], top: int) -> str:
    """Render the profile under one load."""
    samples = sum(stack.samples for stack in stacks)
    figure = CHUNK_CPU if measure.stream else REQUEST_CPU
    head = f"## {measure.name}: {samples} samples; {text(taken.figures.get(figure))} {figure}, the sampler beside it\n"
    if not samples:
        return f"{head}\nNothing was sampled. {'; '.join(taken.trouble)}".rstrip()
    few = "\nThere are few samples, so the shares are rough. Use more --seconds, or a machine that is less busy.\n"
    return f"{head}{few if samples < _FEW else ''}\n{profile_tables(stacks, top)}"


def main(given: Sequence[str]) -> int:
    """Profile the proxy under each load, and print the tables."""
    parser = argparse.ArgumentParser(prog="hot_path", description="Show where the proxy's time goes.")
    names = ", ".join(measure.name for measure in hot_paths(1))
    parser.add_argument(
        "--measures", default="", help=f"only the loads whose names contain one of these words: {names}"
    )
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="the seconds for which each load is sampled (default: 6)"
    )
    parser.add_argument("--rate", type=int, default=250, help="samples per second (default: 250)")
    parser.add_argument("--top", type=int, default=15, help="the number of functions shown (default: 15)")
    exact = "stop the proxy for each sample, so that stacks are consistent; only on an idle machine"
    parser.add_argument("--pause", action="store_true", help=exact)
    parser.add_argument("--raw", type=Path, help="a folder for the stacks, from which flame graphs can be drawn")
    options = parser.parse_args(given)
    seconds = min(max(1.0, options.seconds), 60.0)
    words = [word.strip() for word in options.measures.split(",")]
    todo = [measure for measure in hot_paths(seconds + _LOOK + _SLACK) if any(word in measure.name for word in words)]
    cache, proxy = cache_folder(os.environ), Proxy()
    with TemporaryDirectory(prefix="sap-ai-proxy-stacks-") as temporary:
        folder: Path = options.raw or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            spy = virtualenv(cache, "py-spy", "py-spy") / "py-spy"
            client, upstream = compiled(cache, "load.c"), compiled(cache, "upstream.c")
            proxy.install(cache)
            with closing(Bench(client, upstream, cores(), schedules_of(*todo))) as bench:
                for measure in todo:
                    output = folder / f"{measure.name.replace(' ', '-')}.raw"
                    sampler = Sampler(spy, output, seconds=seconds, rate=options.rate, pause=options.pause)
                    taken = bench.take(proxy, measure, beside=sampler.watch) or Taken()
                    print(f"{written(measure, taken, sampler.stacks(), options.top)}\n", flush=True)
        except (NotInstalledError, NoProfileError, CannotServeError) as error:
            print(f"no profile: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the started processes
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
