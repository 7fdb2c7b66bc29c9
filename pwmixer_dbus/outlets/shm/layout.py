"""Where each field of the shared memory is. Pure; the readers and docs/shared-memory.md are made from these tables.

Everything is in the machine's own byte order and naturally aligned, so that C reads it as plain structs, and a 32-bit field is
read and written whole. Fields may be added at the end of a record within one version: readers step by the sizes in the header.
"""

from struct import Struct

from pwmixer_dbus.core.records import dataclass

MAGIC = b"PWMIXER\0"
VERSION = 1
STREAMS = 16
"""How many stream numbers an application's record has room for."""

KINDS = {
    "char": ("s", 1),
    "u32": ("I", 4),
    "u64": ("Q", 8),
    "f32": ("f", 4),
    "f64": ("d", 8),
    "text": ("2I", 8),
}
"""Types of fields: struct's letters and the size in bytes. A text is the offset from the start of the file, and the length in bytes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field, or `count` of them in a row."""

    name: str
    kind: str
    meaning: str
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return KINDS[self.kind][1] * self.count

    @property
    def format(self) -> str:
        """What it is to `struct`."""
        letters = KINDS[self.kind][0]
        return f"{self.count}s" if self.kind == "char" else letters * self.count


@dataclass(frozen=True, slots=True)
class Record:
    """Fields in their order, without gaps."""

    name: str
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole record."""
        return sum(field.size for field in self.fields)

    def offset(self, name: str) -> int:
        """Return where a field is within the record."""
        at = 0
        for field in self.fields:
            if field.name == name:
                return at
            at += field.size
        raise KeyError(name)

    def struct(self, first: str, last: str) -> Struct:
        """Make what reads and writes the fields from one to another, both included."""
        names = [field.name for field in self.fields]
        chosen = self.fields[names.index(first) : names.index(last) + 1]
        return Struct("@" + "".join(field.format for field in chosen))


HEADER = Record(
    "header",
    (
        Field("magic", "char", "`PWMIXER` and a NUL.", 8),
        Field("version", "u32", "1. A reader refuses any other."),
        Field("size", "u32", "Bytes of the whole file, which never change."),
        Field("pid", "u32", "The process that writes it."),
        Field("device_offset", "u32", "Where the first device is; like every offset, from the start of the file."),
        Field("device_size", "u32", "Bytes from one device to the next."),
        Field("device_capacity", "u32", "How many devices there is room for."),
        Field("app_offset", "u32", "Where the first application is."),
        Field("app_size", "u32", "Bytes from one application to the next."),
        Field("app_capacity", "u32", "How many applications there is room for."),
        Field("text_offset", "u32", "Where the texts are."),
        Field("text_capacity", "u32", "Bytes that there are for texts."),
        Field("closed", "u32", "Not 0 once this file is not written any more: open it anew by its name."),
        Field("reserved0", "u32", "0."),
        Field("sequence", "u32", "Odd while something is being written, and different after it. All from here on is covered by it."),
        Field("generation", "u64", "The generation of the state that is shown; the same as in `Describe`, and grows with each change."),
        Field("updated_ns", "u64", "When it was written: nanoseconds of CLOCK_MONOTONIC."),
        Field("flags", "u32", "See below."),
        Field("device_count", "u32", "How many devices are shown. Their order means nothing."),
        Field("app_count", "u32", "How many applications are shown, also silent ones. Their order means nothing."),
        Field("text_used", "u32", "Bytes of texts that are in use."),
        Field("default_sink", "u32", "`id` of the default sink, 0 for none."),
        Field("default_source", "u32", "`id` of the default source, 0 for none."),
        Field("reserved1", "u32", "0.", 6),
    ),
)  # fmt: skip

DEVICE = Record(
    "device",
    (
        Field("id", "u32", "From 1 on; never given twice in one file. 0 where there is no device."),
        Field("index", "u32", "The sound server's index."),
        Field("flags", "u32", "See below."),
        Field("peak", "f32", "Reserved for a level, 0.0 to 1.0; 0.0 so far."),
        Field("volume", "f64", "Of the loudest channel; 1.0 is 100 %, cubic."),
        Field("max_volume", "f64", "The highest volume that it may be set to."),
        Field("name", "text", "The server's name."),
        Field("description", "text", "What people call it."),
        Field("icon_name", "text", "A name from the icon theme."),
        Field("reserved0", "u32", "0.", 2),
    ),
)

APP = Record(
    "app",
    (
        Field("id", "u32", "From 1 on; never given twice in one file. 0 where there is no application."),
        Field("device", "u32", "`id` of the device that its first stream is on, 0 for none."),
        Field("flags", "u32", "See below."),
        Field("peak", "f32", "Reserved for a level, 0.0 to 1.0; 0.0 so far."),
        Field("volume", "f64", "Of its loudest stream, or what it will start with; 1.0 is 100 %, cubic."),
        Field("max_volume", "f64", "The highest volume that it may be set to."),
        Field("app_id", "text", "Which application it is, such as `flatpak:com.spotify.Client`."),
        Field("name", "text", "What people call it."),
        Field("icon_name", "text", "A name from the icon theme."),
        Field("stream_count", "u32", "How many streams it has."),
        Field("reserved0", "u32", "0."),
        Field("streams", "u32", "The numbers of its first streams, then 0.", STREAMS),
    ),
)

RECORDS = (HEADER, DEVICE, APP)


@dataclass(frozen=True, slots=True)
class Flag:
    """One bit of a record's `flags`."""

    name: str
    bit: int
    meaning: str

    @property
    def value(self) -> int:
        """Return the number that has this bit only."""
        return 1 << self.bit


FLAGS = {
    "header": (
        Flag("connected", 0, "There is a sound server; else all is as it was last seen."),
        Flag("devices_overflow", 8, "There are more devices than there is room for."),
        Flag("apps_overflow", 9, "There are more applications than there is room for. Those with streams come first."),
        Flag("streams_overflow", 10, "An application has more streams than its record has room for."),
        Flag("texts_overflow", 11, "There is no room for a text, which is shown as empty."),
    ),
    "device": (
        Flag("muted", 0, "It is muted."),
        Flag("source", 1, "It is a source; else it is a sink."),
        Flag("monitor", 2, "It is a source that listens to what a sink plays."),
        Flag("running", 3, "Something plays or records."),
        Flag("locked", 4, "Its volume is held where it is."),
    ),
    "app": (
        Flag("muted", 0, "All its streams are muted."),
        Flag("active", 1, "A stream of it plays or records; else all are corked, or there is none."),
        Flag("hidden", 2, "A rule says that lists leave it out."),
        Flag("locked", 3, "Its volume is held where it is."),
        Flag("writable", 4, "Its volume can be set."),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How much there is room for: records, and bytes of text. `texts` is a multiple of 8."""

    devices: int = 128
    apps: int = 1024
    texts: int = 128 * 1024

    @property
    def app_offset(self) -> int:
        """Where the applications begin; the devices follow the header."""
        return HEADER.size + self.devices * DEVICE.size

    @property
    def text_offset(self) -> int:
        """Where the texts begin."""
        return self.app_offset + self.apps * APP.size

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.text_offset + self.texts


def flag(record: str, name: str) -> int:
    """Return the value of a flag."""
    return next(flag.value for flag in FLAGS[record] if flag.name == name)
