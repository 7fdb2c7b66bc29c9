#!/usr/bin/env python3
"""Write docs/socket.schema.json from the models of the socket's JSON dialect. Run it after a change of them."""

import json
from pathlib import Path

from pwmixer_dbus.outlets.socket.schema import published

PAGE = Path(__file__).resolve().parent.parent / "docs" / "socket.schema.json"


def page() -> str:
    """Return what the file should be."""
    return json.dumps(published(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
