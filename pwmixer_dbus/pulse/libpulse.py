"""libpulse inside asyncio: `PulseAsync` on libpulse's own C main loop, and requests answered through static callbacks.

The rule of this file: no C callback is ever created per request, and no request is ever cancelled. A request carries a
number as its user data; the answer is looked up in a table, and one that nobody waits for any more is dropped. (A
cancelled pulsectl-asyncio call frees a callback that libpulse still holds, and the process dies.)

Everything here runs on one thread, inside the loop that the connection was made on. The functions are bound with
`PyDLL`, which keeps the interpreter lock: all calls are short, and libpulse calls back into Python from within them.
"""

import asyncio
import ctypes
import logging
from collections.abc import Callable, Iterator
from typing import Any

from pulsectl import _pulsectl as c
from pulsectl_asyncio.pulsectl_async import PulseAsync

from pwmixer_dbus.core.errors import AudioServerError, MixerError, NotConnectedError

log = logging.getLogger(__name__)

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

_POLLIN, _POLLOUT = 1, 4

Done = Callable[[MixerError | None], None]
OnInfo = Callable[[int], None]
OnNotice = Callable[[int, int], None]

_pulse = ctypes.PyDLL("libpulse.so.0")
_libc = ctypes.PyDLL(None)

_pointer, _int, _u32 = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
_PollFunction = ctypes.PYFUNCTYPE(_int, ctypes.POINTER(c.POLLFD), ctypes.c_ulong, _int, _pointer)
_InfoCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _int, _pointer)
_SuccessCallback = ctypes.PYFUNCTYPE(None, _pointer, _int, _pointer)
_SingleCallback = ctypes.PYFUNCTYPE(None, _pointer, _pointer, _pointer)
_NoticeCallback = ctypes.PYFUNCTYPE(None, _pointer, _int, _u32, _pointer)


def _bind(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_pulse, name)
    function.restype, function.argtypes = result, arguments
    return function


def _request(name: str, *arguments: Any) -> Any:
    """Bind a function that starts an operation: context, arguments, callback, user data -> operation."""
    return _bind(f"pa_context_{name}", _pointer, _pointer, *arguments, _pointer, _pointer)


_libc.poll.argtypes, _libc.poll.restype = (_pointer, ctypes.c_ulong, _int), _int
_loop_new = _bind("pa_mainloop_new", _pointer)
_loop_api = _bind("pa_mainloop_get_api", _pointer, _pointer)
_loop_iterate = _bind("pa_mainloop_iterate", _int, _pointer, _int, _pointer)
_loop_free = _bind("pa_mainloop_free", None, _pointer)
_loop_set_poll = _bind("pa_mainloop_set_poll_func", None, _pointer, _PollFunction, _pointer)
_operation_unref = _bind("pa_operation_unref", None, _pointer)
_context_errno = _bind("pa_context_errno", _int, _pointer)
_error_text = _bind("pa_strerror", ctypes.c_char_p, _int)
_set_notice_callback = _bind("pa_context_set_subscribe_callback", None, _pointer, _NoticeCallback, _pointer)
_proplist_text = _bind("pa_proplist_to_string_sep", _pointer, _pointer, ctypes.c_char_p)
_proplist_iterate = _bind("pa_proplist_iterate", ctypes.c_char_p, _pointer, ctypes.POINTER(_pointer))
_proplist_gets = _bind("pa_proplist_gets", ctypes.c_char_p, _pointer, ctypes.c_char_p)
_free = _bind("pa_xfree", None, _pointer)

