"""What `sap-ai-proxy init` is told or asks: the service key, the resource groups to serve, what to deploy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from gateway.cli.ai_core import AiCore, ResourceGroup, named
from gateway.cli.config_draft import ConfigDraft
from gateway.cli.init.deploying import deployable, starting
from gateway.cli.init.service_key import GivenKey, is_whole, of_environment, read_key, read_key_file
from gateway.cli.messages import CommandError, say
from gateway.cli.questions import Questions
from gateway.cli.terminal import Mark, output, print_marked, table, working
from gateway.config.mistakes import ServiceKeyError
from gateway.config.service_keys import Found, find
from gateway.served_models import day
from gateway.upstream.catalogue import CatalogueModel
from gateway.upstream.discovery import ORCHESTRATION
from gateway.upstream.provisioning import Deployable

NOTHING: Final = "none"
"""What is deployed where nothing is to be."""
_UNNAMED: Final = "the name of the resource group: give it with --resource-group NAME"
_SEEN: Final = (
    "other users of this machine can read a service key on the command line, and the shell keeps it in its history; "
    'give its file, "-" and the key on standard input, or "env" and the key in AICORE_SERVICE_KEY'
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; what is None or empty is asked for where that is needed."""

    config: Path
    service_key: str | None = None
    """A file, "-" for standard input, or "env"."""
    name: str | None = None
    groups: tuple[str, ...] = ()
    deploy: tuple[str, ...] = ()
    wait: float = 1200.0
    """Seconds for which a new deployment is waited for."""
    proxy: str | None = None
    ca_bundle: Path | None = None
    """A file of the certificates to trust."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the command runs: its environment, its input, and what makes keys and lets time pass."""

    env: Mapping[str, str]
    home: Path | None
    read_input: Callable[[], str]
    new_key: Callable[[], str]
    pause: Callable[[float], object]
    today: Callable[[], date] = day


