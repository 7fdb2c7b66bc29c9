"""Lines out of bytes that come in pieces, in bounded memory."""

LINE_LIMIT = 64 * 1024
"""The most bytes of a line, without its end."""


class Lines:
    """Bytes go in as they come, lines come out as they are whole; `whole` is how many there are."""

    def __init__(self) -> None:
        self.whole = 0
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self._buffer += data
        self.whole += data.count(b"\n")
        if not self.whole and len(self._buffer) > LINE_LIMIT:
            self._buffer.clear()
            self._skipping = True

    @property
    def has_rest(self) -> bool:
        """Whether there is the beginning of a line."""
        return self._skipping or bool(self._buffer)

    def take(self) -> bytes | None:
        """Take out a line, without its end; None for one that was too long. Raises IndexError where there is none."""
        end = self._buffer.find(b"\n")
        if end < 0:
            raise IndexError("no line")
        line = None if self._skipping or end > LINE_LIMIT else bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self.whole -= 1
        self._skipping = False
        return line
