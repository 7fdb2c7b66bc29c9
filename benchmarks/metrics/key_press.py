"""A key binding: a program is started for each press."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import Line, lines
from benchmarks.rig import Bench, rotated


async def key_press(bench: Bench) -> list[Line]:
    """Step the default sink up, from exec to exit."""
    commands = {
        "pactl set-sink-volume +5%": ("pactl", "set-sink-volume", "@DEFAULT_SINK@", "+5%"),
        "pwmixerctl up": (str(Path(sys.executable).with_name("pwmixerctl")), "up"),
        "wpctl set-volume 5%+": ("wpctl", "set-volume", "@DEFAULT_AUDIO_SINK@", "5%+"),
        "pamixer --increase 5": ("pamixer", "--increase", "5"),
        "pulsemixer --change-volume +5": ("pulsemixer", "--change-volume", "+5"),
    }
    samples: dict[str, list[float]] = {what: [] for what in commands}
    for turn in range(bench.length.starts):
        for what, command in rotated(list(commands.items()), turn):
            await bench.verb("SetVolume", "@sink", 0.3, {})
            await bench.rested("@sink")
            samples[what].append(await bench.run(*command))
    return lines("key-press", "ms", samples)
