"""From a service key to a config file that is served: what `sap-ai-proxy init` does with what is chosen."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Final

from gateway.cli import check as checking
from gateway.cli.ai_core import AiCore, ResourceGroup
from gateway.cli.check.advice import Adviser
from gateway.cli.config_draft import TOKENS, ConfigDraft
from gateway.cli.configuration import command, load_settings, reachable_url
from gateway.cli.init import subaccount
from gateway.cli.init.choices import Choices, Environment, Options
from gateway.cli.init.deploying import Start, already, over, starting, wait_until_running
from gateway.cli.init.service_key import GivenKey, as_name
from gateway.cli.messages import CommandError
from gateway.cli.questions import Questions, Stopped
from gateway.cli.terminal import Mark, output, print_marked, progress, table, working
from gateway.config.mistakes import ServiceKeyError
from gateway.config.network import Network
from gateway.config.schema import NO_PROXY_AT_ALL, proxy_or_none
from gateway.config.service_keys import Secret, expand
from gateway.config.subaccounts import DEFAULT, SubAccount
from gateway.upstream.management import ManagementClient
from gateway.upstream.provisioning import Deployable

_OPTIONS: Final = {"upstream.proxy": "--proxy", "upstream.ca_bundle": "--ca-bundle"}
"""The options that say what is a setting elsewhere."""
_ANOTHER_KEY: Final = "create another one in the BTP cockpit, at the instance of SAP AI Core"
_COSTS: Final = "SAP bills the requests to a deployment, and some models for as long as they run. Create it?"


class Init:
    """One run of the command; `done` says how far it came, for whoever stops it."""

    def __init__(self, options: Options, questions: Questions, around: Environment) -> None:
        self._options = options
        self._questions = questions
        self._around = around
        self._draft = ConfigDraft(options.config, around.env)
        self._choices = Choices(options, questions, around, self._draft)
        self._out = output()
        self._is_written = False
        self._starts: list[Start] = []

    @property
    def done(self) -> str:
        """What was done so far; empty if nothing was."""
        if not self._is_written:
            return ""
        if not self._starts:
            return f"{self._draft.path} is written"
        going = ", ".join(map(str, self._starts))
        when = f"`{self._command('check')}` says when"
        return f"{self._draft.path} is written, and will serve {going} once that runs: {when}"

    def run(self) -> int:
        """Ask, write and check; give the exit code. Raises `CommandError` and `Stopped`."""
        settings = self._draft.settings()
        known = settings.subaccounts if settings else {}
        if not self._options.dry_run:
            self._draft.ensure_writable()
        network = self._network()
        given = self._choices.service_key()
        with ExitStack() as owned:
            client = owned.enter_context(closing(ManagementClient(network=network)))
            ai_core = AiCore(given.key, client, self._adviser(network))
            ai_core.sign_in()
            self._good("the service key gets an access token")
            groups = self._choices.groups(ai_core, given.group or DEFAULT)
            chosen = self._choices.chosen(groups, given.group)
            entries = subaccount.entries(given, tuple(each.name for each in chosen), self._options.name, known)
            wanted = self._choices.wanted(ai_core, chosen)
            file = self._put(given, entries, known)
            if self._options.dry_run:
                self._show(file, wanted)
                return 0
            there = {what: already(chosen[0], what) for what in wanted}
            self._confirm_costs([what.name for what, start in there.items() if start is None])
            self._write(file)
            if wanted:
                self._deploy(ai_core, chosen[0], there)
            elif not self._options.deploy:
                self._starts.extend(each for each in map(starting, chosen) if each)
            for each in entries:
                if wanted and not each.is_new and not known[each.name].discovery:
                    command = self._command("discover --write")
                    self._say(Mark.NOTE, f"{each.name} lists its deployments: `{command}` adds new ones that run")
            if not self._wait(ai_core):
                return 1 if self._options.wait else 0
            return self._check(client)

    def _put(
        self, given: GivenKey, entries: Sequence[subaccount.Entry], known: Mapping[str, SubAccount]
    ) -> subaccount.KeyFile | None:
        """Put the subaccounts, and a key for callers, into the draft; give the file of the service key."""
        file = None
        for each in entries:
            if not each.is_new and known[each.name].key == given.key:
                continue
            file = subaccount.key_file(given, self._draft, as_name(self._options.name or given.subdomain), known)
            subaccount.put(self._draft, each, file)
        if file is not None and file.replaces and not self._options.dry_run:
            question = f"{file.path} holds another service key of this subaccount. Replace it?"
            if not self._questions.confirm(question, "--yes", default=True):
                raise Stopped
        if not (self._draft.content.get(TOKENS) or self._draft.content.get("allow_unauthenticated")):
            self._draft.set((TOKENS,), [self._around.new_key()])
        if self._options.proxy:
            self._draft.set(("upstream", "proxy"), self._options.proxy)
        if self._options.ca_bundle:
            self._draft.set(("upstream", "ca_bundle"), str(self._options.ca_bundle.absolute()))
        return file

    def _show(self, file: subaccount.KeyFile | None, wanted: Sequence[Deployable]) -> None:
        """Show what would be written and made."""
        for each in wanted:
            self._say(Mark.NOTE, f"would create a deployment of {each.name}")
        if file is not None and file.moved_from:
            self._say(Mark.NOTE, f"would move {file.moved_from}, which is the service key, to {file.path}")
        elif file is not None and file.text:
            self._say(Mark.NOTE, f"would write {file.path} (the service key)")
        self._say(Mark.NOTE, f"would write {self._draft.path}:")
        self._out.print(self._draft.masked(), soft_wrap=True)

    def _confirm_costs(self, names: Sequence[str]) -> None:
        """Ask whether what costs is to be created, before anything is written; raises `Stopped` if it is not."""
        question = f"Deploying {' and '.join(names)}: {_COSTS}"
        if names and not self._questions.confirm(question, "--yes", default=False):
            raise Stopped

    def _deploy(self, ai_core: AiCore, group: ResourceGroup, there: Mapping[Deployable, Start | None]) -> None:
        """Make the deployments that are not *there*; those that are not known to run yet are waited for."""
        for what, start in there.items():
            if start is not None and any(each.id == start.id for each in group.running):
                self._good(f"{start} is already running")
                continue
            self._starts.append(start or self._create(ai_core, group.name, what))

    def _create(self, ai_core: AiCore, group: str, what: Deployable) -> Start:
        start = Start(ai_core.deploy(group, what), what.name, group)
        self._good(f"{start} is being created in the resource group {group}")
        return start

    def _write(self, file: subaccount.KeyFile | None) -> None:
        """Write the file of the service key and the config file."""
        if file is not None and (said := file.write(self._draft.path)):
            self._good(said)
        if self._draft.changes:
            for said in self._draft.write():
                self._good(said)
        else:
            self._good(f"{self._draft.path} needs no change")
        self._is_written = True

    def _wait(self, ai_core: AiCore) -> bool:
        """Wait for deployments that start up; whether all of them run."""
        for each in tuple(self._starts):
            with progress(self._out) as show:
                state = wait_until_running(ai_core, each, self._options.wait, show, self._around.pause)
            if state.is_over:
                self._starts.remove(each)
                raise CommandError(over(each, state))
            if not state.runs:
                self._say(Mark.NOTE, f"{each} is still {state.status}; {self.done}")
                return False
            self._starts.remove(each)
            self._good(f"{each} runs")
        return True

    def _check(self, client: ManagementClient) -> int:
        """Check the file that was written, and say what comes next."""
        settings = load_settings(self._draft.path, self._around.env, warns=False)
        with working("Checking what is configured…"):
            report = checking.check(settings, client)
        checking.print_report(report, self._out, lists_served=not report.is_ok)
        if report.exit_code == 0:
            self._out.print()
            url = reachable_url(settings.host, settings.port)
            is_changed = self._draft.changes and not self._draft.is_new
            again = "; if it is already running, restart it or send it SIGHUP" if is_changed else ""
            rows = (
                (self._command(""), f"serves on {url}{again}"),
                (self._command("connect claude"), "then, in another terminal; `connect` alone lists the other tools"),
            )
            self._out.print(table(("next", ""), rows))
        return report.exit_code

    def _network(self) -> Network:
        """Tell how the network is left: what the command line says goes first."""
        network = self._draft.network()
        try:
            given = proxy_or_none(text) if (text := expand(self._options.proxy or "", self._around.env)) else ""
        except ServiceKeyError as error:
            raise CommandError(f"--proxy: {error}") from None
        except ValueError as error:
            raise CommandError(f"--proxy {error}") from None
        if given:
            network = network.through(None if given == NO_PROXY_AT_ALL else Secret(given))
        return network.trusting(self._options.ca_bundle) if self._options.ca_bundle else network

    def _adviser(self, network: Network) -> Adviser:
        """Give the advice that names the options by which settings are said here."""
        return Adviser.in_network(network, new_key=_ANOTHER_KEY, options=_OPTIONS)

    def _command(self, rest: str) -> str:
        return command(rest, self._draft.path)

    def _good(self, text: str) -> None:
        self._say(Mark.OK, text)

    def _say(self, mark: Mark, text: str) -> None:
        print_marked(self._out, mark, text)
