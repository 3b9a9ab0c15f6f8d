"""The catalogue of messages: every text in the source that a person can come to read.

``python -m tests.messages`` prints it, by audience; ``python -m tests.messages caller check`` prints some of it.
Texts are found in the syntax trees of our Python files, in the page's HTML and JavaScript, and in the Makefile. What is
put into a text when it is shown stands in braces.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from tests.support.sources import ROOT, files, name_of, tree_of

CODE = ("dialects", "proxy_helpers", "routing", "gateway", "proxy_server", "sap_ai_proxy", "emulator", "simulation")
TOOLS = ("benchmarks", ".ci")
PAGE = ROOT / "gateway/web/static"


class Audience(Enum):
    """Who reads a message."""

    CALLER = "caller"
    """A program that sends requests, and whoever reads its errors."""
    CONFIG = "config"
    """Whoever writes the config file: mistakes in it, and what may not be meant."""
    START = "start"
    """Whoever starts the proxy: the banner, the server's own answers, why it cannot start."""
    CHECK = "check"
    """Whoever runs `sap-ai-proxy check`."""
    COMMANDS = "commands"
    """Whoever runs another command."""
    HELP = "help"
    """Whoever asks a command for `--help`."""
    METRICS = "metrics"
    """Whoever reads `/metrics`, or a dashboard made of it."""
    LOG = "log"
    """Whoever reads the log."""
    PAGE = "page"
    """Whoever opens the page in a browser."""
    EMULATOR = "emulator"
    """Whoever asks the emulator. Most of its texts are the vendors' own."""
    TOOLS = "tools"
    """Whoever works on the proxy: the Makefile, CI, the simulation and the benchmarks."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: who reads it, where it is written, and its text with `{placeholders}`.

    *maker* is the function that is called with it, or the name that it is assigned to; *caught* are the names of
    exceptions that are put into it as they are.
    """

    audience: Audience
    file: str
    line: int
    text: str
    maker: str = ""
    caught: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.text}"


_BY_PATH = {
    # the longest prefix counts
    "gateway/cli/check": Audience.CHECK,
    "gateway/cli/startup": Audience.START,
    "gateway/cli/banner": Audience.START,
    "gateway/cli/configuration": Audience.START,
    "gateway/cli": Audience.COMMANDS,
    "gateway/tool_settings": Audience.COMMANDS,
    "gateway/config": Audience.CONFIG,
    "gateway/server": Audience.START,
    "gateway/web": Audience.PAGE,
    "gateway/observability": Audience.METRICS,
    "emulator": Audience.EMULATOR,
    "simulation": Audience.TOOLS,
    "benchmarks": Audience.TOOLS,
    ".ci": Audience.TOOLS,
}

_SPEAKERS = re.compile(
    r"(Fault|FaultError|invalid|Mistake|Advice|Problem|wrong|odd|say|warn|fail|echo|secho|refuse|refused|must_be"
    r"|\w+Error|\w+Warning|warn_explicit)"
)
"""Functions whose arguments are messages, however short they are."""
_LOGS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
_LOGGERS = {"_log", "log", "logger", "_LOG", "LOG", "logging"}
_SILENT = re.compile(
    r"(compile|_?pattern|search|fullmatch|match|findall|finditer|sub|split|getLogger|TypeVar|cast|startswith|endswith"
    r"|encode|fromisoformat|strptime|strftime|Literal|Path|literal_eval|open|removeprefix|removesuffix|loads|getattr"
    r"|maketrans|index|find|partition|rpartition|import_module|namedtuple|NewType|parametrize)"
)
"""Functions whose arguments are patterns, names and the like, and no messages."""
_NO_PROSE = re.compile(r"\(\?[:!P<=]|\\[bdwsS]|^[{<]|: application/|HTTP/1|^default-src|<[a-z]+>.*<[a-z]+>|;base64,")
_WORDS = re.compile(r"(?<![\w{])[A-Za-z][a-z'-]*(?=[\s.,;:?!…)\]]|$)")
_FORMAT = re.compile(r"%\(?\w*\)?[-+#0-9.]*[sdrgfx]\b")


