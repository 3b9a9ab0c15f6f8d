"""What stands in other people's settings files stays there, or they are not written."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.connect import json_text
from gateway.cli.connect.files import COPY, UNDONE, apply, undo, write
from gateway.tool_settings.tool import ConnectError, Format, SettingsFile, merged

COMMENTED = """\
// mine
{
  "theme": "dark", // as the sun goes down
  /* the environment */
  "env": {
    "OTHER": "kept", // all of it
    "URL": "old",
  },
}
"""
CODEX = """\
# mine
model = "o3" # the best
approval_policy = "never"

[model_providers.proxy] # an old one
base_url = "old"
stale = 1

# trusted
[projects."/home/me"]
trust_level = "trusted"
"""
Write = Callable[[str], list[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "settings.json"


@pytest.fixture
def write_url(path: Path) -> Write:
    """Writes a URL into the file."""
    return lambda url: write([SettingsFile(path, Format.JSON, {("env", "URL"): url})])


def edited(text: str, kind: Format, edits: dict) -> str:
    return apply(text, SettingsFile(Path("settings"), kind, edits))


def test_comments_and_what_is_not_set_stay_in_json():
    after = edited(COMMENTED, Format.JSON, {("env", "URL"): "new", ("env", "KEY"): "k", ("model",): {"a": [1]}})

    assert json_text.parse_object(after) == {
        "theme": "dark",
        "env": {"OTHER": "kept", "URL": "new", "KEY": "k"},
        "model": {"a": [1]},
    }
    for line in COMMENTED.replace('"old"', '"new"').splitlines():
        assert line in after.splitlines()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), JSONS)


@given(OBJECTS, st.lists(st.text(), min_size=1, max_size=3).map(tuple), JSONS, st.sampled_from([None, 2]))
def test_json_is_merged_or_refused(before, path, value, indent):
    edits = {path: value}
    try:
        wanted = merged(before, edits)
    except ConnectError:
        with pytest.raises(ConnectError):
            edited(json.dumps(before, indent=indent), Format.JSON, edits)
    else:
        after = edited(json.dumps(before, indent=indent), Format.JSON, edits)

        assert json.loads(after) == wanted


def test_comments_and_what_is_not_set_stay_in_toml():
    edits = {("model",): "gpt", ("model_provider",): "proxy", ("model_providers", "proxy"): {"base_url": "new"}}
    after = edited(CODEX, Format.TOML, edits)

    assert tomllib.loads(after) == {
        "model": "gpt",
        "model_provider": "proxy",
        "approval_policy": "never",
        "model_providers": {"proxy": {"base_url": "new"}},
        "projects": {"/home/me": {"trust_level": "trusted"}},
    }
    for comment in ("# mine", "# the best", "# an old one", "# trusted"):
        assert comment in after


PROVIDER = {("model",): "gpt", ("providers", "proxy"): {"url": "new", "key": "k"}}
TOMLS = {
    # what              before, and what it becomes
    "nothing": ("", 'model = "gpt"\n\n[providers.proxy]\nurl = "new"\nkey = "k"\n'),
    "a comment": ("# mine", '# mine\nmodel = "gpt"\n\n[providers.proxy]\nurl = "new"\nkey = "k"\n'),
    "inline tables": (
        'providers = {other = {url = "o"}, proxy = {old = 1}}\nmodel = "o3"\n',
        'providers = {other = {url = "o"}, proxy = {url = "new",key = "k"}}\nmodel = "gpt"\n',
    ),
    "dotted keys": (
        'model = "o3"\nproviders.proxy.url = "old" # here\nlast = 1\n',
        'model = "gpt"\nproviders.proxy.url = "new" # here\nproviders.proxy.key = "k"\nlast = 1\n',
    ),
    "a quoted header": (
        'model = "o3"\n["providers".\'proxy\']\nurl = "old"\n',
        'model = "gpt"\n["providers".\'proxy\']\nurl = "new"\nkey = "k"\n',
    ),
    "a header in a text": (
        'model = """\n[providers.proxy]\n"""\n',
        'model = "gpt"\n\n[providers.proxy]\nurl = "new"\nkey = "k"\n',
    ),
    "a list of lines": (
        'model = [\n  "o3", # best\n]\n[providers.proxy]\n',
        'model = "gpt"\n[providers.proxy]\nurl = "new"\nkey = "k"\n',
    ),
    "a comment on the first table": (
        "a = 1\n\n# trusted\n[projects]\n",
        'model = "gpt"\na = 1\n\n# trusted\n[projects]\n\n[providers.proxy]\nurl = "new"\nkey = "k"\n',
    ),
    "a table within": (
        'model = "o3"\n[providers.proxy]\nurl = "old"\n[providers.proxy.headers]\nx = "1"\n\n# trusted\n[projects]\n',
        'model = "gpt"\n[providers.proxy]\nurl = "new"\nkey = "k"\n\n# trusted\n[projects]\n',
    ),
    "windows": (
        'model = "o3"\r\n[projects]\r\n[providers.proxy]\r\nurl = "old"\r\nkey = "old"\r\n',
        'model = "gpt"\r\n[projects]\r\n[providers.proxy]\r\nurl = "new"\r\nkey = "k"\r\n',
    ),
}


@pytest.mark.parametrize(("before", "after"), TOMLS.values(), ids=TOMLS)
def test_toml_stays_as_it_is_written(before, after):
    assert edited(before, Format.TOML, PROVIDER) == after
    assert edited(after, Format.TOML, PROVIDER) == after


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from("abc") | st.text(), TOML_VALUES),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map(tuple),
    st.text() | st.dictionaries(st.sampled_from("abc"), st.text(), min_size=1),
)
def test_toml_is_merged_or_refused(before, path, value):
    text = tomlkit.dumps(before)
    try:
        wanted = merged(tomllib.loads(text), {path: value})
    except ConnectError:
        with pytest.raises(ConnectError):
            edited(text, Format.TOML, {path: value})
    else:
        assert tomllib.loads(edited(text, Format.TOML, {path: value})) == wanted


def test_variables_are_replaced_however_they_are_written():
    after = edited("# mine\nexport URL=old\nOTHER=1", Format.ENV, {("URL",): "new", ("KEY",): "k"})

    assert after == "# mine\nOTHER=1\nURL=new\nKEY=k\n"
    assert edited("", Format.ENV, {("A",): "x#y", ("B",): "it's"}) == "A='x#y'\nB=\"it's\"\n"


REFUSED = [
    # what           kind                 text                                   why
    ("broken", Format.JSON, '{"a": ', "it ends too soon"),
    ("misplaced", Format.JSON, '{"a": 1}\n}', r"line 2: '}' is out of place"),
    ("two-values", Format.JSON, '{"a": 1 2}', "'2' is out of place"),
    ("no-value", Format.JSON, '{"a": ,}', "',' is out of place"),
    ("odd-letter", Format.JSON, '{"a": /}', "'/' is out of place"),
    ("number-as-name", Format.JSON, "{1: 2}", "out of place"),
    ("open-list", Format.JSON, '{"a": [1', "it ends too soon"),
    ("list", Format.JSON, "[]", "not an object"),
    ("in-the-way", Format.JSON, '{"a": 1}', "a is not an object"),
    ("broken-toml", Format.TOML, "a = ", "cannot be read as TOML"),
    ("no-table", Format.TOML, "a = 1", "a is not an object"),
    ("table-in-pieces", Format.TOML, "[a.b.d]\n[q]\n[a.b.c]\n", "could not be kept"),
    ("more-pieces", Format.TOML, "[a.b]\nb.c = 2\n[a.b.c]\n[q]\n[a.b.c.f]\n", "could not be kept"),
]


@pytest.mark.parametrize(("kind", "text", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_file_whose_content_cannot_be_kept_is_refused_with_the_reason(kind, text, why):
    edits = {("a", "b"): {"c": "x"} if kind is Format.TOML else "x"}

    with pytest.raises(ConnectError, match=r"settings is not written: .*" + why):
        edited(text, kind, edits)


def test_nothing_is_written_where_one_of_several_files_is_refused(path, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    files = [SettingsFile(each, Format.JSON, {("a",): 1}) for each in (path, broken)]

    with pytest.raises(ConnectError):
        write(files)
    assert sorted(tmp_path.iterdir()) == [broken]


def test_a_file_is_written_for_its_owner_alone_and_undone_byte_for_byte(path, write_url):
    path.parent.mkdir()
    path.write_bytes(b'{"a":\t1}\r\n')
    path.chmod(0o640)
    write_url("one")

    assert json.loads(path.read_bytes()) == {"a": 1, "env": {"URL": "one"}}
    assert path.stat().st_mode & 0o777 == 0o600
    undo([path])
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b'{"a":\t1}\r\n', 0o640)
    assert [*path.parent.iterdir()] == [path]


def test_writing_again_keeps_the_first_copy(path, write_url):
    path.parent.mkdir()
    path.write_text('{"a": 1}')
    write_url("one")
    said = write_url("two")
    again = write_url("two")

    assert json.loads(path.read_text())["env"] == {"URL": "two"}
    assert path.with_name(path.name + COPY).read_text() == '{"a": 1}'
    assert said == [f"wrote {path} (as it was: {path.name}{COPY})"]
    assert again == [f"{path} needs no change"]
    undo([path])
    assert path.read_text() == '{"a": 1}'


def test_a_file_that_was_not_there_is_gone_after_undo(path, write_url):
    write_url("one")
    undo([path])

    assert [*path.parent.iterdir()] == []


@pytest.mark.parametrize("again", [False, True])
def test_what_was_changed_since_is_kept_beside(path, write_url, again):
    write_url("one")
    path.write_text('{"changed": true}')
    if again:
        write_url("two")
    said = undo([path])

    assert not path.exists()
    assert json.loads(path.with_name(path.name + UNDONE).read_text())["changed"] is True
    assert said[0] == f"{path} has changed since then: moved to {path.name}{UNDONE}"


def test_undo_without_a_copy_says_that_there_is_nothing_to_undo(path, write_url):
    write_url("one")
    undo([path])

    with pytest.raises(ConnectError, match="nothing to undo"):
        undo([path])


def test_a_byte_order_mark_stays_where_it_is(path, write_url):
    path.parent.mkdir()
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    write_url("one")

    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")
    assert json.loads(path.read_text("utf-8-sig")) == {"a": 1, "env": {"URL": "one"}}
    undo([path])
    assert path.read_bytes() == b'\xef\xbb\xbf{"a": 1}'


def test_where_a_file_cannot_be_edited_is_said_what_to_do_by_hand(path, write_url):
    path.parent.mkdir()
    path.write_text("{")

    with pytest.raises(ConnectError, match=r"; correct it, or make the settings of --print by hand$"):
        write_url("one")


def test_a_link_stays_a_link(path, tmp_path, write_url):
    target = tmp_path / "dotfiles.json"
    target.write_text("{}")
    path.parent.mkdir()
    path.symlink_to(target)
    write_url("one")

    assert path.is_symlink()
    assert json.loads(target.read_text()) == {"env": {"URL": "one"}}


def test_a_folder_in_the_place_of_a_file_is_one_clear_line(path, write_url):
    path.mkdir(parents=True)

    with pytest.raises(ConnectError, match="Is a directory"):
        write_url("one")


def test_a_file_that_is_no_text_is_refused(path, write_url):
    path.parent.mkdir()
    path.write_bytes(b"\xff")

    with pytest.raises(ConnectError, match="is not UTF-8 text"):
        write_url("one")
