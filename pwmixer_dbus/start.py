"""The program `pwmixer-dbus`: loads the service as fast as can be, since whoever activates it by a call waits for that."""

import gc
import os
import sys


def main() -> None:
    """Start the service; with PWMIXER_PLAIN=1 in the environment, without what makes it small and fast."""
    if os.environ.get("PWMIXER_PLAIN") == "1":
        _be_plain()
    # What is made now stays, so that to look for garbage meanwhile is 25 ms for nothing; `settled` makes up for it.
    gc.disable()
    # asyncio does without it, as it has to where Python has none; we open no connection that it could be for.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    from pwmixer_dbus import daemon  # noqa: PLC0415 - see above

    daemon.main()


def _be_plain() -> None:
    import dataclasses  # noqa: PLC0415 - it is there to be done without

    sys.modules["pwmixer_dbus.core.records"] = dataclasses


if __name__ == "__main__":
    main()
