import sys
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session import completed

from pwmixer_dbus.config.errors import ConfigError, lines_of
from pwmixer_dbus.config.load import config_path, in_doubt, load, show
from pwmixer_dbus.core.model import clean
from pwmixer_dbus.core.settings import Settings, SharedMemorySettings, SocketSettings

TABLES = "volume, apps, memory, stats, socket, bar_signal, shared_memory, osd, service, log, rules"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def problems_of(file: Path, content: str | bytes) -> list[str]:
    """Write the content, load it, and return the lines of the error without the folder."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        load(file)
    return [line.removeprefix(f"{file.parent}/") for line in str(caught.value).split("\n")]


# --- what is fine


def test_the_file_is_in_the_xdg_config_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path() == tmp_path / "pwmixer" / "config.toml"


def test_a_missing_file_gives_the_defaults(file: Path) -> None:
    assert load(file) == Settings()


def test_a_missing_file_does_not_cost_pydantic(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pwmixer_dbus.config.load import load;"
        f"load(Path({str(file)!r})); print('pydantic' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = completed(sys.executable, "-c", code, cwd=root, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("broken", [None, "raise SystemError('of another version')", "BaseModel = 1"])
def test_a_wrong_file_is_told_also_where_pydantic_is_gone_or_broken(
    broken: str | None, file: Path, tmp_path: Path
) -> None:
    file.write_text("[volume]\nmx = 7\n")
    (tmp_path / "pydantic").mkdir()
    (tmp_path / "pydantic/__init__.py").write_text(broken or "import no_longer_there")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from pathlib import Path\n"
        "from pwmixer_dbus.config.load import load; from pwmixer_dbus.config.errors import ConfigError\n"
        f"try: load(Path({str(file)!r}))\n"
        "except ConfigError as error: print(error)"
    )
    root = Path(__file__).parents[2]
    done = completed(sys.executable, "-c", code, cwd=root, check=True)
    assert done.stdout.startswith(f"{file}: something in it is wrong; pydantic, which would say what, cannot")
    assert done.stdout.count("\n") == 1


def test_a_link_to_nowhere_counts_as_missing(file: Path) -> None:
    file.symlink_to("nowhere")
    assert load(file) == Settings()


@pytest.mark.parametrize("content", ["", "\n# only a comment\n", "[volume]\n[apps.aliases]\n[log]\n"])
def test_a_file_that_sets_nothing_gives_the_defaults(file: Path, content: str) -> None:
    file.write_text(content)
    assert load(file) == Settings()


def test_every_key_can_be_set(file: Path) -> None:
    file.write_text(
        '[volume]\nmax = 1.5\nstep = 0.1\nunmute_on_raise = false\n[apps.aliases]\n"bin:a" = "id:b"\n'
        '[log]\nlevel = "debug"\n'
    )
    assert load(file) == Settings(
        max_volume=1.5, step=0.1, unmute_on_raise=False, aliases={"bin:a": "id:b"}, log_level="debug"
    )


def test_a_whole_number_is_a_number(file: Path) -> None:
    file.write_text("volume.max = 1")
    assert load(file).max_volume == 1.0


def test_nobody_can_change_the_aliases_later(file: Path) -> None:
    file.write_text('[apps.aliases]\n"bin:a" = "id:b"\n')
    assert isinstance(load(file).aliases, MappingProxyType)


def test_lines_may_end_as_on_windows(file: Path) -> None:
    assert problems_of(file, "[volume]\r\nmax = 2.0\r\n") == [
        "config.toml:2: volume.max: 2.0 is too large, the highest is 1.5"
    ]


# --- a value that is wrong

NO_APP_ID = "must be text in quotes, 1 to 512 printable characters, not"
NO_PATH = 'must be an absolute path in quotes, at most 103 characters, or "", not'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("volume.max = 2.0", "volume.max: 2.0 is too large, the highest is 1.5"),
        ("volume.max = 2", "volume.max: 2 is too large, the highest is 1.5"),
        ("volume.max = -0.1", "volume.max: -0.1 is too small, the lowest is 0.0"),
        (
            'shared_memory.name = "a/b"',
            'shared_memory.name: must be a name without slashes that does not begin with a dot, not "a/b"',
        ),
        ("volume.step = 0", "volume.step: 0 is too small, the lowest is 0.001"),
        ("volume.step = 0.6", "volume.step: 0.6 is too large, the highest is 0.5"),
        ('volume.max = "0.5"', 'volume.max: must be a number from 0.0 to 1.5, not "0.5"'),
        ("volume.max = true", "volume.max: must be a number from 0.0 to 1.5, not true"),
        ("volume.max = nan", "volume.max: must be a number from 0.0 to 1.5, not nan"),
        ("volume.max = inf", "volume.max: must be a number from 0.0 to 1.5, not inf"),
        ("volume.max = 1e999", "volume.max: must be a number from 0.0 to 1.5, not inf"),
        ("volume.max = [1]", "volume.max: must be a number from 0.0 to 1.5, not a list of 1"),
        ("volume.max = {}", "volume.max: must be a number from 0.0 to 1.5, not a table"),
        ("volume.max = 2026-01-02", "volume.max: must be a number from 0.0 to 1.5, not 2026-01-02"),
        ("volume.unmute_on_raise = 1", "volume.unmute_on_raise: must be true or false, not 1"),
        ('volume.unmute_on_raise = "no"', 'volume.unmute_on_raise: must be true or false, not "no"'),
        ('log.level = "x"', 'log.level: must be one of "debug", "info", "warning", "error", not "x"'),
        ("log.level = 3", 'log.level: must be one of "debug", "info", "warning", "error", not 3'),
        ('socket.path = "here"', f'socket.path: {NO_PATH} "here"'),
        ('socket.path = "/a\\nb"', f'socket.path: {NO_PATH} "/a\\nb"'),
        (f'socket.path = "/{"x" * 103}"', f'socket.path: {NO_PATH} "/{"x" * 39}…"'),
        ("volume = 3", "volume: must be a table, written [volume], not 3"),
        ("apps.aliases = 3", "apps.aliases: must be a table, written [apps.aliases], not 3"),
        ("[[volume]]", "volume: must be a table, written [volume], not a list of 1"),
        ("apps.aliases.a = 5", f"apps.aliases.a: {NO_APP_ID} 5"),
        ('apps.aliases.a = ""', f'apps.aliases.a: {NO_APP_ID} ""'),
        ('apps.aliases.a = "\\u0007"', f'apps.aliases.a: {NO_APP_ID} "\\u0007"'),
        ('apps.aliases."" = "a"', f'apps.aliases."": {NO_APP_ID} ""'),
        (f'apps.aliases.a = "{"x" * 513}"', f'apps.aliases.a: {NO_APP_ID} "{"x" * 40}…"'),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(file: Path, content: str, problem: str) -> None:
    assert problems_of(file, content) == [f"config.toml:1: {problem}"]


def test_a_number_too_long_for_python_to_print_is_told(file: Path) -> None:
    (problem,) = problems_of(file, f"volume.max = 0x{'f' * 9999}")
    assert (
        problem
        == "config.toml:1: volume.max: must be a number from 0.0 to 1.5, not a number of more than 64 bits"
    )


# --- a key that is wrong


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[volume]\nmaxx = 1", '2: volume.maxx: no such key; did you mean "max"?'),
        ("[volum]\nmax = 1", '1: volum: no such key; did you mean "volume"?'),
        ("step = 0.1", "1: step: no such key; it belongs under [volume]"),
        ("[volume]\nlevel = 1", "2: volume.level: no such key; it belongs under [log]"),
        (
            "[log]\n# [socket]\nenabled = false",
            "3: log.enabled: no such key; it belongs under [memory] or [socket] or [bar_signal] or [shared_memory] or [osd]",
        ),
        (
            "[volume]\nzzz = 1",
            "2: volume.zzz: no such key; here may stand max, enforce_max, step, unmute_on_raise",
        ),
        (
            "[volume]\nmax_volume = 1",
            "2: volume.max_volume: no such key; here may stand max, enforce_max, step, unmute_on_raise",
        ),
        ("zzz = 1", f"1: zzz: no such key; here may stand {TABLES}"),
        ("[apps]\nx = 1", "2: apps.x: no such key; here may stand aliases"),
        ("[log]\nsocket.enabled = false", "2: log.socket: no such key; it has a header of its own, [socket]"),
        ("[[log.rules]]\nname = 'x'", "1: log.rules: no such key; it has a header of its own, [[rules]]"),
        ('"a b".c = 1', f'1: "a b": no such key; here may stand {TABLES}'),
        (
            f"{'x' * 99} = 1",
            f'1: "{"x" * 40}…": no such key; here may stand {TABLES}',
        ),
    ],
)
def test_an_unknown_key_comes_with_a_suggestion(file: Path, content: str, problem: str) -> None:
    assert problems_of(file, content) == [f"config.toml:{problem}"]


def test_all_problems_are_told_in_the_order_of_the_file(file: Path) -> None:
    problems = problems_of(file, "zzz = 1\n[log]\nlevel = 1\n[volume]\nmaxx = 1\nmax = 2\n")
    assert [problem.split(":")[1] for problem in problems] == ["1", "3", "5", "6"]


def test_no_more_than_twenty_problems_are_told(file: Path) -> None:
    problems = problems_of(file, "".join(f"k{number} = 1\n" for number in range(5000)))
    assert len(problems) == 21
    assert problems[-1] == "config.toml: and 4980 more"


# --- what is not TOML


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "[log]\nlevel = warning",
            '2:9: not valid TOML: a value is a number such as 0.5, text in quotes such as "info", or true or false',
        ),
        ("[log]\nlevel\n", '2:6: not valid TOML: a key is followed by "=" and a value'),
        ("a = 1\na = 2\n\n", "2:6: not valid TOML: this key is already set above"),
        ('[log]\nlevel = "warning\n\n', "2:17: not valid TOML: the quotes are not closed on this line"),
        ("[log]\nlevel = [1\n\n", "2: not valid TOML: Unclosed array"),
        (
            "[log]\nlevel = info",
            "2:12: not valid TOML: nothing may follow a value, and text stands in quotes",
        ),
        ("[a]\n[a]\n", "2:3: not valid TOML: Cannot declare ('a',) twice"),
        ("[volume\n", "1:8: not valid TOML: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_syntax_error_is_told_with_line_and_column(file: Path, content: str, problem: str) -> None:
    assert problems_of(file, content) == [f"config.toml:{problem}"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xef\xbb\xbf[log]", ": starts with a byte order mark; save it as UTF-8 without one"),
        (b"[log]\n# \xff", ":2: this line is not UTF-8; save the file as UTF-8"),
        (b"#" * (1024 * 1024 + 1), ": is larger than 1 MiB, which no configuration needs"),
        (b"a = " + b"[" * 100_000, ": has brackets nested too deeply"),
        (b"a = " + b"9" * 5000, ": holds a number that is too long"),
    ],
)
def test_bytes_that_are_no_configuration_are_told(file: Path, content: bytes, problem: str) -> None:
    assert problems_of(file, content) == [f"config.toml{problem}"]


def test_a_file_of_just_one_mebibyte_is_read(file: Path) -> None:
    file.write_bytes(b"#" * 1024 * 1024)
    assert load(file) == Settings()


# --- what is not a file


def error_of(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file)
    return str(caught.value)


def test_a_folder_is_told(tmp_path: Path) -> None:
    assert error_of(tmp_path) == f"{tmp_path}: is a folder, where a file should be"


def test_a_pipe_is_told_and_not_waited_for() -> None:
    assert error_of(Path("/dev/null")) == "/dev/null: is no regular file"


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    file.symlink_to(file)  # file modes would not stop root
    assert error_of(file) == f"{file}: cannot be read: Too many levels of symbolic links"


@pytest.mark.parametrize(
    ("content", "off"),
    [
        ("[volume", ""),
        ("volume.max = fast", ""),
        ("[socket]\nenabled = off", "socket"),
        ("socket.enabled = no", "socket"),
        ("[volume\n[shared_memory]\nenabled = false", "shared memory"),
        ("[shared_memory]\nenable = false\n\n[socket]\nenabled = 0", "socket and no shared memory"),
        ("[volume]\nmax = 9\n\n[socket]\n# The Unix socket.\n#enabled = true\n\n[shared_memory]\n", ""),
        ("# no socket\n[volume", ""),
        (b"\xef\xbb\xbf[volume]\nmax = 1", ""),
        ('volume.max = 9\n["log"]\nlevel = 1\n[[ rules ]]\nto = [\n "a",\n]\n[apps.aliases]\nsokcet = 1', ""),
        ("[sokcet]\nenabled = false", "socket and no shared memory"),
        ("[sokcet]\n\n[volume]\nmax = 9", ""),
        ('[volume]\nmax = 1\n\n [ "Socket" ] \nenabled = false', "socket and no shared memory"),
        ("sokcet.enabled = false\n[volume]", "socket and no shared memory"),
        ("enabled = false", "socket and no shared memory"),
        (b"\xff", "socket and no shared memory"),
    ],
)
def test_what_a_bad_file_may_switch_off_is_off_and_nothing_else(
    file: Path, content: str | bytes, off: str
) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    chosen, sentence, _ = in_doubt(file)
    assert chosen == Settings(
        socket=SocketSettings(enabled="socket" not in off),
        shared_memory=SharedMemorySettings(enabled="shared" not in off),
    )
    assert sentence == (f"{file}: until it is mended there is no {off}: it may say so" if off else "")


@pytest.mark.parametrize(
    ("content", "may_forbid"),
    [
        ("[volume", False),
        ("[shared_memory]\nenabled = maybe\n[memory]\n# enabled = false\n[volume]\nmax = 9", False),
        ("[memory]\nenabled = fasle", True),
        ("[[memory]\nenabled = false", True),
        ("memory = { enabled = false }\n[volum]", True),
        ("[memroy]\nenabled = false", True),
        (b"\xff", True),
    ],
)
def test_a_bad_file_may_forbid_to_save_only_where_it_says_something_of_memory(
    file: Path, content: str | bytes, may_forbid: bool
) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    chosen, _, found = in_doubt(file)
    assert (chosen.memory, found) == (True, may_forbid)


def test_what_is_in_a_file_that_cannot_be_read_may_be_anything(tmp_path: Path) -> None:
    chosen, sentence, may_forbid = in_doubt(tmp_path)
    assert (chosen.socket.enabled, chosen.shared_memory.enabled, may_forbid) == (False, False, True)
    assert (
        sentence == f"{tmp_path}: until it is mended there is no socket and no shared memory: it may say so"
    )


def test_an_odd_file_name_cannot_break_the_message(tmp_path: Path) -> None:
    folder = tmp_path / "a\nb\x1b"
    folder.mkdir()
    assert error_of(folder) == f"{tmp_path}/ab: is a folder, where a file should be"


def test_the_error_knows_its_d_bus_name() -> None:
    assert ConfigError.dbus_name == "org.pwmixer.Error.Config"


# --- the line of a key

TEXT = '''# a comment with [brackets and "quotes
top = 1
inline = { a = 1, b = { c = 2 } }

[table]  # a comment
  "quoted key" = 1
  long = """
