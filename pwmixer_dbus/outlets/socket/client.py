"""One client of the socket: its lines are carried out as they come, and answered in the order in which they came.

Every line has one answer, also one that makes no sense. While a client does not read, nothing more is read from it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from socket import socket

from pwmixer_dbus.core.commands import Origin
from pwmixer_dbus.core.errors import InvalidArgumentError, LimitsExceededError, MixerError
from pwmixer_dbus.core.tally import ERROR, REPLY
from pwmixer_dbus.outlets.socket import jsonlines, text
from pwmixer_dbus.outlets.socket.asked import (
    Answer,
    Asked,
    Change,
    ListAll,
    Look,
    Question,
    Request,
    Watch,
)
from pwmixer_dbus.outlets.socket.carry import Carrier
from pwmixer_dbus.outlets.socket.feed import Feed, Writer
from pwmixer_dbus.outlets.socket.lines import LINE_LIMIT, Lines
from pwmixer_dbus.outlets.socket.link import ALL, CHUNK, Link

log = logging.getLogger(__name__)

LONG = 0.001
"""Seconds for which one client is served until others have their turn."""

OWED = 256
"""Answers that may be owed to one client; until there are fewer, no more of its lines are begun."""

UNREAD = 1024 * 1024
"""Bytes that may wait for a client that watches; one that lets more gather is dropped."""

_QUESTIONS = (Look, ListAll, Watch)

Outcome = Answer | MixerError
Reply = Callable[[Outcome], str]
"""Writes an outcome in the dialect of what was asked."""

Owed = str | Callable[[], str]
"""An answer, or what finds it when it is its turn; "" while there is none."""


class _Awaited:
    """An answer that comes some time."""

    __slots__ = ("line",)

    def __init__(self) -> None:
        self.line = ""

    def take(self) -> str:
        return self.line


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
        self._measures = carrier.measures
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
        self._owed: deque[Owed] = deque()
        self._events = bytearray()
        self._later: dict[Callable[[], None], asyncio.Handle] = {}
        self._has_ended = self._is_watching = self._is_working = self._is_ending = self._is_gone = False
        self._link.read(True)

    def tell(self, lines: bytes) -> None:
        """Send some lines of what it watches, together with what else there is to tell in this instant."""
        if len(self._link.unsent) + len(self._events) > UNREAD:
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
            self._link.receive(ALL)
        self._has_ended = True
        self._unwatch()
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
        if not self._later or self._work not in self._later:
            self._work()

    def _work(self) -> None:
        """Begin some of the lines that have come."""
        self._is_working = True
        lines, clock = self._lines, self._measures.clock
        until = clock() + LONG
        while lines.whole and not self._is_gone:
            self._begin(lines.take())
            if lines.whole and (self._is_full or clock() > until):
                break
        self._is_working = False
        self._settle()

    def _begin_all(self) -> None:
        """Begin all lines, as far as their answers can be owed: at the end there may be no other turn."""
        self._is_working = True
        while self._lines.whole and not self._is_gone:
            if self._is_full:
                self._give()
            if self._is_full:
                break
            self._begin(self._lines.take())
        self._is_working = False
        self._give()

    @property
    def _is_full(self) -> bool:
        return len(self._owed) >= OWED or bool(self._link.unsent)

    def _begin(self, line: bytes | None) -> None:
        """Carry out a line, or refuse it."""
        if line is None:
            self._owed.append(text.refused(LimitsExceededError(f"A line has at most {LINE_LIMIT} bytes.")))
            return
        if line.startswith(b"{"):
            self._begin_json(line)
            return
        try:
            request = text.read(line.decode())
        except UnicodeDecodeError:
            self._owed.append(text.refused(InvalidArgumentError("The line is not UTF-8.")))
        except MixerError as error:
            self._owed.append(text.refused(error))
        else:
            self._ask(request, partial(text.reply, request), text.told)

    def _begin_json(self, line: bytes) -> None:
        name: jsonlines.Id = None
        try:
            document = jsonlines.document_of(line)
            name = jsonlines.id_of(document)
            asked = jsonlines.asked_of(document)
            if isinstance(asked, str):
                asked = Asked(request=text.read(asked))
        except MixerError as error:
            self._owed.append(jsonlines.reply(name, error))
        else:
            reply = partial(jsonlines.reply, name)
            self._ask(asked.request, reply, jsonlines.told, context=asked.context, quiet=asked.quiet)

    def _ask(
        self, request: Request, reply: Reply, told: Writer, *, context: str = "", quiet: bool = False
    ) -> None:
        method = type(request).__name__
        reply = partial(self._measured, method, self._measures.called(self._name, method), reply)
        if not isinstance(request, _QUESTIONS):
            self._carry_out(
                request, Origin(kind="user", client=self._name, context=context, quiet=quiet), reply
            )
        elif self._owed or isinstance(request, Watch):
            # What was asked before may change the answer, so it is found when it is its turn.
            self._owed.append(partial(self._find, request, reply, told))
        else:
            self._owed.append(self._find(request, reply, told))

    def _measured(self, method: str, since: float, reply: Reply, outcome: Outcome) -> str:
        """Write an outcome, and measure how long it has taken until here."""
        self._measures.note(ERROR if isinstance(outcome, MixerError) else REPLY, None, since, method)
        return reply(outcome)

    def _carry_out(self, change: Change, origin: Origin, reply: Reply) -> None:
        awaited = _Awaited()
        self._owed.append(awaited.take)

        def done(outcome: Outcome) -> None:
            self._feed.flush()  # who watches hears of a change before it is answered
            awaited.line = reply(outcome)
            if not self._is_working:
                self._settle()

        began_at = self._measures.clock()
        try:
            self._carrier.carry_out(change, origin, done)
        except MixerError as error:
            awaited.line = reply(error)
        except Exception:
            log.exception("a request over the socket failed")
            awaited.line = reply(_inside())
        self._measures.spent(self._name, began_at)

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
        if self._owed:
            self._give()
        if self._is_ending:
            self._begin_all()
        if self._is_gone:
            return
        if self._lines.whole:
            self._link.read(False)
            if not self._is_full:
                self._soon(self._work)
        elif self._has_ended:
            self._link.read(False)
            self._see_out()
        else:
            self._link.read(not self._is_full)

    def _give(self) -> None:
        owed, until = self._owed, 0.0
        while owed and not self._link.unsent and not self._is_gone:
            answers = b""
            while owed and len(answers) < CHUNK:
                line = owed[0] if isinstance(owed[0], str) else owed[0]()
                if not line:
                    break
                owed.popleft()
                answers += line.encode()
                if owed and self._measures.clock() > (until := until or self._measures.clock() + LONG):
                    break
            if not answers:
                return
            self._link.write(self._taken_events() + answers if self._events else answers)
            if owed and not self._is_ending and self._measures.clock() > until:
                self._soon(self._settle)
                return

    def _see_out(self) -> None:
        """Tell of a last line that has no end, and leave when nothing is owed any more."""
        if self._lines.has_rest:
            self._lines = Lines()
            error = InvalidArgumentError("The last line has no end, and was not carried out.")
            self._owed.append(text.refused(error))
            self._give()
        if self._link.unsent:
            is_over = self._is_ending
        else:
            is_over = not self._owed and (not self._is_watching or self._link.is_alone)
        if is_over:
            self.close()


def _inside() -> MixerError:
    return MixerError("Something went wrong inside; the journal says what.")
