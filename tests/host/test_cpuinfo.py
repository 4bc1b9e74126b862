"""/proc/cpuinfo of each architecture."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import Unreadable, plant
from vmtune.cpuset import CpuSet
from vmtune.host import cpuinfo
from vmtune.host.cpuinfo import Info, parse


def info(text: str) -> Info:
    return parse(dedent(text).encode())


X86 = """
    processor\t: 0
    vendor_id\t: GenuineIntel
    cpu family\t: 6
    model\t\t: 106
    model name\t: Intel(R) Xeon(R) Example
    stepping\t: 6
    microcode\t: 0xd0003a5
    physical id\t: 0
    core id\t\t: 0
    flags\t\t: fpu lm vmx pdpe1gb
    bugs\t\t: spectre_v1
    """


def test_x86() -> None:
    found = info(X86)
    assert found.architecture == "x86_64"
    assert found.vendor == "GenuineIntel"
    assert found.model == "Intel(R) Xeon(R) Example"
    assert (found.family, found.model_number, found.stepping) == (6, 106, 6)
    assert found.flags == {"fpu", "lm", "vmx", "pdpe1gb"}
    assert found.microcode == "0xd0003a5"


@pytest.mark.parametrize("text", [X86.replace("lm ", ""), X86 + "    fdiv_bug\t: no\n"])
def test_32_bits(text: str) -> None:
    """A CPU without long mode, and a 32-bit kernel on one that has it."""
    assert info(text).architecture == "i686"


@pytest.mark.parametrize(
    ("text", "architecture", "vendor", "model", "flag"),
    [
        (
            """
            processor\t: 0
            Features\t: fp asimd sha2
            CPU implementer\t: 0x41
            CPU architecture: 8
            CPU part\t: 0xd0c

            processor\t: 1
            Features\t: fp asimd sha2
            """,
            "aarch64",
            "ARM",
            "Neoverse-N1",
            "asimd",
        ),
        (
            """
            Processor\t: ARMv7 Processor rev 4 (v7l)
            processor\t: 0

            processor\t: 1

            Features\t: swp half thumb vfpv4
            CPU implementer\t: 0x41
            CPU architecture: 7
            CPU part\t: 0xfff

            Hardware\t: A BOARD
            Serial\t\t: 0123456789abcdef
            """,
            "armv7l",
            "ARM",
            "ARMv7 Processor rev 4 (v7l)",
            "vfpv4",
        ),
        (
            """
            Processor\t: AArch64 Processor rev 0 (aarch64)
            processor\t: 0
            Features\t: fp asimd
            CPU implementer\t: 0xee
            CPU architecture: AArch64
            CPU part\t: 0x001
            """,
            "aarch64",
            None,
            "AArch64 Processor rev 0 (aarch64)",
            "fp",
        ),
        (
            """
            vendor_id       : IBM/S390
            # processors    : 2
            features\t: esan3 zarch vx
            processor 0: version = FF,  identification = 000000,  machine = 3931
            processor 1: version = FF,  identification = 000000,  machine = 3931
            """,
            "s390x",
            "IBM",
            "3931",
            "zarch",
        ),
        (
            """
            processor\t: 0
            cpu\t\t: POWER9 (architected), altivec supported
            clock\t\t: 2900.000000MHz
            revision\t: 2.2 (pvr 004e 1202)

            timebase\t: 512000000
            platform\t: pSeries
            model\t\t: IBM,9009-42A
            """,
            "ppc64",
            "IBM",
            "POWER9 (architected)",
            "altivec",
        ),
        (
            """
            processor  : 0
            vendor     : GenuineIntel
            arch       : IA-64
            family     : 32
            model      : 1
            model name : An Itanium
            revision   : 1
            features   : branchlong, 16-byte atomic ops
            """,
            "ia64",
            "GenuineIntel",
            "An Itanium",
            "16-byte atomic ops",
        ),
        (
            """
            processor\t: 0
            hart\t\t: 1
            isa\t\t: rv64imafdc_zicsr_zba
            uarch\t\t: sifive,u74-mc
            """,
            "riscv64",
            "sifive",
            "sifive,u74-mc",
            "zba",
        ),
        (
            """
            system type\t\t: generic-loongson-machine

            processor\t\t: 0
            package\t\t\t: 0
            CPU Family\t\t: Loongson-64bit
            Model Name\t\t: Loongson-3A5000
            ISA\t\t\t: loongarch32 loongarch64
            Features\t\t: cpucfg lam lvz
            """,
            "loongarch64",
            "Loongson",
            "Loongson-3A5000",
            "lvz",
        ),
        (
            """
            cpu\t\t: UltraSparc T1 (Niagara)
            type\t\t: sun4v
            cpucaps\t\t: flush,vis
            """,
            "sparc64",
            None,
            "UltraSparc T1 (Niagara)",
            "vis",
        ),
    ],
)
def test_other_architectures(text: str, architecture: str, vendor: str | None, model: str, flag: str) -> None:
    found = info(text)
    assert (found.architecture, found.vendor, found.model) == (architecture, vendor, model)
    assert flag in found.flags
    assert found.microcode is None


def test_unknown_forms_are_not_guessed() -> None:
    found = info("system type : A MIPS board\nisa : mips32r2\n")
    assert found.architecture is None
    assert found.vendor is None
    assert found.flags == frozenset()


def test_serial_numbers_are_left_out() -> None:
    found = info("processor : 0\nCPU implementer : 0x41\nSerial : 0123456789abcdef\n")
    assert "0123456789abcdef" not in str(found)


def test_the_end_of_a_long_file_is_read() -> None:
    """Only its two ends: what speaks of no CPU stands last on POWER and ARM."""
    block = "processor\t: {}\ncpu\t\t: POWER9 (raw), altivec supported\nrevision\t: 2.2 (pvr 004e 1202)\n"
    text = "\n".join(block.format(number) for number in range(2000)) + "\nplatform\t: PowerNV\n"
    assert len(text) > 100_000
    found = parse(text.encode())
    assert found.fields["platform"] == "PowerNV"
    assert found.fields["processor"] == "0"


@pytest.mark.parametrize(
    "tree", ["", "/proc/cpuinfo ! permission denied", "/proc/cpuinfo: garbage without any sense", "/proc/cpuinfo:"]
)
def test_not_known(tree: str) -> None:
    with pytest.raises(Unreadable):
        cpuinfo.read(plant(tree))


def test_siblings_by_ids() -> None:
    blocks = [(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 7, 0), (4, 7, 1)]
    lines = [f"processor : {cpu}\nphysical id : {package}\ncore id : {core}\n" for cpu, package, core in blocks]
    root = plant("/proc/cpuinfo:\n" + "\n".join("  " + line.replace("\n", "\n  ") for line in lines))
    cores, packages = cpuinfo.siblings(root, CpuSet.parse("0-3"))
    assert {str(core) for core in cores} == {"0-1", "2", "3"}
    assert {str(package) for package in packages} == {"0-2", "3"}


def test_no_siblings_without_ids() -> None:
    assert cpuinfo.siblings(plant("/proc/cpuinfo: processor : 0"), CpuSet((0,))) == ([], [])
    assert cpuinfo.siblings(plant("/proc/cpuinfo ! no"), CpuSet((0,))) == ([], [])


@given(st.binary(max_size=400))
def test_any_bytes_are_parsed(data: bytes) -> None:
    assert isinstance(parse(data), Info)
    root = plant()
    root.remember("/proc/cpuinfo", data)
    cpuinfo.siblings(root, CpuSet.parse("0-7"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["vendor_id", "flags", "cpu", "isa", "arch", "cpu implementer", "type", "model", "features"]
            ),
            st.sampled_from(["IBM/S390", "IA-64", "0x41", "rv64", "rv32imac_", "sun4x", "loongarch64", "", "-1", "lm"]),
        )
    )
)
def test_any_fields_are_recognised_or_not(lines: list[tuple[str, str]]) -> None:
    found = parse("\n".join(f"{name} : {text}" for name, text in lines).encode())
    assert found.architecture != ""
    assert found.vendor != ""
    assert found.model != ""
