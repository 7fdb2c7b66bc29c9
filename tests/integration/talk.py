"""A client of the socket, as a script or a bar would be one."""

import json
import socket
from pathlib import Path
from typing import Any, Self

from session import PATIENCE, Session


def place(session: Session) -> Path:
    """Name the socket of the service in a session."""
    return session.runtime / "pwmixer" / "socket"


class Talk:
    """A connection to the socket; it is closed at the end of a `with`."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *lines: str) -> None:
        """Send lines."""
        self.socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def line(self) -> str:
        """Wait for a line; EOFError where there will be none."""
        while b"\n" not in self._rest:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError(self._rest)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def ask(self, line: str) -> str:
        """Send a line and wait for its answer."""
        self.say(line)
        return self.line()

    def json(self, **message: Any) -> Any:
        """Send a message and wait for its answer."""
        return json.loads(self.ask(json.dumps(message)))

    def until(self, wanted: str) -> list[str]:
        """Return the lines that come, up to one that is as wanted."""
        lines = [self.line()]
        while lines[-1] != wanted:
            lines.append(self.line())
        return lines
