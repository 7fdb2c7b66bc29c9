"""Where the objects of plain selectors stand on the bus, and what the command line calls what stands there."""

from pwmixer_dbus.cli.wire import PATH


def object_path(selector: str) -> str:
    """Say where the object of a plain selector stands on the bus: sink:a.b is /org/pwmixer/Mixer/sinks/a_2eb."""
    kind, _, name = selector.partition(":")
    return f"{PATH}/{kind}s/" + "".join(
        c if c.isascii() and c.isalnum() else "".join(f"_{byte:02x}" for byte in c.encode()) for c in name
    )


def selector_of(path: str) -> str:
    """Name the object at a path as the command line does: .../sinks/a_2eb is sink:a.b."""
    kind, _, escaped = path.removeprefix(f"{PATH}/").partition("/")
    if not escaped or kind == "":
        return ""
    first, *rest = escaped.split("_")
    raw = first.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)
    return f"{kind.removesuffix('s')}:{raw.decode(errors='replace')}"
