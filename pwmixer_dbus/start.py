"""The program `pwmixer-dbus`: loads the service as fast as can be, since whoever activates it by a call waits for that."""

import gc
import os
import sys


def main() -> None:
    """Start the service; with PWMIXER_PLAIN=1 in the environment, without what makes it small and fast."""
    if os.environ.get("PWMIXER_PLAIN") == "1":
        _main_plain()
    # What is made now stays, so that to look for garbage meanwhile is 25 ms for nothing; `settled` makes up for it.
    gc.disable()
    # asyncio does without it, as it has to where Python has none; we open no connection that it could be for.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    from pwmixer_dbus.startup import bundle  # noqa: PLC0415 - see above

    finder = bundle.Finder(bundle.folder_of(os.environ))
    sys.meta_path.insert(0, finder)
    try:
        from pwmixer_dbus.startup import later  # noqa: PLC0415 - from there

        with later.put_off():
            from pwmixer_dbus.core import records  # noqa: PLC0415 - likewise

            vars(records)["exec"] = finder.execute  # by which it writes its methods
            from pwmixer_dbus import daemon  # noqa: PLC0415 - likewise
    except Exception as error:  # noqa: BLE001 - a library that is newer than this file may want anything
        print(f"pwmixer-dbus starts again with PWMIXER_PLAIN=1: {error!r}", file=sys.stderr)  # noqa: T201
        os.environ["PWMIXER_PLAIN"] = "1"
        os.execv(sys.executable, (sys.executable, "-m", "pwmixer_dbus.start", *sys.argv[1:]))  # noqa: S606
    daemon.main()


def _main_plain() -> None:
    import dataclasses  # noqa: PLC0415 - it is there to be done without

    sys.modules["pwmixer_dbus.core.records"] = dataclasses
    from pwmixer_dbus import gathering  # noqa: PLC0415 - after the above
    from pwmixer_dbus.outlets.bus import plainly  # noqa: PLC0415 - likewise
    from pwmixer_dbus.pulse import plainly as plain_pulse  # noqa: PLC0415 - likewise
    from pwmixer_dbus.system.prompt import PromptSelector  # noqa: PLC0415 - likewise

    PromptSelector.is_prompt = False
    gathering.TOGETHER = 0.0
    sys.modules["pwmixer_dbus.pulse.mainloop"] = plain_pulse
    for name in ("levels", "answers"):
        sys.modules[f"pwmixer_dbus.outlets.bus.{name}"] = plainly
    from pwmixer_dbus import daemon  # noqa: PLC0415 - likewise

    daemon.main()


if __name__ == "__main__":
    main()
