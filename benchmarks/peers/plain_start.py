"""The program of `plain.py`: loads it by all that makes the start of the service short (`pwmixer_dbus/start.py`)."""

import gc
import os
import sys


def main() -> None:
    """Start it."""
    gc.disable()
    sys.modules["ssl"] = None  # type: ignore[assignment]
    from pwmixer_dbus.startup import bundle  # noqa: PLC0415 - what comes later is loaded by it

    sys.meta_path.insert(0, bundle.Finder(bundle.folder_of(os.environ)))
    from pwmixer_dbus.startup import later  # noqa: PLC0415 - from there

    with later.put_off():
        import pwmixer_dbus.pulse  # noqa: F401, PLC0415 - names libpulse, for which pulsectl would search
        from benchmarks.peers import plain  # noqa: PLC0415 - likewise
    plain.main()


if __name__ == "__main__":
    main()
