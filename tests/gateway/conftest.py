"""What several tests of the gateway begin with."""

import json
from contextlib import closing

import pytest

from gateway.config.loader import load
from gateway.config.settings import SettingsError
from gateway.upstream.transport import Transport
from tests.gateway.configs import KEY
from tests.gateway.peers import Server
from tests.support.networks import VARIABLES


@pytest.fixture(scope="session", autouse=True)
def no_variables_of_this_network():
    """Keep the proxies and the certificates of this machine out of every test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def serve():
    """Starts servers that follow scripts, and closes them with the test."""
    servers = []

    def start(*scripts, context=None):
        servers.append(Server(*scripts, context=context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport():
    with closing(Transport()) as transport:
        yield transport


@pytest.fixture
def home(tmp_path):
    """A home in which nobody has kept anything."""
    return tmp_path / "home"


@pytest.fixture
def write_config(tmp_path):
    """Writes a config file beside the keys of two subaccounts, eu and us."""

    def write_config(config, name="config.json"):
        (tmp_path / "eu.json").write_text(json.dumps(KEY))
        (tmp_path / "us.json").write_text(json.dumps(KEY | {"clientid": "us"}))
        file = tmp_path / name
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        return file

    return write_config


@pytest.fixture
def settings_of(write_config, home):
    """Reads what a config file says."""

    def settings_of(config, env=None):
        return load(write_config(config), env or {}, home)

    return settings_of


@pytest.fixture
def mistakes_in(settings_of):
    """Finds what is wrong with a config file, by where it stands; each is one line, and none shows a secret."""

    def mistakes_in(config, env=None):
        with pytest.raises(SettingsError) as caught:
            settings_of(config, env)
        assert "hunter2" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == len(caught.value.mistakes)
        return {mistake.where: mistake.what for mistake in caught.value.mistakes}

    return mistakes_in
