"""Add devices and set the default as a mixer does that stays until it sees it, and is no process of its own.

A client that leaves sooner, as `pactl set-default-sink` does, can leave while PipeWire binds the session's metadata for it,
and then no earlier client is told of any default any more; see integration/test_told_no_more.py.
"""

import pulsectl
from session import AS_SOURCE, TOLD, Session, SessionError, null_device


def add_devices(session: Session) -> None:
    """Add two sinks, of which `speakers` becomes the default, and a microphone; return when they are listed."""
    with connected(session, "another mixer") as mixer:
        for name, *arguments in (("speakers",), ("headset",), ("microphone", AS_SOURCE)):
            mixer.module_load("module-null-sink", [*null_device(name, name.title()), *arguments])

        def listed() -> set[str]:
            return {device.name for device in (*mixer.sink_list(), *mixer.source_list())}

        session.wait_for(lambda: {"speakers", "headset", "microphone"} <= listed(), "the devices")
    set_default(session, sink="speakers", source="microphone")


def set_default(session: Session, *, sink: str | None = None, source: str | None = None) -> None:
    """Return when a client of the sound server sees the default sink, the default source, or both."""

    def sees(mixer: pulsectl.Pulse) -> bool:
        server = mixer.server_info()
        return sink in {None, server.default_sink_name} and source in {None, server.default_source_name}

    with connected(session, "another mixer") as mixer:
        if sink is not None:
            mixer.sink_default_set(sink)
        if source is not None:
            mixer.source_default_set(source)
        try:
            session.wait_for(lambda: sees(mixer), "the default to be told", TOLD)
        except SessionError:
            # Nobody is told any more, since some pactl before has left too soon; who comes later sees it all the same.
            with connected(session, "a later mixer") as later:
                session.wait_for(lambda: sees(later), "the default to be set")


def connected(session: Session, name: str) -> pulsectl.Pulse:
    """Return a client of the sound server."""
    return pulsectl.Pulse(name, server=session.env["PULSE_SERVER"])
