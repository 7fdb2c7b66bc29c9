import re
import tomllib
from pathlib import Path

import gen_config_docs
import pytest

from pwmixer_dbus.config.errors import ConfigError
from pwmixer_dbus.config.load import example, load, write_example
from pwmixer_dbus.config.schema import keys
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.settings import Settings


def uncommented(text: str) -> str:
    """Take off every comment sign before a key; those before prose have a space behind them."""
    return re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)


def test_the_example_as_written_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    write_example(file)
    assert load(file) == Settings()


def test_the_example_with_every_key_set_equals_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(uncommented(example()))
    assert replace(load(file), rules=()) == Settings()


def test_the_example_names_and_explains_every_key() -> None:
    values = tomllib.loads(uncommented(example()))
    prose = " ".join(line[2:] for line in example().splitlines() if line.startswith("# "))
    for key in keys():
        found: object = values
        for part in key.path:
            assert isinstance(found, dict)
            found = found[part]
        assert found == key.default
        assert key.description in prose


def test_the_example_makes_the_folders_that_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "config.toml"
    write_example(file)
    assert file.read_text() == example()


def test_the_example_leaves_no_other_file_behind(tmp_path: Path) -> None:
    write_example(tmp_path / "config.toml")
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("is_link", [False, True])
def test_the_example_never_overwrites_a_file(tmp_path: Path, is_link: bool) -> None:
    file = tmp_path / "config.toml"
    if is_link:
        file.symlink_to("nowhere")
    else:
        file.write_text("mine")
    with pytest.raises(ConfigError) as caught:
        write_example(file)
    assert str(caught.value) == f"{file}: exists already and is left as it is"
    assert file.is_symlink() if is_link else file.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


def test_an_example_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "pwmixer" / "config.toml"
    with pytest.raises(ConfigError) as caught:
        write_example(target)
    assert str(caught.value) == f"{target}: cannot be written: Not a directory"


def test_the_documentation_has_the_keys_of_the_schema() -> None:
    page = gen_config_docs.PAGE.read_text(encoding="utf-8")
    assert gen_config_docs.documented(page) == page