subscribe = _request("subscribe", _int)
get_server = _request("get_server_info")
get_sink = _request("get_sink_info_by_index", _u32)
get_source = _request("get_source_info_by_index", _u32)
get_sink_input = _request("get_sink_input_info", _u32)
get_source_output = _request("get_source_output_info", _u32)
get_client = _request("get_client_info", _u32)
get_card = _request("get_card_info_by_index", _u32)
list_sinks = _request("get_sink_info_list")
list_sources = _request("get_source_info_list")
list_sink_inputs = _request("get_sink_input_info_list")
list_source_outputs = _request("get_source_output_info_list")
list_clients = _request("get_client_info_list")
list_cards = _request("get_card_info_list")
set_sink_volume = _request("set_sink_volume_by_index", _u32, ctypes.c_char_p)
set_source_volume = _request("set_source_volume_by_index", _u32, ctypes.c_char_p)
set_sink_input_volume = _request("set_sink_input_volume", _u32, ctypes.c_char_p)
set_source_output_volume = _request("set_source_output_volume", _u32, ctypes.c_char_p)
set_sink_mute = _request("set_sink_mute_by_index", _u32, _int)
set_source_mute = _request("set_source_mute_by_index", _u32, _int)
set_sink_input_mute = _request("set_sink_input_mute", _u32, _int)
set_source_output_mute = _request("set_source_output_mute", _u32, _int)
move_sink_input = _request("move_sink_input_by_index", _u32, _u32)
move_source_output = _request("move_source_output_by_index", _u32, _u32)
set_default_sink = _request("set_default_sink", ctypes.c_char_p)
set_default_source = _request("set_default_source", ctypes.c_char_p)
set_sink_port = _request("set_sink_port_by_index", _u32, ctypes.c_char_p)
set_source_port = _request("set_source_port_by_index", _u32, ctypes.c_char_p)
set_card_profile = _request("set_card_profile_by_index", _u32, ctypes.c_char_p)


def property_text(proplist: int) -> bytes:
    """Return a property list as text, to be compared and not to be parsed: backslashes and keys are not escaped."""
    pointer = _proplist_text(proplist, b"\x1f")
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


