"""Lines out of bytes that come in pieces, in bounded memory."""

LINE_LIMIT = 64 * 1024
"""The most bytes of a line, without its end."""


class Lines:
    """Bytes go in as they come, lines come out as they are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take in what has come."""
        self._buffer += data

    @property
    def has_line(self) -> bool:
        """Whether there is a whole line."""
        return self._end() >= 0

    @property
    def has_rest(self) -> bool:
        """Whether there is the beginning of a line."""
        return self._skipping or bool(self._buffer)

    def take(self) -> bytes | None:
        """Take out a line, without its end; None for one that was too long. Raises IndexError where there is none."""
        end = self._end()
        if end < 0:
            raise IndexError("no line")
        is_too_long = self._skipping or end > LINE_LIMIT
        line = None if is_too_long else bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._looked, self._skipping = 0, False
        return line

    def _end(self) -> int:
        end = self._buffer.find(b"\n", self._looked)
        if end < 0:
            self._looked = len(self._buffer)
            if self._looked > LINE_LIMIT:
                self._buffer.clear()
                self._looked, self._skipping = 0, True
        else:
            self._looked = end
        return end
