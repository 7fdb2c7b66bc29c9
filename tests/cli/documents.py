"""A document as `Describe` gives it, with a device, stream, application or card of each sort."""

from typing import Any

Record = dict[str, Any]


def device(kind: str, name: str, **changes: Any) -> Record:
    """Build a sink or source."""
    return {
        "selector": f"{kind}:{name}",
        "kind": kind,
        "index": 1,
        "name": name,
        "description": name.title(),
        "icon_name": "audio-card",
        "volume": 1.0,
        "muted": False,
        "channel_volumes": [1.0, 1.0],
        "positions": ["front-left", "front-right"],
        "state": "idle",
        "default": False,
        "monitor": False,
        "virtual": False,
        "form_factor": "",
        "bus": "",
        "card": None,
        "active_port": "",
        "ports": [],
        "max_volume": 1.0,
        "volume_writable": True,
        "locked": False,
        **changes,
    }


def stream(number: int, **changes: Any) -> Record:
    """Build a playback stream of Firefox."""
    return {
        "selector": f"stream:{number}",
        "kind": "playback",
        "number": number,
        "index": 100 + number,
        "name": "Firefox",
        "description": "A song",
        "direction": "playback",
        "app_id": "bin:firefox",
        "app_name": "Firefox",
        "media_name": "A song",
        "icon_name": "firefox",
        "role": "",
        "binary": "firefox",
        "pid": 7,
        "device": "speakers",
        "volume": 0.45,
        "muted": False,
        "channel_volumes": [0.45, 0.45],
        "positions": ["front-left", "front-right"],
        "corked": False,
        "state": "running",
        "max_volume": 1.0,
        "volume_writable": True,
        "locked": False,
        "routed_by": "",
        "hidden": False,
        "group": "",
        **changes,
    }


def app(app_id: str, name: str, **changes: Any) -> Record:
    """Build an application without streams."""
    return {
        "selector": f"app:{app_id}",
        "kind": "app",
        "app_id": app_id,
        "name": name,
        "description": name,
        "icon_name": "",
        "streams": [],
        "active": False,
        "state": "idle",
        "volume": 1.0,
        "muted": False,
        "channel_volumes": [],
        "max_volume": 1.0,
        "volume_writable": True,
        "locked": False,
        "hidden": False,
        **changes,
    }


_PORTS = [
    {"name": "analog-output-headphones", "description": "Headphones", "available": "no"},
    {"name": "analog-output-speaker", "description": "Speakers", "available": "yes"},
]
_PROFILES = [
    {"name": "output:analog-stereo", "description": "Analog Stereo Output", "available": "yes"},
    {"name": "off", "description": "Off", "available": "yes"},
]

DOCUMENT: Record = {
    "generation": 12,
    "connected": True,
    "server": {"name": "PulseAudio (on PipeWire 1.4.2)", "version": "15.0.0"},
    "defaults": {"sink": "speakers", "source": "mic"},
    "settings": {"max_volume": 1.0, "step": 0.05},
    "sinks": [
        device(
            "sink",
            "speakers",
            volume=0.45,
            default=True,
            active_port="analog-output-speaker",
            ports=_PORTS,
            card="pci",
        ),
        device("sink", "usb.dac", description="USB DAC 日本語", volume=1.2, muted=True),
    ],
    "sources": [
        device("source", "speakers.monitor", description="Monitor of Speakers", monitor=True),
        device("source", "mic", description="Microphone", default=True),
    ],
    "streams": [
        stream(5),
        stream(6, media_name="A video\x1b[2J", device="usb.dac", corked=True, muted=True),
    ],
    "apps": [
        app("bin:firefox", "Firefox", streams=[5, 6], active=True, volume=0.45),
        app("name:my sdl game", "My SDL game"),
    ],
    "groups": [
        {
            "kind": "group",
            "selector": "group:Music",
            "name": "Music",
            "description": "Music",
            "icon_name": "firefox",
            "streams": [5, 6],
            "apps": ["bin:firefox"],
            "active": True,
            "state": "running",
            "volume": 0.45,
            "muted": False,
            "channel_volumes": [],
            "max_volume": 1.0,
            "volume_writable": True,
            "locked": False,
            "hidden": False,
        }
    ],
    "cards": [
        {
            "selector": "card:pci",
            "kind": "card",
            "index": 40,
            "name": "pci",
            "description": "Built-in Audio",
            "icon_name": "audio-card",
            "active_profile": "output:analog-stereo",
            "profiles": _PROFILES,
            "ports": _PORTS,
        }
    ],
}

EXPLANATION: Record = {
    "stream": "stream:5",
    "media_name": "A song",
    "app_id": "bin:firefox",
    "app_name": "Firefox",
    "evidence": [
        {"source": "application.process.binary", "value": "firefox", "verdict": "decides"},
        {"source": "application.name", "value": "Firefox", "verdict": "agrees"},
    ],
    "rules": [],
    "desired_device": "usb.dac",
    "actual_device": "speakers",
    "moved_by": "pactl",
}
