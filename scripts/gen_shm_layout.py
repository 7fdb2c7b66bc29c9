#!/usr/bin/env python3
"""Write the layout of the shared memory into its documentation and its readers. Run it after a change of the layout."""

from pathlib import Path

from pwmixer_dbus.outlets.shm.layout import (
    APP,
    DEVICE,
    FLAGS,
    HEADER,
    MAGIC,
    RECORDS,
    STREAMS,
    VERSION,
    Field,
)

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "begin: written by scripts/gen_shm_layout.py"
END = "end"


def marked(text: str, prefix: str, suffix: str, lines: list[str]) -> str:
    """Put lines between the markers of a text, which stand in comments."""
    begin, end = f"{prefix} {BEGIN}{suffix}\n", f"{prefix} {END}{suffix}\n"
    before, rest = text.split(begin)
    _, after = rest.split(end, 1)
    return before + begin + "".join(f"{line}\n" for line in lines) + end + after


def in_python(text: str) -> str:
    """Fill the reader for Python."""
    lines = [
        f'MAGIC = b"{MAGIC[:-1].decode()}\\0"',
        f"VERSION = {VERSION}",
        f'FIXED = Struct("{HEADER.struct("magic", "reserved0").format}")',
        f"CLOSED = {HEADER.offset('closed')}",
        f"SEQUENCE = {HEADER.offset('sequence')}",
        f"CHANGING_AT = {HEADER.offset('generation')}",
        f'CHANGING = Struct("{HEADER.struct("generation", "default_source").format}")',
        f'LEVEL = Struct("{APP.struct("id", "max_volume").format}")',
        f'DEVICE = Struct("{DEVICE.struct("id", "icon_name").format}")',
        f'APP = Struct("{APP.struct("id", "streams").format}")',
        f"CONNECTED = {_flags('header')['connected']}",
        "OVERFLOWS = {",
        *(f'    "{name}": {value},' for name, value in _overflows().items()),
        "}",
        *(f"DEVICE_{name.upper()} = {value}" for name, value in _flags("device").items()),
        *(f"APP_{name.upper()} = {value}" for name, value in _flags("app").items()),
    ]
    return marked(text, "#", "", lines)


def in_javascript(text: str) -> str:
    """Fill the reader for GJS."""
    lines = [
        f"const MAGIC = '{MAGIC[:-1].decode()}\\0';",
        f"const VERSION = {VERSION};",
    ]
    for record in RECORDS:
        lines += [f"const {record.name.upper()} = {{"]
        lines += [
            f"    {f.name}: {record.offset(f.name)}," for f in record.fields if "reserved" not in f.name
        ]
        lines += ["};"]
        lines += [f"const {record.name.upper()}_FLAGS = {{"]
        lines += [f"    {name}: {value}," for name, value in _flags(record.name).items()]
        lines += ["};"]
    lines += [f"const STREAMS = {STREAMS};"]
    return marked(text, "//", "", lines)


def in_c(text: str) -> str:
    """Fill the header for C."""
    lines = [
        f'#define PWMIXER_MAGIC "{MAGIC[:-1].decode()}" /* and a NUL */',
        f"#define PWMIXER_VERSION {VERSION}",
        f"#define PWMIXER_STREAMS {STREAMS}",
    ]
    for record in RECORDS:
        lines += ["", f"struct pwmixer_{record.name} {{"]
        lines += [f"    {_c_field(field)}; /* {field.meaning.replace('`', '')} */" for field in record.fields]
        lines += ["};", ""]
        lines += [
            f"#define PWMIXER_{record.name.upper()}_{flag.name.upper()} {flag.value}u /* {flag.meaning} */"
            for flag in FLAGS[record.name]
        ]
    lines += [""]
    lines += [
        f'_Static_assert(sizeof(struct pwmixer_{record.name}) == {record.size}, "{record.name}");'
        for record in RECORDS
    ]
    return marked(text, "/*", " */", lines)


def in_markdown(text: str) -> str:
    """Fill the documentation."""
    lines: list[str] = []
    for record in RECORDS:
        lines += [f"### {record.name.capitalize()}: {record.size} bytes", ""]
        lines += ["| Offset | Type | Field | Meaning |", "|---:|---|---|---|"]
        lines += [
            f"| {record.offset(f.name)} | {f.kind}{f' x {f.count}' if f.count > 1 else ''} | `{f.name}` | {f.meaning} |"
            for f in record.fields
        ]
        lines += ["", "| Bit of `flags` | Name | Meaning |", "|---:|---|---|"]
        lines += [f"| {f.bit} | `{f.name}` | {f.meaning} |" for f in FLAGS[record.name]]
        lines += [""]
    return marked(text, "<!--", " -->", lines)


FILES = {
    "docs/shared-memory.md": in_markdown,
    "pwmixer_dbus/outlets/shm/reader.py": in_python,
    "data/readers/pwmixer-shm.js": in_javascript,
    "data/readers/pwmixer-shm.h": in_c,
}


def _flags(record: str) -> dict[str, int]:
    return {flag.name: flag.value for flag in FLAGS[record]}


def _overflows() -> dict[str, int]:
    ending = "_overflow"
    return {n.removesuffix(ending): value for n, value in _flags("header").items() if n.endswith(ending)}


def _c_field(field: Field) -> str:
    types = {"char": "char", "u32": "uint32_t", "u64": "uint64_t", "f32": "float", "f64": "double"}
    kind = types.get(field.kind, "struct pwmixer_text")
    return f"{kind} {field.name}{f'[{field.count}]' if field.count > 1 else ''}"


if __name__ == "__main__":
    for name, filled in FILES.items():
        path = ROOT / name
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
