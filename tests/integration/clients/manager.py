"""A GDBusObjectManagerClient by PyGObject; prints and takes the same lines as manager.js beside it."""

import json
import sys
from typing import Any

from gi.repository import Gio, GLib


def say(event: str, **details: Any) -> None:
    """Print what has happened."""
    sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
    sys.stdout.flush()


def interfaces(found: Any) -> dict[str, dict[str, Any]]:
    """Return what the proxies of an object hold."""
    return {p.get_interface_name(): cached(p) for p in found.get_interfaces()}


def cached(proxy: Any) -> dict[str, Any]:
    """Return what a proxy holds."""
    return {n: proxy.get_cached_property(n).unpack() for n in proxy.get_cached_property_names() or ()}


class Watch:
    """The manager, and a line for everything that it tells."""

    def __init__(self) -> None:
        self.manager = Gio.DBusObjectManagerClient.new_for_bus_sync(
            Gio.BusType.SESSION,
            Gio.DBusObjectManagerClientFlags.NONE,
            "org.pwmixer.Mixer",
            "/org/pwmixer/Mixer",
            None,
            None,
            None,
        )
        for name in ("object-added", "object-removed", "interface-added", "interface-removed"):
            self.manager.connect(name, getattr(self, name.replace("-", "_")))
        self.manager.connect("interface-proxy-properties-changed", self.changed)
        self.manager.connect("notify::name-owner", self.owner)

    def objects(self) -> dict[str, Any]:
        """Return all objects."""
        return {found.get_object_path(): interfaces(found) for found in self.manager.get_objects()}

    def object_added(self, _manager: Any, found: Any) -> None:
        """Tell of a new object."""
        say("added", path=found.get_object_path(), interfaces=interfaces(found))

    def object_removed(self, _manager: Any, gone: Any) -> None:
        """Tell of one that has gone."""
        say("removed", path=gone.get_object_path())

    def interface_added(self, _manager: Any, found: Any, proxy: Any) -> None:
        """Tell of an interface that an object did not have at first."""
        say("interface-added", path=found.get_object_path(), interface=proxy.get_interface_name())

    def interface_removed(self, _manager: Any, found: Any, proxy: Any) -> None:
        """Tell of an interface that an object has lost."""
        say("interface-removed", path=found.get_object_path(), interface=proxy.get_interface_name())

    def changed(self, _manager: Any, found: Any, proxy: Any, changed: Any, invalidated: list[str]) -> None:
        """Tell of new values."""
        say(
            "changed",
            path=found.get_object_path(),
            interface=proxy.get_interface_name(),
            changed=changed.unpack(),
            invalidated=invalidated,
        )

    def owner(self, *_: Any) -> None:
        """Tell who owns the name."""
        say("owner", owner=self.manager.get_name_owner())


def main() -> None:
    """Watch until stdin ends."""
    loop = GLib.MainLoop()
    watch = Watch()

    def on_input(*_: Any) -> bool:
        if not sys.stdin.readline():
            loop.quit()
            return False
        say("answer", objects=watch.objects())
        return True

    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP, on_input)
    say("ready", objects=watch.objects())
    loop.run()


main()
