"""Set the default as a mixer does that stays until it sees it.

A client that leaves sooner, as `pactl set-default-sink` does, can leave while PipeWire binds the session's metadata for it,
and then no earlier client is told of any default any more; see integration/test_told_no_more.py.
"""

import pulsectl
from session import Session


def set_default(session: Session, *, sink: str | None = None, source: str | None = None) -> None:
    """Return when a client of the sound server sees the default sink, the default source, or both."""
    with pulsectl.Pulse("another mixer", server=session.env["PULSE_SERVER"]) as mixer:
        if sink is not None:
            mixer.sink_default_set(sink)
        if source is not None:
            mixer.source_default_set(source)

        def is_seen() -> bool:
            server = mixer.server_info()
            return sink in {None, server.default_sink_name} and source in {None, server.default_source_name}

        session.wait_for(is_seen, "the default to be set")
