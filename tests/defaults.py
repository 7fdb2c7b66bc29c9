"""Set the default as a mixer does that stays until it sees it.

A client that leaves sooner, as `pactl set-default-sink` does, can leave while PipeWire binds the session's metadata for it,
and then no earlier client is told of any default any more; see integration/test_told_no_more.py.
"""

import pulsectl
from session import TOLD, Session, SessionError


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
