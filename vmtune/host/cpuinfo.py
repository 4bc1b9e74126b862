"""/proc/cpuinfo, whose form differs with each architecture: what the CPU is, not how many there are.

Sources: arch/*/kernel/…/proc.c, setup.c and cpuinfo.c of the kernel. The first block and the blocks that speak of no
CPU say it all; the others are read only where no topology files are (`siblings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmtune.cpuset import CpuSet
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.root import Root

PATH = "/proc/cpuinfo"
LIMIT = 16 << 20
_HEAD = _TAIL = 8192
"""Bytes at either end that are searched: one CPU's block is far shorter."""


class Info(NamedTuple):
    """What the kernel says of the first CPU."""

    architecture: str | None
    """As `uname -m` names it; `ppc64` also where the byte order is not told (ppc64le); None: of no known form."""
    vendor: str | None
    model: str | None
    family: int | None
    model_number: int | None
    stepping: int | None
    flags: frozenset[str]
    microcode: str | None
    fields: dict[str, str]
    """Lines of the first block and of those that speak of no CPU, names in lower case; serial numbers are left out."""


def read(root: Root) -> Info:
    """What CPUs these are. Raises Unreadable."""
    data = root.read_bytes(PATH, LIMIT)
    if data is None:
        raise Unreadable(PATH, "there is no such file")
    info = parse(data)
    if not info.fields:
        raise Unreadable(PATH, "nothing is said of a CPU")
    return info


def parse(data: bytes) -> Info:
    """What the text of /proc/cpuinfo says of the first CPU."""
    fields = _fields(data)
    for recognise in (_x86, _arm, _s390, _power, _itanium, _riscv, _loongarch, _sparc):
        info = recognise(fields)
        if info is not None:
            return info
    return Info(None, None, None, None, None, None, frozenset(), None, fields)


def siblings(root: Root, online: CpuSet) -> tuple[list[CpuSet], list[CpuSet]]:
    """Cores and packages by the ids in /proc/cpuinfo (x86, ia64, loongarch); empty where it tells none."""
    try:
        data = root.read_bytes(PATH, LIMIT) or b""
    except Unreadable:
        return [], []
    cores: dict[tuple[str, str], int] = {}
    packages: dict[str, int] = {}
    for block in data.decode("ascii", "replace").split("\n\n"):
        fields = _lines(block)
        number, package = fields.get("processor", ""), fields.get("physical id") or fields.get("package")
        if package is None or not (number.isdecimal() and len(number) <= 5 and int(number) in online):
            continue
        bit = 1 << int(number)
        packages[package] = packages.get(package, 0) | bit
        core = fields.get("core id") or fields.get("core")
        if core is not None:
            cores[package, core] = cores.get((package, core), 0) | bit
    return [CpuSet.of_bits(bits) for bits in cores.values()], [CpuSet.of_bits(bits) for bits in packages.values()]


def _fields(data: bytes) -> dict[str, str]:
    head = data[:_HEAD].decode("utf-8", "replace").lstrip("\n")
    blocks = head.split("\n\n")
    if len(data) > _HEAD:
        blocks = [*(blocks[:-1] or blocks), *data[-_TAIL:].decode("utf-8", "replace").split("\n\n")[1:]]
    fields = _lines(blocks[0])
    for block in blocks[1:]:
        more = _lines(block)
        if "processor" not in fields or "processor" not in more:
            for name, text in more.items():
                fields.setdefault(name, text)
    return fields


def _lines(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, colon, text = line.partition(":")
        name = name.strip().lower()
        if colon and name and name != "serial":
            fields.setdefault(name, text.strip())
    return fields


def _number(text: str | None) -> int | None:
    """A decimal or 0x number, None where it is neither."""
    try:
        return None if text is None or len(text) > 20 else int(text, 0)
    except ValueError:
        return None


def _known(text: str | None) -> str | None:
    """A name, None where it says nothing."""
    return None if text in (None, "", "unknown") else text


def _x86(fields: dict[str, str]) -> Info | None:
    if "flags" not in fields or "vendor_id" not in fields:
        return None
    flags = frozenset(fields["flags"].split())
    # Only a 32-bit kernel prints the bugs of the first Pentiums.
    wide = "lm" in flags and "fdiv_bug" not in fields
    return Info(
        "x86_64" if wide else "i686",
        _known(fields["vendor_id"]),
        _known(fields.get("model name")),
        _number(fields.get("cpu family")),
        _number(fields.get("model")),
        _number(fields.get("stepping")),
        flags,
        _known(fields.get("microcode")),
        fields,
    )


_ARM_VENDORS = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "APM",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x56: "Marvell",
    0x61: "Apple",
    0x69: "Intel",
    0x6D: "Microsoft",
    0x70: "Phytium",
    0xC0: "Ampere",
}
_ARM_PARTS = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x43, 0x0A1): "ThunderX",
    (0x43, 0x0AF): "ThunderX2",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "Kunpeng-920",
    (0x50, 0x000): "X-Gene",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}


