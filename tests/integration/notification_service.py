"""A notification service for the tests: prints each call as a line of JSON, and gives numbers like a real one."""

import asyncio
import json

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

NAME = "org.freedesktop.Notifications"
GIVEN = 100


async def main() -> None:
    """Serve until ended."""
    bus = await MessageBus(bus_type=BusType.SESSION).connect()
    shown = GIVEN

    def handle(message: Message) -> bool:
        nonlocal shown
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NAME:
            return False
        app, replaced, icon, title, text, actions, hints, timeout = message.body
        shown = replaced or shown + 1
        plain = {key: [value.signature, value.value] for key, value in hints.items()}
        notice = {"app": app, "replaced": replaced, "icon": icon, "title": title, "text": text}
        notice |= {"actions": actions, "hints": plain, "timeout": timeout, "number": shown}
        print(json.dumps(notice), flush=True)  # noqa: T201 - that is how the test hears of it
        bus.send(Message.new_method_return(message, "u", [shown]))
        return True

    bus.add_message_handler(handle)
    await bus.request_name(NAME)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