[table.no]
# no comment \\""" ""\"""
  list = [
    "]", # ]
    [1, 2],
  ]
  after.dotted.key = 1
'literal' = \'\'\'
a = 1
\'\'\'
"" = 1
[table."sub.table"]
x = 1
[[array]]
x = 1
[[array]]
y = 1
[array.inner]
x = 1
[[array.deep]]
x = 1
[[array.deep]]
x = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("inline", "a"), 3),
        (("inline", "b", "c"), 3),
        (("table",), 5),
        (("table", "quoted key"), 6),
        (("table", "long"), 7),
        (("table", "list"), 10),
        (("table", "list", 1, 0), 10),
        (("table", "after"), 14),
        (("table", "after", "dotted", "key"), 14),
        (("table", "literal"), 15),
        (("table", ""), 18),
        (("table", "sub.table", "x"), 20),
        (("array",), 21),
        (("array", 0), 21),
        (("array", 0, "x"), 22),
        (("array", 1), 23),
        (("array", 1, "y"), 24),
        (("array", 1, "inner", "x"), 26),
        (("array", 1, "deep", 0, "x"), 28),
        (("array", 1, "deep", 1), 29),
        (("array", 1, "deep", 1, "x"), 30),
        (("table", "missing"), 5),
        (("array", 0, "missing"), 21),
        (("missing",), None),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str | int, ...], line: int | None) -> None:
    assert lines_of(TEXT, [path]) == [line]


