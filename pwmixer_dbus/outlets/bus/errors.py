"""Errors of D-Bus itself: what is called does not exist, or cannot be written."""

from pwmixer_dbus.core.errors import MixerError


class UnknownObjectError(MixerError):
    """A path at which there is nothing."""

    dbus_name = "org.freedesktop.DBus.Error.UnknownObject"


class UnknownInterfaceError(MixerError):
    """An interface that the object does not have."""

    dbus_name = "org.freedesktop.DBus.Error.UnknownInterface"


class UnknownMethodError(MixerError):
    """A method that the interface does not have."""

    dbus_name = "org.freedesktop.DBus.Error.UnknownMethod"


class UnknownPropertyError(MixerError):
    """A property that the interface does not have."""

    dbus_name = "org.freedesktop.DBus.Error.UnknownProperty"


class PropertyReadOnlyError(MixerError):
    """A property that cannot be written."""

    dbus_name = "org.freedesktop.DBus.Error.PropertyReadOnly"


class NoSuchHoldError(MixerError):
    """A hold that the caller does not have, or no longer."""

    dbus_name = "org.pwmixer.Error.NoSuchHold"