class Choices:
    """What one run of the command is about: what the command line says, or else whoever is asked."""

    def __init__(self, options: Options, questions: Questions, around: Environment, draft: ConfigDraft) -> None:
        self._options = options
        self._questions = questions
        self._around = around
        self._draft = draft
        self._out = output()

    def service_key(self) -> GivenKey:
        """Read the service key from where it is said to be, or ask for it."""
        env, said = self._around.env, self._options.service_key
        if said is not None:
            return self._read(said)
        if self._draft.holds_key:
            self._say(Mark.OK, f"{self._draft.path} is a service key, and is used as such")
            return read_key_file(self._draft.path, env)
        found = self._found()
        if found is not None and self._is_meant(found):
            self._say(Mark.OK, f"the service key is taken from {found.source}")
            return of_environment(found)

        def read(text: str) -> GivenKey:
            if not text or text.startswith("{"):
                text = self._questions.pasted("Paste it now:", text and text + "\n", is_whole)
            try:
                return read_key(text, env) if text.lstrip().startswith("{") else self._read(text.strip("'\""))
            except CommandError as error:
                raise ValueError(str(error)) from None

        question = "File of the service key, from the BTP cockpit (Enter to paste it unseen)"
        default = None if self._questions.takes_defaults else ""
        return self._questions.text(question, "the service key: give it with --service-key FILE", default, read)

    def _is_meant(self, found: Found) -> bool:
        """Tell whether a service key that SAP's own tools would find is the one; without a terminal it is."""
        question = f"There is a service key in {found.source}. Use it?"
        return not self._questions.can_ask or self._questions.confirm(question, "--service-key env", default=True)

    def _read(self, said: str) -> GivenKey:
        env = self._around.env
        match said:
            case "-":
                return read_key(self._around.read_input(), env)
            case "env":
                found = self._found(must_be=True)
                if found is None:
                    raise CommandError("there is no service key in the environment; give --service-key FILE")
                return of_environment(found)
            case _ if said.lstrip().startswith("{"):
                raise CommandError(_SEEN)
            case _:
                return read_key_file(Path(said).expanduser(), env)

    def _found(self, *, must_be: bool = False) -> Found | None:
        """Look where SAP's own tools do; what cannot be used there matters only to those who mean it."""
        try:
            return find(self._around.env, self._around.home)
        except ServiceKeyError as error:
            if must_be or not self._questions.can_ask:
                raise CommandError(f"{error}; correct it, or give --service-key FILE") from None
            say(f"warning: {error}")
            return None

    def groups(self, ai_core: AiCore, default: str) -> tuple[ResourceGroup, ...]:
        """Look into the resource groups that are named, or into all there are, and show what is in them."""
        names, listed = self._options.groups, ai_core.resource_groups()
        if listed is None and not names:
            self._say(Mark.NOTE, "the service key is not allowed to list resource groups")
            names = (
                (self._questions.text("Name of the resource group", _UNNAMED, default, _one_name),)
                if self._questions.can_ask
                else (default,)
            )
        missing = [each for each in names if listed is not None and each not in listed]
        if missing:
            raise CommandError(
                f"there is no resource group {missing[0]}; the resource groups are {', '.join(listed or ())}"
            )
        with working("Looking at what runs…"):
            groups = ai_core.look_into(names or listed or ())
        for each in groups:
            if each.failure and names:
                raise CommandError(each.failure)
            if each.failure:
                self._say(Mark.WRONG, each.failure)
        readable = tuple(each for each in groups if not each.failure)
        if not readable:
            raise CommandError(
                groups[0].failure if groups else "there is no resource group; create one in the BTP cockpit"
            )
        self._out.print(table(("resource group", "model", "version", "deployments", "status"), _rows(readable)))
        return readable

    def chosen(self, groups: Sequence[ResourceGroup], of_environment: str) -> tuple[ResourceGroup, ...]:
        """Ask which resource groups to serve, where that is not said and there are several.

        Without a terminal a key of the environment comes with its resource group, as for SAP's own tools.
        """
        if self._options.groups or len(groups) == 1:
            return tuple(groups)
        by_name = {each.name: each for each in groups}
        if of_environment in by_name and not self._questions.can_ask:
            return (by_name[of_environment],)

        def read(text: str) -> tuple[ResourceGroup, ...]:
            names = text.replace(",", " ").split()
            unknown = [name for name in names if name not in by_name]
            if unknown or not names:
                raise ValueError(f"there is no resource group {' or '.join(unknown)}".rstrip())
            return tuple(by_name[name] for name in dict.fromkeys(names))

        running = [each.name for each in groups if each.running]
        question = "Which resource groups shall be served (several with blanks between)"
        missing = "the resource groups to serve: give each with --resource-group NAME"
        return self._questions.text(question, missing, " ".join(running) or groups[0].name, read)

    def wanted(self, ai_core: AiCore, chosen: Sequence[ResourceGroup]) -> tuple[Deployable, ...]:
        """Say what is to be deployed: what the command line names, or what is asked for where nothing runs."""
        names = self._options.deploy
        if names == (NOTHING,) or (not names and any(each.running or starting(each) for each in chosen)):
            return ()
        if len(chosen) > 1:
            raise CommandError("a deployment is made in one resource group: name it alone with --resource-group")
        catalogue = ai_core.catalogue(chosen[0].name)
        if names:
            try:
                return tuple(deployable(each, catalogue) for each in names)
            except ValueError as error:
                raise CommandError(str(error)) from None
        self._say(Mark.NOTE, f"nothing runs in the resource group {chosen[0].name}")
        if self._questions.can_ask:
            offers = _offers(catalogue, self._around.today())
            self._out.print(table(("model", "executable", "tokens", "ends"), offers, right=("tokens",)))
            models = sum(each.orchestration for each in catalogue) or "all"
            self._say(Mark.NOTE, f"{ORCHESTRATION} is one deployment that serves {models} models")

        def read(text: str) -> tuple[Deployable, ...]:
            if text == NOTHING:
                return ()
            return tuple(deployable(each, catalogue) for each in text.replace(",", " ").split())

        question = f'What shall be deployed (several with blanks between, or "{NOTHING}")'
        default = None if self._questions.takes_defaults else ORCHESTRATION
        missing = f"what to deploy, as nothing runs: give it with --deploy MODEL, or --deploy {NOTHING}"
        return self._questions.text(question, missing, default, read)

    def _say(self, mark: Mark, text: str) -> None:
        print_marked(self._out, mark, text)


def _rows(groups: Sequence[ResourceGroup]) -> list[tuple[str, ...]]:
    """Write what is deployed, equal deployments in one row."""
    rows: list[tuple[str, ...]] = []
    for group in groups:
        counts: dict[tuple[str, str, str], int] = {}
        for each in group.deployments:
            what = (named(each) or "(no model)", each.version, each.status)
            counts[what] = counts.get(what, 0) + 1
        for (model, version, status), count in sorted(counts.items()) or [(("nothing", "", ""), 0)]:
            rows.append((group.name, model, version, str(count or ""), status))
    return rows


def _offers(catalogue: Sequence[CatalogueModel], today: date) -> list[tuple[str, ...]]:
    """Write which models can be deployed alone and have not ended by *today*."""
    offers: list[tuple[str, ...]] = []
    for each in catalogue:
        if each.retirement_date and each.retirement_date < today:
            continue
        ends = each.retirement_date.isoformat() if each.retirement_date else ""
        offers.append((each.name, each.executable, f"{each.context_length or ''}", ends))
    return offers


def _one_name(text: str) -> str:
    if not text or len(text.split()) != 1:
        raise ValueError("write one name")
    return text
