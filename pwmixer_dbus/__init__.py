"""pwmixer: the audio mixer of the Linux desktop as a D-Bus session service."""

__version__ = "0.1.0"
