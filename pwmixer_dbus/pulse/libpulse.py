"""libpulse inside asyncio: `PulseAsync` on a main loop of ours, and requests answered through static callbacks.

The rules of this file: no C callback is ever created per request, and no request is ever cancelled. A request carries a
number as its user data; the answer is looked up in a table, and one that nobody waits for any more is dropped. (A
cancelled pulsectl-asyncio call frees a callback that libpulse still holds, and the process dies.) Nobody is told of anything
from within libpulse: what it says is noted, and told when it has returned, so that whoever is told may close the
connection, and what he asks for is written at once.

Everything here runs on one thread, inside the loop that the connection was made on. The functions are bound with
`PyDLL`, which keeps the interpreter lock: all calls are short, and libpulse calls back into Python from within them.
"""

import asyncio
import ctypes
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pulsectl import _pulsectl as c
from pulsectl_asyncio import pulsectl_async
from pulsectl_asyncio.pulsectl_async import PulseAsync

from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotConnectedError
from pwmixer_dbus.pulse.mainloop import MainLoop

log = logging.getLogger(__name__)

pulsectl_async.PythonMainLoop = MainLoop  # PulseAsync makes itself one of these

INVALID = c.PA_INVALID
EVERYTHING = (
    c.PA_SUBSCRIPTION_MASK_SINK
    | c.PA_SUBSCRIPTION_MASK_SOURCE
    | c.PA_SUBSCRIPTION_MASK_SINK_INPUT
    | c.PA_SUBSCRIPTION_MASK_SOURCE_OUTPUT
    | c.PA_SUBSCRIPTION_MASK_CLIENT
    | c.PA_SUBSCRIPTION_MASK_SERVER
    | c.PA_SUBSCRIPTION_MASK_CARD
)

NOT_THERE = 5
"""libpulse's error number for an object that does not exist (any more)."""

LONGEST = 30.0
"""Seconds after which a server that still owes an answer is taken for lost when it is asked again, as libpulse does it."""

Done = Callable[[MixerError | None], None]
Read = Callable[[int], Any]
Seen = Callable[[Any], None]
OnNotice = Callable[[int, int], None]

_Answer = tuple[Read, Seen, Done, float]
"""What is called with an answer, and since when it is waited for."""

_Said = tuple[Callable[..., None], tuple[Any, ...]]
"""Whom to tell, and what."""

_pulse = ctypes.PyDLL("libpulse.so.0")

_pointer, _int, _u32 = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
_InfoCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _int, _pointer)
_SuccessCallback = ctypes.PYFUNCTYPE(None, _pointer, _int, _pointer)
_SingleCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _pointer)
_NoticeCallback = ctypes.PYFUNCTYPE(None, _pointer, _int, _u32, _pointer)


def bind(name: str, result: Any, *arguments: Any) -> Any:
    """Return a function of libpulse by its name, without the "pa_" that all begin with."""
    function = getattr(_pulse, f"pa_{name}")
    function.restype, function.argtypes = result, arguments
    return function


def request(name: str, *arguments: Any) -> Any:
    """Bind a function that starts an operation: context, arguments, callback, user data -> operation."""
    return bind(f"context_{name}", _pointer, _pointer, *arguments, _pointer, _pointer)


_operation_unref = bind("operation_unref", None, _pointer)
_context_index = bind("context_get_index", _u32, _pointer)
_context_errno = bind("context_errno", _int, _pointer)
_error_text = bind("strerror", ctypes.c_char_p, _int)
_set_notice_callback = bind("context_set_subscribe_callback", None, _pointer, _NoticeCallback, _pointer)
_proplist_text = bind("proplist_to_string_sep", _pointer, _pointer, ctypes.c_char_p)
property_count = bind("proplist_size", ctypes.c_uint, _pointer)
_proplist_iterate = bind("proplist_iterate", ctypes.c_char_p, _pointer, ctypes.POINTER(_pointer))
_proplist_gets = bind("proplist_gets", ctypes.c_char_p, _pointer, ctypes.c_char_p)
_free = bind("xfree", None, _pointer)

copy_list = bind("proplist_copy", _pointer, _pointer)
is_same_list = bind("proplist_equal", _int, _pointer, _pointer)
free_list = bind("proplist_free", None, _pointer)

subscribe = request("subscribe", _int)
get_server = request("get_server_info")


def property_text(proplist: int) -> bytes:
    """Return a property list as text, `KEY = "VALUE" = "KEY = "VALUE"`; backslashes and keys are not escaped."""
    pointer = _proplist_text(proplist, b' = "')
    try:
        return ctypes.string_at(pointer)
    finally:
        _free(pointer)


def properties_of(proplist: int) -> Iterator[tuple[bytes, bytes]]:
    """Go through a property list; what is no text is left out."""
    state = _pointer()
    while (key := _proplist_iterate(proplist, ctypes.byref(state))) is not None:
        value = _proplist_gets(proplist, key)
        if value is not None:
            yield key, value


