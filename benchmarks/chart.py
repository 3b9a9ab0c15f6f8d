"""The chart of a run, as SVG without a library: bars for each gateway, in colours for light and dark screens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.figures import TIMES, middle, ratio, text
from benchmarks.plan import ONE_CONNECTION, PASSED, SIXTEEN, START, TRANSLATED, streams
from benchmarks.targets import CHUNK_CPU, OURS, REQUEST_CPU, Rows

NAMES = {"nginx": "nginx", "bare": "bare handler", OURS: "this proxy", "Portkey": "Portkey", "LiteLLM": "LiteLLM"}
"""The contestants from top to bottom, with their names in the chart."""
WIDTH = 880
_MARGIN = 24
_COLUMN = 424
_NAME = 92
_FULL = 210
"""The length of the longest bar in pixels."""
_PITCH = 21
_BAR = 15
_HEAD = 64
_TITLE = 28
_GAP = 22
_FOOT = 46
_CUT = 4
"""Bars longer than this many times the shortest are cut off."""

_EXPLAINED = f"""\
Shorter is better, except for streams; {TIMES} is the ratio to the bare handler, \
an empty proxy of Flask and requests."""
_STYLE = """\
:root{--page:#fff;--text:#1f2328;--quiet:#59636e;--other:#afb8c1;--bare:#818b98;--ours:#0969da;--edge:#d1d9e0}
@media(prefers-color-scheme:dark){:root{--page:#0d1117;--text:#f0f6fc;--quiet:#9198a1;--other:#484f58;--bare:#6e7681;\
--ours:#4493f8;--edge:#3d444d}}
text{font:12px -apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;fill:var(--text)}
.h{font-size:17px;font-weight:600}.t{font-size:13px;font-weight:600}.q{fill:var(--quiet)}.b{font-weight:600}
.page{fill:var(--page);stroke:var(--edge)}.other,.nginx{fill:var(--other)}.bare{fill:var(--bare)}.ours{fill:var(--ours)}
.cut{stroke:var(--page);stroke-width:3}"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A group of bars: a row of the table, in a unit. The unit "%" is for shares of one, of which more is better."""

    title: str
    row: str
    unit: str
    nginx: bool = False

    @property
    def is_share(self) -> bool:
        """Whether its figures are shares of one, so that its bars end at 100 %."""
        return self.unit == "%"


PANELS = (
    Panel("CPU for 1,000 requests", f"{SIXTEEN}: {REQUEST_CPU}", "s", nginx=True),
    Panel("Latency added to one request", f"{ONE_CONNECTION}: added latency p50, ms", "ms", nginx=True),
    Panel("CPU for 1,000 chunks, 50 streams of 50 chunks/s", f"{streams(50)}: {CHUNK_CPU}", "ms", nginx=True),
    Panel("CPU for 1,000 chunks without pauses", f"{PASSED}: {CHUNK_CPU}", "ms", nginx=True),
    Panel("The same, translated from Converse", f"{TRANSLATED}: {CHUNK_CPU}", "ms"),
    Panel("500 streams of 50 chunks/s: chunks that arrive in time", f"{streams(500)}: share of the ideal", "%"),
    Panel("Memory after the start", f"{START}: memory at rest, MB", "MB"),
    Panel("From the start to the first answer", f"{START}: cold start, s", "s"),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of one contestant: the text beside it, and its length in pixels."""

    contestant: str
    label: str
    times: str
    length: float
    is_cut: bool


def bars(panel: Panel, rows: Rows) -> list[Bar]:
    """Compute the bars of a panel, in proportion to the figures, up to four times the shortest except nginx's."""
    measured = rows.get(panel.row, {})
    values = {name: middle(measured[name].values()) for name in NAMES if name in measured}
    there = {name: value for name, value in values.items() if value is not None and (panel.nginx or name != "nginx")}
    positive = [value for name, value in there.items() if name != "nginx" and value > 0]
    most = 1.0 if panel.is_share else min(max(positive, default=1.0), _CUT * min(positive, default=1.0))
    return [
        Bar(
            contestant=name,
            label=f"{value:.0%}" if panel.is_share else f"{text(value)} {panel.unit}",
            times="" if panel.is_share or name == "bare" else _times(measured, name),
            length=round(_FULL * min(max(value, 0.0) / most, 1.0), 1),
            is_cut=value > most,
        )
        for name, value in there.items()
    ]


def _times(measured: Mapping[str, Mapping[int, float | None]], name: str) -> str:
    """Return the median of the ratios to the bare handler within each round; an empty string if there is none."""
    base = measured.get("bare", {})
    times = middle(ratio(value, base.get(number)) for number, value in measured[name].items())
    return "" if times is None or times <= 0 else f"{text(times)} {TIMES}"


def drawn(rows: Rows, versions: Mapping[str, str]) -> str:
    """Draw the panels that have figures, in two columns; raises `ValueError` if there are none."""
    panels = [(panel, there) for panel in PANELS if (there := bars(panel, rows))]
    if not panels:
        raise ValueError("there is nothing to draw: the run has no figure that the chart shows")
    parts: list[str] = []
    y = _HEAD
    for at in range(0, len(panels), 2):
        beside = panels[at : at + 2]
        for column, (panel, there) in enumerate(beside):
            parts += _panel(panel, there, _MARGIN + column * _COLUMN, y)
        y += _TITLE + _PITCH * max(len(there) for _, there in beside) + _GAP
    height = y + _FOOT
    title = "What a request and a chunk cost, beside other gateways"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    described = ". ".join(_described(panel, there) for panel, there in panels)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">',
            f'<title id="title">{title}</title>',
            f'<desc id="desc">{escape(described)}.</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
            f'<text class="h" x="{_MARGIN}" y="32">{title}</text>',
            f'<text class="q" x="{_MARGIN}" y="51">{_EXPLAINED}</text>',
            *parts,
            *_foot(rows, versions, y + 12),
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, there: Sequence[Bar], x: int, y: int) -> list[str]:
    parts = [f'<text class="t" x="{x}" y="{y + 14}">{escape(panel.title)}</text>']
    for n, bar in enumerate(there):
        top = y + _TITLE + n * _PITCH
        kind = {OURS: "ours", "bare": "bare"}.get(bar.contestant, "other")
        emphasis = ' class="b"' if bar.contestant == OURS else ""
        left, base = x + _NAME, top + 12
        parts.append(f'<text{emphasis} x="{x}" y="{base}">{NAMES[bar.contestant]}</text>')
        parts.append(f'<rect class="{kind}" x="{left}" y="{top}" width="{max(bar.length, 1)}" height="{_BAR}" rx="2"/>')
        if bar.is_cut:
            parts.append(
                f'<path class="cut" d="M{left + _FULL - 22} {top + _BAR + 1}l6-{_BAR + 2}m6 0l-6 {_BAR + 2}"/>'
            )
        times = f' <tspan class="q">{bar.times}</tspan>' if bar.times else ""
        parts.append(
            f'<text{emphasis} x="{left + max(bar.length, 1) + 6}" y="{base}">{escape(bar.label)}{times}</text>'
        )
    return parts


def _foot(rows: Rows, versions: Mapping[str, str], y: int) -> list[str]:
    """Render the footer, which says where the figures come from."""
    rounds = max(number for measured in rows.values() for by_round in measured.values() for number in by_round)
    others = ", ".join(f"{NAMES[name]} {versions[name]}" for name in NAMES if versions.get(name) and name != OURS)
    many = f"medians of {rounds} rounds" if rounds > 1 else "one round"
    cut = f"A bar with a cut is longer than {_CUT} {TIMES} the shortest."
    lines = [
        f"One run of make bench, {many}; each gateway has one core. {cut}",
        others.replace("bare handler", "bare handler on granian"),
    ]
    return [f'<text class="q" x="{_MARGIN}" y="{y + 17 * n}">{escape(line)}</text>' for n, line in enumerate(lines)]


def _described(panel: Panel, there: Sequence[Bar]) -> str:
    return f"{panel.title}: {', '.join(f'{NAMES[bar.contestant]} {bar.label}' for bar in there)}"
