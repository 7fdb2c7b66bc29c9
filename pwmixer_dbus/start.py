"""The program `pwmixer-dbus`: loads the service as fast as can be, since whoever activates it by a call waits for that."""

import gc
import sys


def main() -> None:
    """Start the service."""
    # All that is loaded stays, so that to look for garbage meanwhile is 12 ms for nothing.
    gc.disable()
    # asyncio does without it, as it has to where Python has none; we open no connection that it could be for.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    from pwmixer_dbus import daemon  # noqa: PLC0415 - see above

    gc.enable()
    daemon.main()


if __name__ == "__main__":
    main()
