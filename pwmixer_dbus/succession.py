"""What an instance leaves is put together from its parts, and given to those of the next; see core.succession.

Both ends of the same list: whoever adds to the one adds to the other. An instance whose heir has died goes on with what it
has just left.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pwmixer_dbus.core.events import Configured
from pwmixer_dbus.core.memory import Memory
from pwmixer_dbus.core.records import replace
from pwmixer_dbus.core.routing import Routing
from pwmixer_dbus.core.settings import Settings
from pwmixer_dbus.core.state import MixerState
from pwmixer_dbus.core.succession import Fading, Succession, understood, written
from pwmixer_dbus.outlets.bus.connection import BusConnection
from pwmixer_dbus.outlets.bus.service import BusService
from pwmixer_dbus.outlets.bus.succession import Heir, asked, tell_taken

log = logging.getLogger(__name__)

__all__ = ["begin", "go_on", "go_on_or_begin", "handed_over", "inherited", "leave", "tell_taken"]

UNASKED = 5.0
"""Seconds after which whoever has taken the name is known not to ask; on a busy machine it may be late."""

UNTAKEN = 10.0
"""Seconds after which whoever has asked is no longer waited for."""


def leave(
    service: BusService, fades: tuple[Fading, ...], *, configured: Settings, remembers: bool, is_saved: bool
) -> Succession:
    """Stop acting, and return all that lives only in the parts of a service; `fades` have been stopped before.

    `configured` are the settings of the files. `remembers` says whether there is a state file, `is_saved` whether all is in it.
    """
    parts, methods, mixer = service.parts, service.methods, service.parts.mixer
    mixer.sleep()
    holds, next_cookie = methods.holds.hand_over()
    return Succession(
        made_at=asyncio.get_running_loop().time(),
        state=mixer.state,
        configured=configured,
        remembers=remembers,
        memory=None if remembers and is_saved else parts.keeper.memory,
        rules=parts.rules.rules,
        rules_revision=parts.rules.revision,
        rules_enabled=parts.router.enabled,
        routing=parts.router.hand_over(),
        history=mixer.history,
        asked=mixer.hand_over(),
        vigil=parts.keeper.hand_over(),
        fades=fades,
        holds=holds,
        next_cookie=next_cookie,
        past=methods.rules.sightings.hand_over(),
        followers=methods.followers,
    )


def go_on(service: BusService, left: Succession, *, configured: Settings, memory: Memory) -> None:
    """Wake up as if all that was left had happened here, and see what has changed since.

    `configured` are our own settings of the files.
    """
    parts, methods, mixer = service.parts, service.methods, service.parts.mixer
    mixer.take_over(left.history, left.asked)
    parts.keeper.take_over(left.vigil)
    parts.rules.take_over(configured.rules, left.rules, left.rules_revision)
    # Where there is no stream, nothing ever ends that is noted of it.
    placements = {key: each for key, each in left.routing.placements.items() if key in left.state.streams}
    parts.router.take_over(replace(left.routing, placements=placements), enabled=left.rules_enabled)
    parts.router.set_rules(parts.rules.rules)
    methods.rules.sightings.take_over(left.past)
    now = mixer.wake(left.state)
    methods.holds.take_over(left.holds, left.next_cookie)
    parts.keeper.start(memory)
    # What was set for as long as the files stay as they are goes on as long as they do.
    mixer.on_event(Configured(settings=left.state.settings if configured == left.configured else configured))
    mixer.on_event(now)
    parts.mixer.resume(left)  # before fades, which may have been asked for later
    parts.router.look()
    parts.fader.take_over(left.fades)
    methods.go_on_telling(left.followers)


def go_on_or_begin(
    service: BusService, left: Succession | None, *, configured: Settings, memory: Memory
) -> None:
    """Go on with what was left; where that is nothing, or makes no sense, begin with the memory alone."""
    if left is not None:
        try:
            go_on(service, left, configured=configured, memory=memory)
        except Exception:
            # Nobody is answered before this is over.
            log.exception("what the instance before has handed over cannot be used")
        else:
            return
    begin(service, configured=configured, memory=memory)


def begin(service: BusService, *, configured: Settings, memory: Memory) -> None:
    """Wake up without anything that was left but the memory."""
    parts = service.parts
    parts.router.take_over(Routing(), enabled=not memory.rules_off)
    now = parts.mixer.wake(MixerState(settings=configured))
    parts.keeper.start(memory)
    parts.mixer.on_event(now)


async def inherited(connection: BusConnection, predecessor: str) -> Succession | None:
    """Ask the instance that has owned the name until now for what it leaves; None where that is nothing."""
    document = await asked(connection, predecessor)
    if document is None:
        return None
    left, problem = understood(document, asyncio.get_running_loop().time())
    if problem:
        log.warning("what the instance before has handed over is not all in use: %s", problem)
    return left


async def handed_over(
    connection: BusConnection, heir: Heir, leave: Callable[[], Awaitable[Succession]]
) -> bool:
    """Hand over what `leave` returns when it is asked for; return False where nobody owns the name any more.

    An heir that does not ask is an older one.
    """
    try:
        call = await heir.hears("HandOver", UNASKED)
        if call is None:
            return False
        connection.reply(call, "s", [written(await leave())])
        return await heir.hears("Taken", UNTAKEN) is not None
    except TimeoutError:
        return True