class Connection(PulseAsync):  # type: ignore[misc]  # pulsectl-asyncio has no types
    """One connection to the sound server. All methods of PulseAsync work on it; the ones below are the fast path.

    `client` is the index by which the server knows it: in PipeWire, whatever came later has a higher one.
    `on_notice` is called with (event bits, index) for each notice; `on_lost` once, when the server has gone. Raises OSError
    where no memory is left for it.
    """

    client = INVALID
    _ctx: Any
    _loop: Any

    def __init__(self, name: str, on_notice: OnNotice, on_lost: Callable[[], None]) -> None:
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._context: int | None = None
        self._answers: dict[int, _Answer] = {}
        self._answered: asyncio.Event | None = None
        self._said: deque[_Said] = deque()
        self._last_request = 0
        self._callbacks = (
            _SuccessCallback(self._success),
            _InfoCallback(self._info),
            _SingleCallback(self._single),
            _NoticeCallback(self._notice),
        )
        self._success_pointer, self._info_pointer, self._single_pointer = (
            ctypes.cast(callback, _pointer) for callback in self._callbacks[:3]
        )
        super().__init__(name)

    def init(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Make the main loop, which is ours, and the context."""
        self._asyncio = loop = loop or asyncio.get_running_loop()
        super().init(loop)
        self._loop.said, self._loop.tell = self._said, self._tell

    def _ctx_init(self) -> None:
        try:
            super()._ctx_init()
        except c.pa.CallError as error:
            raise OSError("no memory is left for a connection") from error
        self._context = ctypes.cast(self._ctx, _pointer).value

    async def connect(
        self,
        autospawn: bool = False,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is PulseAsync's
    ) -> None:
        """Connect; raises PulseError where there is no server, TimeoutError where it does not answer."""
        # Not PulseAsync's own timeout: its wait_for swallows a cancellation that comes with the answer (Python 3.11).
        async with asyncio.timeout(timeout):
            await super().connect(autospawn, wait)
        self.client = _context_index(self._context)
        _set_notice_callback(self._context, self._callbacks[3], None)

    def close(self) -> None:
        """Disconnect and free; whoever still waits for an answer is told."""
        self._on_lost = _nothing
        if self._loop is not None:
            super().close()
            self._context = None
        self._abandon()

    async def retire(self) -> None:
        """Wait for the answers that are still to come, at most `LONGEST` seconds, then close."""
        try:
            if self._answers:
                self._answered = asyncio.Event()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LONGEST):
                        await self._answered.wait()
        finally:
            self.close()

    def command(self, function: Any, *arguments: Any, done: Done) -> None:
        """Ask for something to be done; `done` gets None, or what went wrong."""
        self._start(function, arguments, self._success_pointer, (_nothing, _nothing, done))

    def fetch(self, function: Any, *arguments: Any, read: Read, seen: Seen, done: Done) -> None:
        """Ask for one object or all of a kind; `read` gets the address of each struct, `seen` what it returns, `done` the end."""
        self._start(function, arguments, self._info_pointer, (read, seen, done))

    def fetch_single(self, function: Any, *, read: Read, seen: Seen, done: Done) -> None:
        """Ask for what there is only one of: the server."""
        self._start(function, (), self._single_pointer, (read, seen, done))

    def _start(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        callback: ctypes.c_void_p,
        follow: tuple[Read, Seen, Done],
    ) -> None:
        done = follow[2]
        if self._context is None or not self._connected.is_set():
            done(NotConnectedError("There is no sound server at the moment."))
            return
        loop, answers = self._asyncio, self._answers
        now = loop.time()
        if answers and next(iter(answers.values()))[3] < now - LONGEST:
            loop.call_soon(self._lost)
        self._last_request = number = self._last_request + 1
        answers[number] = (*follow, now)
        operation = self._loop.call(function, self._context, *arguments, callback, number)
        if not operation:
            del answers[number]
            done(self._error())
            return
        _operation_unref(operation)
        if self._said:  # by a server that shares memory with its clients, which PipeWire's does not
            loop.call_soon(self._tell)

    def _error(self) -> MixerError:
        number = _context_errno(self._context)
        text = (_error_text(number) or b"unknown error").decode("utf-8", "replace")
        return AudioServerError(f"The sound server refused: {text}.", is_missing=number == NOT_THERE)

    # --- what libpulse says, from within it

    def _success(self, _context: int, success: int, number: int) -> None:
        self._said.append((self._ended, (number, None if success else self._error())))

    def _info(self, _context: int, info: int | None, end: int, number: int) -> None:
        if end:
            self._said.append((self._ended, (number, None if end > 0 else self._error())))
        elif info:
            self._read(info, number)

    def _single(self, _context: int, info: int | None, number: int) -> None:
        if info:
            self._read(info, number)
        self._said.append((self._ended, (number, None if info else self._error())))

    def _read(self, info: int, number: int) -> None:
        answer = self._answers.get(number)
        if answer is None:
            return
        try:
            self._said.append((answer[1], (answer[0](info),)))
        except Exception:
            log.exception("what the sound server sent could not be read")

    def _notice(self, _context: int, event: int, index: int, _data: int | None) -> None:
        self._said.append((self._on_notice, (event, index)))

    # --- what is told, outside of it

    def _tell(self) -> None:
        """Tell what libpulse has said, in its order."""
        said = self._said
        while said:
            tell, what = said.popleft()
            try:
                tell(*what)
            except Exception:
                log.exception("what the sound server said could not be followed")

    def _ended(self, number: int, error: MixerError | None) -> None:
        answer = self._answers.pop(number, None)
        if self._answered is not None and not self._answers:
            self._answered.set()
        if answer is not None:
            answer[2](error)

    def _pulse_state_cb(self, context: Any, data: Any) -> None:
        super()._pulse_state_cb(context, data)
        if self._disconnected.is_set() and not self._connected.is_set():
            # Not from within the callback: whoever is told may close this connection.
            asyncio.get_running_loop().call_soon(self._lost)

    def _lost(self) -> None:
        self._abandon()
        on_lost, self._on_lost = self._on_lost, _nothing
        on_lost()

    def _abandon(self) -> None:
        self._said.clear()
        answers, self._answers = self._answers, {}
        if self._answered is not None:
            self._answered.set()
        for _, _, done, _ in answers.values():
            try:
                done(NotConnectedError("The sound server went away while it was asked."))
            except Exception:
                log.exception("a request that is not answered any more could not be given up")


def _nothing(*_: object) -> None:
    pass
