"""A stand-in for the service: owns the name, answers with what the tests expect, and prints each call as JSON.

With the next line that it reads it goes and forgets what it was told, and with the one after that it is back.
"""

import asyncio
import contextlib
import json
import sys
from copy import deepcopy

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from documents import DOCUMENT, EXPLANATION

NAME, PATH = "org.pwmixer.Mixer", "/org/pwmixer/Mixer"


def answer(member: str, body: list[object]) -> tuple[str, list[object]]:
    """Return the signature and body of a reply. Raises LookupError with the text of an error."""
    if body and body[0] == "app:nobody":
        raise LookupError("Nothing is called “app:nobody” now.\x1b[31m")
    paths = {
        "app:*fire*": ["/org/pwmixer/Mixer/apps/bin_3afirefox"],
        "app:*": [f"/org/pwmixer/Mixer/apps/{name}" for name in ("bin_3afirefox", "name_3amy_20sdl_20game")],
        "group:music": ["/org/pwmixer/Mixer/groups/Music"],
        "pid:7": ["/org/pwmixer/Mixer/streams/5"],
    }
    replies: dict[str, tuple[str, list[object]]] = {
        "SetVolume": ("d", [min(float(str(body[1])), 1.0)] if member == "SetVolume" else []),
        "AdjustVolume": ("d", [0.5]),
        "Undo": ("u", [body[0] if body else 0]),
        "SetMuted": ("b", [len(body) > 1 and body[1] == "on"]),
        "Move": ("ao", [["/org/pwmixer/Mixer/streams/5"]]),
        "Resolve": ("ao", [paths.get(str(body[0]) if body else "", [])]),
        "Describe": ("s", [json.dumps(DOCUMENT)]),
        "ExplainStream": ("s", [json.dumps(EXPLANATION)]),
    }
    return replies.get(member, ("", []))


async def main() -> None:
    """Serve until the bus goes."""
    bus = await MessageBus(bus_type=BusType.SESSION).connect()
    at_first = deepcopy(DOCUMENT)

    def handle(message: Message) -> Message | bool:
        if message.member == "Get" and message.body == [NAME, "Connected"]:
            return Message.new_method_return(message, "v", [Variant("b", DOCUMENT["connected"])])
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NAME:
            return False
        if message.member == "Become":  # the document from now on; the signal says only that something is new
            DOCUMENT.update(json.loads(message.body[0]))
            bus.send(signals()[0])
            return Message.new_method_return(message)
        if message.member == "Play":  # a script of signals for the tests of watch
            for signal in signals():
                bus.send(signal)
            return Message.new_method_return(message)
        options = [{k: v.value for k, v in a.items()} if isinstance(a, dict) else a for a in message.body]
        print(json.dumps([message.member, *options]), flush=True)  # noqa: T201 - the tests read it
        try:
            return Message.new_method_return(message, *answer(str(message.member), message.body))
        except LookupError as error:
            return Message.new_error(message, "org.pwmixer.Error.NotFound", str(error.args[0]))

    bus.add_message_handler(handle)
    is_told = True
    while is_told:
        await bus.request_name(NAME)
        print("ready", flush=True)  # noqa: T201
        is_told = bool(await asyncio.to_thread(sys.stdin.readline))
        if is_told:
            await bus.release_name(NAME)
            DOCUMENT.clear()
            DOCUMENT.update(deepcopy(at_first))
            print("gone", flush=True)  # noqa: T201
            await asyncio.to_thread(sys.stdin.readline)
    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]


def signals() -> list[Message]:
    """List one signal of each sort."""
    speakers = f"{PATH}/sinks/speakers"
    node, device = f"{NAME}.Node", f"{NAME}.Device"
    properties, manager = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"
    stream = {f"{NAME}.Stream": {"AppName": Variant("s", "Firefox"), "MediaName": Variant("s", "A song")}}
    changes = (
        (speakers, node, {"Volume": Variant("d", 0.45)}),
        (speakers, node, {"Muted": Variant("b", True)}),
        (f"{PATH}/sinks/usb_2edac", device, {"Default": Variant("b", True)}),
        (PATH, NAME, {"Connected": Variant("b", False)}),
        (PATH, NAME, {"DefaultSink": Variant("o", speakers)}),
    )
    return [
        *(
            Message.new_signal(p, properties, "PropertiesChanged", "sa{sv}as", [i, c, []])
            for p, i, c in changes
        ),
        Message.new_signal(PATH, manager, "InterfacesAdded", "oa{sa{sv}}", [f"{PATH}/streams/9", stream]),
        Message.new_signal(PATH, manager, "InterfacesRemoved", "oas", [f"{PATH}/streams/9", []]),
        Message.new_signal(PATH, NAME, "VolumeClamped", "odds", [speakers, 1.5, 1.0, "the global limit"]),
        Message.new_signal(
            PATH,
            NAME,
            "ClientChange",
            "osvssb",
            [speakers, "Volume", Variant("d", 0.45), ":1.2", "pwmixerctl", False],
        ),
    ]


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # the bus has gone; so do we
        asyncio.run(main())
