"""A RealtimeKit for the tests, which run without the real one: prints each wish as a line of JSON, and grants it."""

import asyncio
import json

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

NAME = "org.freedesktop.RealtimeKit1"


async def main() -> None:
    """Serve until ended."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()

    def handle(message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL or message.interface != NAME:
            return False
        wish = [message.path, message.member, message.signature, *message.body]
        print(json.dumps(wish), flush=True)  # noqa: T201 - that is how the test hears of it
        bus.send(Message.new_method_return(message))
        return True

    bus.add_message_handler(handle)
    await bus.request_name(NAME)
    print(json.dumps("ready"), flush=True)  # noqa: T201 - likewise
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
