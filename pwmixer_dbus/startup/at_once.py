"""Functions that are never put off, even where no earlier start has called them: a new stream's move waits for them.

The session manager is about to link such a stream elsewhere, and the first call of each, put off, would delay the move
by some 20 µs: half of them together by a millisecond.
"""

_BY_MODULE = {
    "core.commands": "slot_of",
    "core.directory": "_moved entered",
    "core.identity": """_app_id _binary_facts _display_name _facts _icon_name _look _name_word _program _renamed _said _sandboxes
        _strongest _undecorated identify""",
    "core.loops": "closes_a_loop",
    "core.matching": "Outcomes.of _candidates _folded _merged _texts facts outcome",
    "core.measures": "Measures._add_and_tell Measures.follow Measures.noticed Measures.spent",
    "core.model": "clean",
    "core.routing": """_after_move _concerned_by _doubtful _is_cause _judged _manages _step _there _times _told _with_led
        _with_other_ends decide first_there follow goal_of is_pinned restore_name speaks_against_default wish_of""",
    "core.state": """MixerState._there MixerState.client_of MixerState.default MixerState.device_named
        MixerState.device_of MixerState.streams_of_client _as_decided _bounded _client_seen _identity_of _joined _named _regrouped
        _seen _stream_born _stream_levelled _stream_seen levelled more_than_levelled""",
    "core.table": "with_entry",
    "lanes": "Lanes._advance Lanes.enqueue Lanes.mover_of _Lane.__init__",
    "mixer": "Mixer.act",
    "pulse.convert": "_look stream",
    "pulse.server": """SoundServer._fetch SoundServer._fetched SoundServer._looked SoundServer._on_notice SoundServer._see
        SoundServer._seen SoundServer._stream_of SoundServer._touch SoundServer._touch_dependents SoundServer.send _request_of""",
    "router": "Router._carry_out Router._on_change Router._waits Router._world Router.outcome_of",
}

AT_ONCE = frozenset(
    f"pwmixer_dbus.{module}:{name}" for module, names in _BY_MODULE.items() for name in names.split()
)
"""As `module:function`."""