class CMainLoop:
    """libpulse's main loop, run whenever asyncio finds one of its descriptors ready; it never blocks and never polls.

    It takes the place of pulsectl-asyncio's main loop in Python, with which every single read costs a dozen Python
    calls; with this one, a notice costs one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._mainloop = _loop_new()
        self.api_pointer = ctypes.cast(_loop_api(self._mainloop), ctypes.POINTER(c.PA_MAINLOOP_API))
        self._watched: dict[int, int] = {}
        self._running = False
        self._poll_function = _PollFunction(self._poll)
        _loop_set_poll(self._mainloop, self._poll_function, None)

    def run(self) -> None:
        """Do all that can be done now. Within a callback of libpulse this is a no-op: the run outside goes on."""
        if self._running or self._mainloop is None:
            return
        self._running = True
        try:
            while _loop_iterate(self._mainloop, 0, None) > 0:
                pass
        finally:
            self._running = False

    def _poll(self, descriptors: Any, count: int, _timeout: int, _data: int | None) -> int:
        """Watch in asyncio what libpulse wants to be watched, and tell it what is ready now."""
        wanted = {descriptors[i].fd: descriptors[i].events for i in range(count)}
        if wanted != self._watched:
            self._watch(wanted)
        return int(_libc.poll(descriptors, count, 0))

    def _watch(self, wanted: dict[int, int]) -> None:
        for fd in self._watched.keys() - wanted.keys():
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        for fd, events in wanted.items():
            if events & _POLLIN:
                self._loop.add_reader(fd, self.run)
            if events & _POLLOUT:
                self._loop.add_writer(fd, self.run)
            elif self._watched.get(fd, 0) & _POLLOUT:
                self._loop.remove_writer(fd)
        self._watched = wanted

    def stop(self, _result: int) -> None:
        """Give everything back; `PulseAsync.close` calls this."""
        self._watch({})
        if self._mainloop is not None:
            _loop_free(self._mainloop)
            self._mainloop = None


class Connection(PulseAsync):  # type: ignore[misc]  # pulsectl-asyncio has no types
    """One connection to the sound server. All methods of PulseAsync work on it; the ones below are the fast path.

    `on_notice` is called with (event bits, index) for each notice; `on_lost` once, when the server has gone.
    """

    _ctx: Any
    _loop: Any

    def __init__(self, name: str, on_notice: OnNotice, on_lost: Callable[[], None]) -> None:
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._answers: dict[int, tuple[OnInfo | None, Done]] = {}
        self._answered: asyncio.Event | None = None
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
        """Put the C main loop in place of the Python one that PulseAsync makes for itself."""
        loop = loop or asyncio.get_running_loop()
        super().init(loop)
        c.pa.context_unref(self._ctx)
        self._loop.stop(0)
        self._ctx = None
        self._loop = CMainLoop(loop)
        self._ctx_init()

    async def connect(
        self,
        autospawn: bool = False,
        wait: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is PulseAsync's
    ) -> None:
        """Connect; raises PulseError where there is no server, TimeoutError where it does not answer."""
        # The handshake starts in a deferred event of libpulse's loop, which somebody has to run once.
        asyncio.get_running_loop().call_soon(self._run)
        # Not PulseAsync's own timeout: its wait_for swallows a cancellation that comes with the answer (Python 3.11).
        async with asyncio.timeout(timeout):
            await super().connect(autospawn, wait)
        _set_notice_callback(self._context, self._callbacks[3], None)

    def close(self) -> None:
        """Disconnect and free; whoever still waits for an answer is told."""
        self._on_lost = _nothing
        if self._loop is not None:
            super().close()
        self._abandon()

    async def retire(self) -> None:
        """Wait for the answers that are still to come, then close."""
        try:
            if self._answers:
                self._answered = asyncio.Event()
                await self._answered.wait()
        finally:
            self.close()

    def command(self, function: Any, *arguments: Any, done: Done) -> None:
        """Ask for something to be done; `done` gets None, or what went wrong."""
        self._start(function, arguments, self._success_pointer, None, done)

    def fetch(self, function: Any, *arguments: Any, on_info: OnInfo, done: Done) -> None:
        """Ask for one object or all of a kind; `on_info` gets the address of each struct, `done` the end."""
        self._start(function, arguments, self._info_pointer, on_info, done)

    def fetch_single(self, function: Any, on_info: OnInfo, done: Done) -> None:
        """Ask for what there is only one of: the server."""
        self._start(function, (), self._single_pointer, on_info, done)

    def _start(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        callback: ctypes.c_void_p,
        on_info: OnInfo | None,
        done: Done,
    ) -> None:
        if not self._connected.is_set() or self._loop is None:
            done(NotConnectedError("There is no sound server at the moment."))
            return
        self._last_request = number = self._last_request + 1
        self._answers[number] = (on_info, done)
        operation = function(self._context, *arguments, callback, number)
        if not operation:
            del self._answers[number]
            done(self._error())
            return
        _operation_unref(operation)
        self._loop.run()

    @property
    def _context(self) -> Any:
        return ctypes.cast(self._ctx, _pointer)

    def _run(self) -> None:
        if self._loop is not None:
            self._loop.run()

    def _error(self) -> MixerError:
        number = _context_errno(self._context)
        text = (_error_text(number) or b"unknown error").decode("utf-8", "replace")
        return AudioServerError(f"The sound server refused: {text}.", is_missing=number == NOT_THERE)

    def _taken(self, number: int) -> tuple[OnInfo | None, Done] | None:
        answer = self._answers.pop(number, None)
        if self._answered is not None and not self._answers:
            self._answered.set()
        return answer

    def _success(self, _context: int, success: int, number: int) -> None:
        answer = self._taken(number)
        if answer is not None:
            _guarded(answer[1], None if success else self._error())

    def _info(self, _context: int, info: int | None, end: int, number: int) -> None:
        if not end:
            answer = self._answers.get(number)
            if answer is not None and answer[0] is not None:
                _guarded(answer[0], info)
            return
        answer = self._taken(number)
        if answer is not None:
            _guarded(answer[1], None if end > 0 else self._error())

    def _single(self, _context: int, info: int | None, number: int) -> None:
        answer = self._taken(number)
        if answer is None:
            return
        if info and answer[0] is not None:
            _guarded(answer[0], info)
        _guarded(answer[1], None if info else self._error())

    def _notice(self, _context: int, event: int, index: int, _data: int | None) -> None:
        _guarded(self._on_notice, event, index)

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
        answers, self._answers = self._answers, {}
        if self._answered is not None:
            self._answered.set()
        for _, done in answers.values():
            _guarded(done, NotConnectedError("The sound server went away while it was asked."))


def _nothing() -> None:
    pass


def _guarded(function: Callable[..., None], *arguments: Any) -> None:
    """Call back into our code from C, where an exception would be printed and lost."""
    try:
        function(*arguments)
    except Exception:
        log.exception("a callback from libpulse failed")
