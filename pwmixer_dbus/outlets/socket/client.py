"""One client of the socket: its lines are carried out as they come, and answered in the order in which they came.

Every line has one answer, also one that makes no sense. While a client does not read, nothing more is read from it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from socket import socket

from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError
from pwmixer_dbus.outlets.socket import jsonlines, text
from pwmixer_dbus.outlets.socket.asked import Answer, Asked, ListAll, Look, Question, Request, Watch
from pwmixer_dbus.outlets.socket.carry import Carrier
from pwmixer_dbus.outlets.socket.feed import Feed, Writer
from pwmixer_dbus.outlets.socket.lines import LINE_LIMIT, Lines
from pwmixer_dbus.outlets.socket.link import CHUNK, Link

log = logging.getLogger(__name__)

TURN = 32
"""Lines of one client after which others have their turn."""

OWED = 256
"""Answers that may be owed to one client; until there are fewer, no more of its lines are begun."""

UNREAD = 1024 * 1024
"""Bytes that may wait for a client that watches; one that lets more gather is dropped."""

_QUESTIONS = (Look, ListAll, Watch)

Outcome = Answer | MixerError
Reply = Callable[[Outcome], str]
"""Writes an outcome in the dialect of what was asked."""


class _Owed:
    """An answer that is given in its turn: it comes some time, or is found when it is its turn."""

    __slots__ = ("find", "line")

    def __init__(self, line: str = "", find: Callable[[], str] | None = None) -> None:
        self.line = line
        self.find = find

    def take(self) -> str:
        """Return the answer, "" while there is none."""
        return self.line if self.find is None else self.find()


class Client:
    """A connection that has been accepted. `name` says who it is; `on_left` is called once, when it has ended."""

    def __init__(
        self,
        connection: socket,
        name: str,
        *,
        carrier: Carrier,
        feed: Feed,
        on_left: Callable[["Client"], None],
    ) -> None:
        self._name = name
        self._carrier = carrier
        self._feed = feed
        self._on_left = on_left
        self._loop = asyncio.get_running_loop()
        self._link = Link(
            connection,
            on_data=self._on_data,
            on_drained=self._settle,
            on_lost=partial(self._drop, "it has gone"),
        )
        self._lines = Lines()
        self._owed: deque[_Owed] = deque()
        self._events = bytearray()
        self._later: dict[Callable[[], None], asyncio.Handle] = {}
        self._has_ended = self._is_watching = self._is_working = self._is_ending = self._is_gone = False
        self._link.read(True)

    def tell(self, lines: bytes) -> None:
        """Send some lines of what it watches, together with what else there is to tell in this instant."""
        if self._link.unsent + len(self._events) > UNREAD:
            # Not at once, since others are being told.
            self._soon(self._drop_deaf)
        else:
            self._events += lines
            self._soon(self._tell_events)

    def leave_if_alone(self) -> None:
        """Leave if the other end has gone, which is not noticed where it had fallen silent before."""
        if self._has_ended and self._link.is_alone:
            self.close()

    def finish(self) -> None:
        """Carry out what has been sent already, and leave when that is answered."""
        self._is_ending = True
        if not self._has_ended:
            self._link.receive()
        self._has_ended = True
        self._unwatch()
        while not self._is_gone and self._lines.has_line and not self._is_full:
            self._work()
        self._settle()

    def close(self) -> None:
        """Leave at once."""
        if self._is_gone:
            return
        self._is_gone = True
        self._unwatch()
        self._link.close()
        for handle in self._later.values():
            handle.cancel()
        self._on_left(self)

    def _drop(self, reason: str) -> None:
        if not self._is_gone:
            log.debug("%s is dropped: %s", self._name, reason)
        self.close()

    def _drop_deaf(self) -> None:
        self._drop("it does not read what it watches")

    def _unwatch(self) -> None:
        self._is_watching = False
        self._feed.remove(self)

    def _soon(self, what: Callable[[], None]) -> None:
        """Do something in the next turn of the loop, once."""
        if what not in self._later:
            self._later[what] = self._loop.call_soon(self._now, what)

    def _now(self, what: Callable[[], None]) -> None:
        del self._later[what]
        what()

    def _tell_events(self) -> None:
        self._link.write(self._taken_events())

    def _taken_events(self) -> bytes:
        events, self._events = bytes(self._events), bytearray()
        return events

    # Lines come in

    def _on_data(self, data: bytes) -> None:
        if data:
            self._lines.feed(data)
        else:
            self._has_ended = True
        if self._work not in self._later:
            self._work()

    def _work(self) -> None:
        """Begin some of the lines that have come."""
        self._is_working = True
        for _ in range(TURN):
            if self._is_gone or self._is_full or not self._lines.has_line:
                break
            self._begin(self._lines.take())
        self._is_working = False
        self._settle()

    @property
    def _is_full(self) -> bool:
        return len(self._owed) >= OWED or self._link.unsent > 0

    def _begin(self, line: bytes | None) -> None:
        """Carry out a line, or refuse it."""
        if line is None:
            self._refuse(LimitsExceededError(f"A line has at most {LINE_LIMIT} bytes."))
        elif line.startswith(b"{"):
            self._begin_json(line)
        else:
            self._begin_text(line)

    def _begin_text(self, line: bytes) -> None:
        try:
            request = text.read(line.decode("utf-8"))
        except UnicodeDecodeError:
            self._refuse(InvalidArgumentError("The line is not UTF-8."))
        except MixerError as error:
            self._refuse(error)
        else:
            self._ask(Asked(request=request), partial(text.reply, request), text.told)

    def _begin_json(self, line: bytes) -> None:
        name: jsonlines.Id = None
        try:
            document = jsonlines.document_of(line)
            name = jsonlines.id_of(document)
            asked = jsonlines.asked_of(document)
            if isinstance(asked, str):
                asked = Asked(request=text.read(asked))
        except MixerError as error:
            self._owed.append(_Owed(jsonlines.reply(name, error)))
        else:
            self._ask(asked, partial(jsonlines.reply, name), jsonlines.told)

    def _refuse(self, error: MixerError) -> None:
        self._owed.append(_Owed(text.refused(error)))

    def _ask(self, asked: Asked, reply: Reply, told: Writer) -> None:
        request: Request = asked.request
        reply = self._measured(type(request).__name__, reply)
        if isinstance(request, _QUESTIONS):
            if self._owed or isinstance(request, Watch):
                # What was asked before may change the answer, so it is found when it is its turn.
                self._owed.append(_Owed(find=partial(self._find, request, reply, told)))
            else:
                self._owed.append(_Owed(self._find(request, reply, told)))
            return
        owed = _Owed()
        self._owed.append(owed)

        def done(outcome: Outcome) -> None:
            self._feed.flush()  # who watches hears of a change before it is answered
            owed.line = reply(outcome)
            if not self._is_working:
                self._settle()

        measures = self._carrier.measures
        started = measures.begin()
        try:
            self._carrier.carry_out(asked, request, self._name, done)
        except MixerError as error:
            owed.line = reply(error)
        except Exception:
            log.exception("a request over the socket failed")
            owed.line = reply(_inside())
        measures.end(started, measures.cost_of_caller(self._name))

    def _measured(self, name: str, reply: Reply) -> Reply:
        """Have it measured how long it takes from here until an outcome is written."""
        measures = self._carrier.measures
        since = measures.called(self._name, name)

        def write(outcome: Outcome) -> str:
            measures.answered(name, since, failed=isinstance(outcome, MixerError))
            return reply(outcome)

        return write

    def _find(self, question: Question, reply: Reply, told: Writer) -> str:
        try:
            answer = self._carrier.answer(question)
        except MixerError as error:
            return reply(error)
        except Exception:
            log.exception("a question over the socket failed")
            return reply(_inside())
        if isinstance(question, Watch) and not self._is_ending:
            self._is_watching = True
            self._feed.add(self, told)
        return reply(answer)

    # Answers go out

    def _settle(self) -> None:
        """Give the answers whose turn it is, and see how it goes on."""
        self._give()
        if self._is_gone:
            return
        if self._lines.has_line:
            self._link.read(False)
            if not self._is_full:
                self._soon(self._work)
        elif self._has_ended:
            self._link.read(False)
            self._see_out()
        else:
            self._link.read(not self._is_full)

    def _give(self) -> None:
        while self._owed and not self._link.unsent and not self._is_gone:
            answers = bytearray()
            while self._owed and len(answers) < CHUNK and (line := self._owed[0].take()):
                self._owed.popleft()
                answers += line.encode()
            if not answers:
                return
            self._link.write(self._taken_events() + answers)

    def _see_out(self) -> None:
        """Tell of a last line that has no end, and leave when nothing is owed any more."""
        if self._lines.has_rest:
            self._lines = Lines()
            self._refuse(InvalidArgumentError("The last line has no end, and was not carried out."))
            self._give()
        if self._link.unsent:
            is_over = self._is_ending
        else:
            is_over = not self._owed and (not self._is_watching or self._link.is_alone)
        if is_over:
            self.close()


def _inside() -> MixerError:
    return MixerError("Something went wrong inside; the journal says what.")