# --- whatever comes

WORDS = '[volume] [[volume]] [apps.aliases] [log] max step level 1 2.5 nan true 1979-05-27 \'a\' "x" "info"'
FRAGMENTS = st.lists(st.sampled_from([*WORDS.split(), *".=[]{},#\\\n", "'''", '"""', "\r\n"])).map(
    lambda parts: "".join(parts).encode()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(), st.text().map(str.encode), FRAGMENTS))
def test_no_bytes_raise_anything_but_a_config_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        load(file)
    except ConfigError as error:
        for line in str(error).split("\n"):
            assert line.startswith(f"{file}:")
            assert line == clean(line, len(line))


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text("ab\"\\\n']#", max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab.\"' ", max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def as_toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{as_toml(key)} = {as_toml(entry)}" for key, entry in value.items()) + "}"
        case list():
            return "[\n" + ",\n".join(as_toml(entry) for entry in value) + "]"
        case str():
            return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
        case _:
            return str(value).lower()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.sampled_from(["volume", "apps", "apps.aliases", "log", "zzz"]),
    key=st.sampled_from(["max", "step", "unmute_on_raise", "aliases", "level", "zzz"]),
    value=VALUES,
    lead=st.integers(0, 3),
)
def test_a_wrong_value_of_any_shape_is_told_at_a_line(
    file: Path, table: str, key: str, value: object, lead: int
) -> None:
    file.write_text("\n" * lead + f"[{table}]\n{key} = {as_toml(value)}\n")
    try:
        load(file)
    except ConfigError as error:
        for line in str(error).split("\n"):
            number = int(line.removeprefix(f"{file}:").split(":")[0])
            assert number in {lead + 1, lead + 2}
            assert "must be , not" not in line


APP_IDS = st.text(min_size=1, max_size=20).filter(lambda text: clean(text) == text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.builds(
        Settings,
        max_volume=st.floats(0.0, 1.5),
        step=st.floats(0.001, 0.5),
        unmute_on_raise=st.booleans(),
        aliases=st.dictionaries(APP_IDS, APP_IDS, max_size=3),
        socket=st.builds(
            SocketSettings,
            enabled=st.booleans(),
            path=st.sampled_from(["", "/run/user/1000/pipewire-volume-mixer.sock", '/a "b" ü/c']),
        ),
        log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    )
)
def test_what_show_prints_loads_as_the_same_settings(file: Path, chosen: Settings) -> None:
    file.write_text(show(chosen), encoding="utf-8")
    assert load(file) == chosen