def _arm(fields: dict[str, str]) -> Info | None:
    implementer = _number(fields.get("cpu implementer"))
    if implementer is None:
        return None
    part = _number(fields.get("cpu part"))
    flags = frozenset(fields.get("features", "").split())
    named = fields.get("model name") or fields.get("processor", "")
    narrow = named.partition("(v")[2].rstrip(")")
    wide = not narrow and (fields.get("cpu architecture") == "AArch64" or "thumb" not in flags)
    architecture = "aarch64" if wide else f"armv{narrow}" if narrow.isalnum() else "arm"
    model = _ARM_PARTS.get((implementer, part or 0))
    if model is None and not named.isdecimal():
        model = _known(named)
    return Info(architecture, _ARM_VENDORS.get(implementer), model, None, part, None, flags, None, fields)


def _s390(fields: dict[str, str]) -> Info | None:
    if fields.get("vendor_id") != "IBM/S390":
        return None
    machine = next((text for name, text in fields.items() if name.startswith("processor ")), "").partition(
        "machine = "
    )[2]
    flags = frozenset(fields.get("features", "").split())
    return Info("s390x", "IBM", _known(machine.strip()), None, None, None, flags, None, fields)


def _power(fields: dict[str, str]) -> Info | None:
    if "cpu" not in fields or not ("timebase" in fields or "pvr" in fields.get("revision", "")):
        return None
    model, *features = fields["cpu"].split(", ")
    flags = frozenset(feature.removesuffix(" supported") for feature in features)
    vendor = "IBM" if model.startswith("POWER") else None
    return Info("ppc64", vendor, _known(model), None, None, None, flags, None, fields)


def _itanium(fields: dict[str, str]) -> Info | None:
    if fields.get("arch") != "IA-64":
        return None
    model = _known(fields.get("model name")) or _known(fields.get("family"))
    flags = frozenset(feature for feature in fields.get("features", "").split(", ") if feature)
    family, number, revision = (_number(fields.get(name)) for name in ("family", "model", "revision"))
    return Info("ia64", _known(fields.get("vendor")), model, family, number, revision, flags, None, fields)


def _riscv(fields: dict[str, str]) -> Info | None:
    isa = fields.get("isa", "").lower()
    if isa[:4] not in ("rv32", "rv64"):
        return None
    letters, *words = isa[4:].split("_")
    return Info(
        "riscv64" if isa[:4] == "rv64" else "riscv32",
        _known(fields.get("uarch", "").partition(",")[0]) or _known(fields.get("mvendorid")),
        _known(fields.get("uarch")),
        None,
        None,
        None,
        frozenset([*letters, *words]),
        None,
        fields,
    )


def _loongarch(fields: dict[str, str]) -> Info | None:
    isa = fields.get("isa", "").split()
    if not any(word.startswith("loongarch") for word in isa):
        return None
    vendor = _known(fields.get("cpu family", "").partition("-")[0])
    flags = frozenset(fields.get("features", "").split())
    return Info(isa[-1], vendor, _known(fields.get("model name")), None, None, None, flags, None, fields)


def _sparc(fields: dict[str, str]) -> Info | None:
    kind = fields.get("type", "")
    if "cpu" not in fields or not kind.startswith("sun4"):
        return None
    flags = frozenset(word for word in fields.get("cpucaps", "").split(",") if word)
    architecture = "sparc64" if kind in ("sun4u", "sun4v") else "sparc"
    return Info(architecture, None, _known(fields["cpu"]), None, None, None, flags, None, fields)
