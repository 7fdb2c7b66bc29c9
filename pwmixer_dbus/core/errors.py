"""What can go wrong, each with the D-Bus name under which a client sees it.

The message alone must be enough for a person: busctl prints nothing else.
"""

from typing import ClassVar


class MixerError(Exception):
    """Base of every error that a client may see."""

    dbus_name: ClassVar[str] = "org.freedesktop.DBus.Error.Failed"


class InvalidArgumentError(MixerError):
    """A value, option, selector or path that can never be right."""

    dbus_name = "org.freedesktop.DBus.Error.InvalidArgs"


class NotFoundError(MixerError):
    """A well-formed selector or name that nothing matches now."""

    dbus_name = "org.pwmixer.Error.NotFound"


class AmbiguousError(MixerError):
    """A selector that names several objects where one is needed."""

    dbus_name = "org.pwmixer.Error.Ambiguous"


class NotSupportedError(MixerError):
    """The object exists, but cannot do this (a stream without a volume, an app without a port)."""

    dbus_name = "org.freedesktop.DBus.Error.NotSupported"


class NotConnectedError(MixerError):
    """There is no sound server to ask at the moment."""

    dbus_name = "org.pwmixer.Error.NotConnected"


class AudioServerError(MixerError):
    """The sound server refused; `is_missing` where that was because the object has gone."""

    dbus_name = "org.pwmixer.Error.AudioServer"

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing


class AudioTimeoutError(MixerError):
    """The sound server did not answer within two seconds."""

    dbus_name = "org.pwmixer.Error.Timeout"


class StaleError(MixerError):
    """The state has moved on since the generation that the caller named."""

    dbus_name = "org.pwmixer.Error.Stale"


class LimitsExceededError(MixerError):
    """A request that is too large or one too many."""

    dbus_name = "org.freedesktop.DBus.Error.LimitsExceeded"
