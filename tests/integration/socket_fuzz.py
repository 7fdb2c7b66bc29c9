"""Lines that nobody would send on purpose, thrown at the socket of the real service; each has to have its one answer.

Everything is derived from a seeded `random.Random`, so that a failure can be repeated.
"""

import json
import random
import select
from collections import Counter
from collections.abc import Iterator

from service import Json
from session import PATIENCE
from talk import Talk

SEEDS = (
    *("SET_VOLUME speakers 0.4", 'SET_VOLUME "Head set" 40%', "VOLUME_UP speakers", "VOLUME_DOWN @sink 0.05"),
    *(
        "MUTE speakers toggle",
        "MUTE app:radio true",
        "MUTE app:radio false",
        "GET_VOLUME @source",
        "GET_MUTE app:*",
    ),
    *("ROUTE Radio Headset", "ROUTE app:radio sink:speakers", "RELOAD_CONFIG", "GET_VOLUME stream:1"),
    *("GET_VOLUME group:music", "SET_VOLUME sink:* 0.3", "SET_VOLUME pid:1 0.3", "GET_VOLUME card:x"),
    '{"app":"radio","action":"up","amount":0.05}',
    '{"id":7,"command":{"target":"@sink","action":"set","volume":0.5}}',
    '{"id":"a","command":"MUTE speakers toggle"}',
    '{"target":"speakers","action":"toggle","context":"a key","quiet":true}',
    '{"app":"radio","action":"route","device":"headset"}',
    '{"app":"radio","action":"get"}',
)
PIECES = (
    *(
        b" ",
        b'"',
        b"'",
        b"\\",
        b"\t",
        b"\r",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"{",
        b"}",
        b"[",
        b":",
        b",",
    ),
    *(
        b"0",
        b"-",
        b"1e999",
        b"NaN",
        b"99999999999999999999",
        b"%",
        b"*",
        b"?",
        b"[!",
        b"@",
        b"/",
        b"sink:",
        b"app:",
    ),
    *(
        b"\\u0000",
        b"\\ud800",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x8e\xa7",
        b"null",
        b"true",
        b'"id":',
        b"MUTE",
        b"[" * 3000,
    ),
)
TOO_LONG = 64 * 1024 + 1
ROUND = 200


def line(chance: random.Random) -> bytes:
    """Make a line: a good one with a few bytes changed, pieces of several, or noise."""
    match chance.randrange(20):
        case 0:
            made = chance.randbytes(chance.randrange(200))
        case 1:
            made = b"".join(chance.choices(PIECES, k=chance.randrange(1, 12)))
        case 2 if chance.randrange(50) == 0:
            made = chance.choice((b"x", b"{", b'"', b"\\")) * (TOO_LONG + chance.randrange(3) - 1)
        case _:
            made = _bent(chance, chance.choice(SEEDS).encode())
    return made.replace(b"\n", b" ")


def _bent(chance: random.Random, good: bytes) -> bytes:
    bent = bytearray(good)
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        place = chance.randrange(len(bent) + 1)
        match chance.randrange(5):
            case 0:
                del bent[place : place + chance.randrange(1, 4)]
            case 1:
                bent[place:place] = chance.choice(PIECES)
            case 2 if bent:
                bent[place % len(bent)] = chance.randrange(256)
            case 3:
                del bent[place:]
            case _:
                bent[place:place] = chance.choice(SEEDS).encode()[: chance.randrange(30)]
    return bytes(bent)


def throw(talk: Talk, count: int, seed: int) -> Counter[str]:
    """Throw `count` lines and count the answers by their kind; AssertionError where a line has not just one.

    After each round the service is asked something whose answer is known to be the last one.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    answers: Counter[str] = Counter()
    thrown = 0
    while thrown < count:
        lines = [line(chance) for _ in range(min(ROUND, count - thrown))]
        thrown += len(lines)
        mark = f"round {thrown}"
        lines.append(json.dumps({"id": mark, "target": "@sink", "action": "get"}).encode())
        heard = _exchange(talk, b"".join(made + b"\n" for made in lines), mark, chance)
        assert len(heard) == len(lines), (seed, thrown, len(heard), len(lines))
        last: Json = json.loads(heard.pop())
        assert 0.0 <= last["volume"] <= 1.0
        answers.update(_kind(answer) for answer in heard)
    return answers


def _exchange(talk: Talk, data: bytes, mark: str, chance: random.Random) -> list[bytes]:
    """Send in pieces of any size while reading; return what was heard up to the answer with the mark."""
    heard = b""
    position = 0
    while b'{"id":"%b"' % mark.encode() not in heard or not heard.endswith(b"\n"):
        wanted = [talk.socket] if position < len(data) else []
        readable, writable, _ = select.select([talk.socket], wanted, [], PATIENCE)
        assert readable or writable, (mark, heard[-300:])
        if writable:
            position += talk.socket.send(data[position : position + chance.randrange(1, 20_000)])
        if readable:
            piece = talk.socket.recv(1 << 16)
            assert piece, (mark, "the service has hung up", heard[-300:])
            heard += piece
    return heard.splitlines()


def _kind(answer: bytes) -> str:
    if answer.startswith(b"{"):
        return "json ok" if json.loads(answer)["ok"] else "json error"
    word = answer.split(b" ")[0].decode()
    assert word in {"OK", "ERROR"}, answer
    return f"text {word.lower()}"


def kinds() -> Iterator[str]:
    """Name the kinds of answers that a long run has."""
    for dialect in ("text", "json"):
        yield from (f"{dialect} ok", f"{dialect} error")