def audience_of(file: str) -> Audience:
    """Say who reads what a file says, but for its log lines and its help."""
    found = [prefix for prefix in _BY_PATH if file.startswith(prefix)]
    return _BY_PATH[max(found, key=len)] if found else Audience.CALLER


def is_prose(text: str) -> bool:
    """Whether a text has three words of a language, and is no pattern, header or markup."""
    return text.count(" ") > 1 and not _NO_PROSE.search(text) and len(_WORDS.findall(_FORMAT.sub("{}", text))) >= 3


class _Finder(ast.NodeVisitor):
    """Finds the messages of one file."""

    def __init__(self, file: str) -> None:
        self.found: list[Message] = []
        self._file = file
        self._makers: list[ast.Call] = []
        self._assigned: list[str] = []
        self._caught: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Look into a function; the docstring of a command is its help."""
        if any("command(" in ast.unparse(each) or "group(" in ast.unparse(each) for each in node.decorator_list):
            help_text = ast.get_docstring(node)
            if help_text:
                self.found.append(Message(Audience.HELP, self._file, node.body[0].lineno, help_text, node.name))
        for each in (*node.decorator_list, *_defaults(node), *node.body):
            if not _is_docstring(each):
                self.visit(each)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Look into a class, but for its docstring."""
        for each in (*node.keywords, *node.body):
            if not _is_docstring(each):
                self.visit(each)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Look into a statement; a string alone is documentation."""
        if not _is_docstring(node):
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Look at the value, and not at the type."""
        if node.value is not None:
            self._assign(ast.unparse(node.target), node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Look at the value."""
        self._assign(ast.unparse(node.targets[0]), node.value)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """Look into what is done about an exception, whose name may not be shown as it is."""
        self._caught.append(node.name or "")
        self.generic_visit(node)
        self._caught.pop()

    def visit_Compare(self, node: ast.Compare) -> None:
        """Pass over what is compared: texts of others."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Look at what is indexed, and not at the index."""
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """Look at the arguments of a call, whose function may make messages of them."""
        if _SILENT.fullmatch(_last_name(node.func)):
            return
        self.visit(node.func)
        self._makers.append(node)
        for each in (*node.args, *node.keywords):
            self.visit(each)
        self._makers.pop()

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Take a text with values in it, and look for texts within the values."""
        self._take(node, _template(node))
        for each in node.values:
            if isinstance(each, ast.FormattedValue) and not isinstance(each.value, ast.Constant):
                self._inner(each.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Take texts that are put together as one."""
        parts = list(_parts(node))
        if isinstance(node.op, ast.Add) and any(_is_text(each) for each in parts):
            self._take(node, "".join(map(_template, parts)))
            for each in parts:
                if not _is_text(each):
                    self._inner(each)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Take a text."""
        if isinstance(node.value, str):
            self._take(node, node.value)

    def _inner(self, node: ast.AST) -> None:
        """Look into a value of a text; its own texts are parts, and said by nobody alone."""
        makers, self._makers = self._makers, []
        self.visit(node)
        self._makers = makers

    def _assign(self, name: str, value: ast.AST) -> None:
        if re.search(r"PATTERN|_RE$|SYNTAX|REGEX|slots", name):
            return
        self._assigned.append(name)
        self.visit(value)
        self._assigned.pop()

    def _take(self, node: ast.AST, text: str) -> None:
        maker = self._makers[-1] if self._makers else None
        name = _last_name(maker.func) if maker else self._assigned[-1] if self._assigned else ""
        audience = self._audience(maker)
        says = audience is Audience.LOG or bool(maker and _SPEAKERS.fullmatch(name.lstrip("_")))
        if not ((says and " " in text.strip()) or is_prose(text)):
            return
        caught = tuple(each for each in self._caught if each and _shows(node, each))
        self.found.append(Message(audience, self._file, _line(node), text, name, caught))

    def _audience(self, maker: ast.Call | None) -> Audience:
        match maker:
            case ast.Call(ast.Attribute(ast.Name(logger), level)) if logger in _LOGGERS and level in _LOGS:
                return Audience.LOG
            case ast.Call(func) if _last_name(func) in ("option", "argument", "command", "add_argument"):
                return Audience.HELP if self._file.startswith(("gateway", "emulator")) else Audience.TOOLS
            case _ if self._file == "routing/events.py":
                return Audience.LOG
            case _:
                return audience_of(self._file)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _defaults(node: ast.FunctionDef) -> Iterator[ast.expr]:
    yield from node.args.defaults
    yield from filter(None, node.args.kw_defaults)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield node


def _template(node: ast.AST) -> str:
    """Write a text as it will read, with what is put in as `{placeholder}`."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(map(_template, values))
        case ast.FormattedValue(value):
            return "{" + _placeholder(value) + "}"
        case _:
            return "{" + _placeholder(node) + "}"


def _placeholder(node: ast.AST) -> str:
    """Name what is put into a text: its variable, attribute or function."""
    match node:
        case ast.Name() | ast.Attribute():
            return ast.unparse(node)
        case ast.Call(func, [ast.Name() | ast.Attribute() as only]):
            return f"{_last_name(func)}({ast.unparse(only)})"
        case ast.Call(func):
            return _last_name(func)
        case ast.Subscript(value):
            return _placeholder(value)
        case _:
            return "…"


def _shows(node: ast.AST, name: str) -> bool:
    """Whether a text holds the value of *name* as it is."""
    match node:
        case ast.JoinedStr(values):
            return any(isinstance(each, ast.FormattedValue) and _shows(each.value, name) for each in values)
        case ast.BinOp():
            return any(_shows(each, name) for each in _parts(node))
        case ast.Call(ast.Name("str"), [ast.Name(found)]) | ast.Name(found):
            return found == name
        case _:
            return False


class _Markup(HTMLParser):
    """Finds the texts of a page, and of the attributes that are read out or shown."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.found: list[Message] = []
        self._file = file

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("title", "alt", "aria-label", "placeholder") and value:
                self.found.append(Message(Audience.PAGE, self._file, self.getpos()[0], value, tag))

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if re.search(r"[A-Za-z]{2}", text):
            self.found.append(Message(Audience.PAGE, self._file, self.getpos()[0], text, "text"))


_COMMENTS = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
_STRINGS = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'", re.DOTALL)


def of_script(file: str, text: str) -> Iterator[Message]:
    """Find the texts of a script: strings of three words or more, with `${…}` as placeholders."""
    text = _COMMENTS.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in _STRINGS.finditer(text):
        said = " ".join(re.sub(r"\$\{[^}]*\}", "{…}", next(filter(None, found.groups()), "")).split())
        if is_prose(said):
            yield Message(Audience.PAGE, file, text.count("\n", 0, found.start()) + 1, said, "script")


def of_python(path: Path) -> list[Message]:
    """Find the messages of a Python file."""
    finder = _Finder(name_of(path))
    finder.visit(tree_of(path))
    return finder.found


def of_page() -> Iterator[Message]:
    """Find the messages of the page."""
    for path in sorted(PAGE.rglob("*.html")):
        markup = _Markup(name_of(path))
        markup.feed(path.read_text(encoding="utf-8"))
        yield from markup.found
    for path in sorted(PAGE.rglob("*.js")):
        if "vendor" not in path.parts:
            yield from of_script(name_of(path), path.read_text(encoding="utf-8"))


def of_makefile() -> Iterator[Message]:
    """Find what `make` says of each target."""
    for number, line in enumerate((ROOT / "Makefile").read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r"([a-z-]+):.*## (.*)", line):
            yield Message(Audience.TOOLS, "Makefile", number, found[2], found[1])


@cache
def catalogue() -> tuple[Message, ...]:
    """List every message, in the order of files and lines."""
    python = [each for path in files(*CODE, *TOOLS) for each in of_python(path)]
    return tuple(sorted({*python, *of_page(), *of_makefile()}, key=lambda each: (each.file, each.line, each.text)))


def main(wanted: list[str]) -> None:
    """Print the catalogue, or the parts of it that are named."""
    for audience in Audience:
        if wanted and audience.value not in wanted:
            continue
        found = [each for each in catalogue() if each.audience is audience]
        print(f"\n{audience.value}: {len(found)} messages\n")
        for each in found:
            print(str(each).replace("\n", "\n    "))


if __name__ == "__main__":
    main(sys.argv[1:])
