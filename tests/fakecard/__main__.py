"""`python -m fakecard [NAME [DESCRIPTION]]`: a sound card in the PipeWire of the environment, driven by lines on stdin.

jack PORT yes|no|unknown    something is plugged in, pulled out, or nobody can say
profile NAME                the card itself changes its profile
unplug, plug                the whole card goes, or comes back
quit
"""

import os
import selectors
import sys

from fakecard.card import PROFILES, Card
from fakecard.native import NativeConnection


def main() -> int:
    """Serve the card until the end of stdin or of the sound server."""
    name, description = [*sys.argv[1:], *("fake", "Fake Audio")[len(sys.argv) - 1 :]][:2]
    path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "pipewire-0")  # noqa: PTH118 - a socket's path, for connect
    connection = NativeConnection(path, "fakecard")
    card = Card(connection, name, description)
    card.plug()
    with selectors.DefaultSelector() as selector:
        selector.register(connection.socket, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        unread = b""
        while True:
            for key, _ in selector.select():
                if key.fileobj is connection.socket:
                    if not connection.receive():
                        return 0
                    continue
                data = os.read(0, 4096)
                *lines, unread = (unread + data).split(b"\n")
                if not data or not all(_obey(card, line.decode().split()) for line in lines):
                    return 0


def _obey(card: Card, words: list[str]) -> bool:
    match words:
        case ["jack", port, available]:
            card.set_jack(port, available)
        case ["profile", name]:
            card.set_profile([p.name for p in PROFILES].index(name))
        case ["plug"]:
            card.plug()
        case ["unplug"]:
            card.unplug()
        case ["quit"]:
            return False
        case _:
            sys.stdout.write(f"? {' '.join(words)}\n")
            sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())
