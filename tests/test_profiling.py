"""A profile that cannot be taken, or not be written, is told and leaves nothing behind; of those that can, five stay."""

import asyncio
import pstats
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from jumping import jumped

from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError, NotSupportedError
from pwmixer_dbus.system.profiling import KEPT, LONGEST, profile, profile_or_tell


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    jumped(test())
    assert sys.getprofile() is None


def in_vain(*_: object, **_options: object) -> None:
    raise OSError


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_what_was_called_meanwhile_is_in_it_and_only_we_can_read_it(environment: dict[str, str]) -> None:
    async def main() -> None:
        file = profile(2, environment)
        await asyncio.sleep(1)
        assert not file.exists()
        await asyncio.sleep(2)
        assert file.stat().st_mode & 0o777 == 0o600
        assert any("sleep" in name for _, _, name in pstats.Stats(str(file)).stats)  # type: ignore[attr-defined]
        assert list(file.parent.iterdir()) == [file]

    on_a_loop(main)


@pytest.mark.parametrize(
    ("seconds", "runtime", "error", "sentence"),
    [
        (0, "", InvalidArgumentError, f"A profile is taken for 1 to {LONGEST} seconds, not 0."),
        (601, "", InvalidArgumentError, f"A profile is taken for 1 to {LONGEST} seconds, not 601."),
        (1, "", NotSupportedError, "There is no place for a profile: XDG_RUNTIME_DIR is not set; start within a login session."),
    ],
)  # fmt: skip
def test_where_none_can_be_taken_a_sentence_says_why(
    seconds: int, runtime: str, error: type[MixerError], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with pytest.raises(error) as caught:
            profile(seconds, {"XDG_RUNTIME_DIR": runtime})
        assert str(caught.value) == sentence
        profile_or_tell(seconds, {"XDG_RUNTIME_DIR": runtime})
        assert caplog.messages == [sentence]

    on_a_loop(main)


def test_one_is_taken_at_a_time(environment: dict[str, str]) -> None:
    async def main() -> None:
        first = profile(2, environment)
        with pytest.raises(
            LimitsExceededError, match=r"^A profile is being taken already; wait until it is written\.$"
        ):
            profile(1, environment)
        await asyncio.sleep(3)
        assert first.exists()
        profile(1, environment)
        await asyncio.sleep(2)

    on_a_loop(main)


def test_a_folder_that_has_gone_meanwhile_is_told(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        shutil.rmtree(profile(1, environment).parent)
        await asyncio.sleep(2)
        assert "the profile could not be written: [Errno 2] No such file or directory" in caplog.text

    on_a_loop(main)


def test_what_cannot_be_put_in_its_place_is_told_and_removed(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        file = profile(1, environment)
        file.mkdir()
        await asyncio.sleep(2)
        assert "the profile could not be written: [Errno 21] Is a directory" in caplog.text
        assert list(file.parent.iterdir()) == [file]

    on_a_loop(main)


def test_what_a_killed_service_has_left_is_written_over(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with monkeypatch.context() as killed:
            killed.setattr("time.strftime", lambda _: "20200101-000000")
            for step in ("replace", "unlink"):
                killed.setattr(Path, step, in_vain)
            folder = profile(1, environment).parent
            await asyncio.sleep(2)
        assert len(list(folder.iterdir())) == 1
        file = profile(1, environment)
        await asyncio.sleep(2)
        assert list(folder.iterdir()) == [file]

    on_a_loop(main)


def test_the_latest_are_kept(environment: dict[str, str]) -> None:
    async def main() -> None:
        file = profile(1, environment)
        older = [file.with_name(f"profile-20200101-00000{second}.pstats") for second in range(KEPT)]
        for each in older:
            each.touch()
        await asyncio.sleep(2)
        assert sorted(file.parent.iterdir()) == [*older[1:], file]

    on_a_loop(main)
