from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtune.host.vmx import Vmx, VmxError, parse
from vmtune.root import Unreadable
from vmtune.value import peek

DATABASE = b"""#!/usr/bin/vmware
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
displayName = "db01"
guestOS = "ubuntu-64"
firmware = "efi"
numvcpus = "16"
cpuid.coresPerSocket = "8"
MemSize = "65536"
sched.mem.min = "32768"   # half of it
sched.cpu.min = "0"
sched.cpu.affinity = "all"
scsi0.present = "TRUE"
scsi0.virtualDev = "lsisas1068"
scsi0:0.present = "TRUE"
scsi0:0.deviceType = "scsi-hardDisk"
scsi0:0.fileName = "db01.vmdk"
scsi1.present = "true"
scsi1.virtualDev = "PVSCSI"
scsi1:10.present = "TRUE"
scsi1:10.fileName = "db01_2-000003.vmdk"
scsi1:2.present = "TRUE"
scsi1:2.fileName = "db01_1.vmdk"
scsi1:2.mode = "independent-nonpersistent"
scsi2.present = "FALSE"
scsi2:0.present = "TRUE"
scsi2:0.fileName = "gone.vmdk"
nvme0.present = "TRUE"
nvme0:0.present = "TRUE"
nvme0:0.fileName = "db01_3.vmdk"
sata0.present = "TRUE"
sata0:0.present = "TRUE"
sata0:0.deviceType = "cdrom-image"
sata0:0.fileName = "/vmfs/volumes/images/install.iso"
ide1:0.present = "TRUE"
ide1:0.deviceType = "atapi-cdrom"
ide1:0.fileName = "emptyBackingString"
ide1:0.clientDevice = "TRUE"
ide1:0.startConnected = "FALSE"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet1.present = "TRUE"
ethernet1.filter0.name = "dvfilter-x"
ethernet2.virtualDev = "e1000"
pciPassthru0.present = "TRUE"
pciPassthru0.id = "00000:129:00.0"
pciPassthru7.present = "TRUE"
pciPassthru7.id = "00000:026:01.2"
pciPassthru7.pfId = "00000:026:01.2"
floppy0.present = "FALSE"
serial0.present = "TRUE"
"""


def made(*lines: str) -> Vmx:
    return parse("\n".join(lines).encode(), "vm.vmx")


def test_a_whole_machine() -> None:
    vmx = parse(DATABASE, "db01.vmx")
    assert (vmx.name, vmx.product, vmx.hardware_version, vmx.firmware) == ("db01", "esx", 19, "efi")
    assert (vmx.vcpus, vmx.cores_per_socket, vmx.memory_bytes) == (16, 8, 64 << 30)
    assert (vmx.memory_reservation_bytes, vmx.memory_limit_bytes, vmx.cpu_reservation_mhz) == (32 << 30, None, 0)
    assert (vmx.latency_sensitivity, vmx.affinity, vmx.duplicates, vmx.encrypted) == ("normal", None, (), False)
    assert "serial0" in vmx.present
    assert "floppy0" not in vmx.present


def test_only_what_is_present_on_a_present_controller_is_there() -> None:
    vmx = parse(DATABASE, "db01.vmx")
    assert [(each.name, each.virtual_dev, [unit.name for unit in each.units]) for each in vmx.controllers] == [
        ("ide1", None, ["ide1:0"]),
        ("nvme0", None, ["nvme0:0"]),
        ("sata0", None, ["sata0:0"]),
        ("scsi0", "lsisas1068", ["scsi0:0"]),
        ("scsi1", "pvscsi", ["scsi1:2", "scsi1:10"]),
    ]
    disks = [disk for each in vmx.controllers for disk in each.disks]
    assert [(disk.name, disk.on_snapshot, disk.discards) for disk in disks] == [
        ("nvme0:0", False, False),
        ("scsi0:0", False, False),
        ("scsi1:2", False, True),
        ("scsi1:10", True, False),
    ]
    drives = [unit for each in vmx.controllers for unit in each.units if unit.is_cdrom]
    assert [(drive.name, drive.start_connected, drive.client_device) for drive in drives] == [
        ("ide1:0", False, True),
        ("sata0:0", True, False),
    ]
    assert (disks[0].mode, drives[1].device_type) == ("persistent", "cdrom-image")


def test_network_cards_and_passthrough() -> None:
    vmx = parse(DATABASE, "db01.vmx")
    assert [(nic.name, nic.virtual_dev, nic.filters) for nic in vmx.nics] == [
        ("ethernet0", "vmxnet3", ()),
        ("ethernet1", None, ("dvfilter-x",)),
    ]
    assert [(each.address, each.is_vf) for each in vmx.passthroughs] == [
        ("0000:81:00.0", False),
        ("0000:1a:01.2", True),
    ]
    assert [each.address for each in made('pciPassthru0.present="TRUE"', 'pciPassthru0.id="auto"').passthroughs] == [
        None
    ]


def test_defaults_where_nothing_is_said() -> None:
    vmx = made('config.version = "8"')
    assert (vmx.vcpus, vmx.memory_bytes, vmx.cores_per_socket, vmx.firmware) == (1, 32 << 20, None, "bios")
    assert (vmx.memory_reservation_bytes, vmx.cpu_limit_mhz, vmx.controllers, vmx.nics) == (0, None, (), ())
    assert (vmx.flag("vcpu.hotadd"), vmx.number("numa.nodeAffinity"), vmx.text("x")) == (None, None, None)


def test_reservations_and_limits() -> None:
    assert made('memsize="4096"', 'sched.mem.pin="TRUE"').memory_reservation_bytes == 4096 << 20
    assert made('sched.mem.minSize="100"').memory_reservation_bytes == 100 << 20
    assert made('sched.mem.min="0"', 'sched.mem.minSize="100"').memory_reservation_bytes == 0
    assert made('sched.mem.max="100"', 'sched.cpu.max="2000"').memory_limit_bytes == 100 << 20
    assert made('sched.cpu.max="2000"').cpu_limit_mhz == 2000
    assert made('sched.mem.max="unlimited"', 'sched.cpu.max="-1"').memory_limit_bytes is None
    assert made('sched.cpu.max="-1"').cpu_limit_mhz is None
    assert made('sched.cpu.latencySensitivity="High"').latency_sensitivity == "high"
    assert made('sched.cpu.latencySensitivity="custom"').latency_sensitivity == "normal"
    assert made('sched.cpu.affinity="0, 2,5"').affinity == (0, 2, 5)


def test_product_is_not_told_by_hosted_alone() -> None:
    hosted = 'virtualHW.productCompatibility = "hosted"'
    assert made(hosted).product == "hosted"
    assert made(hosted, 'ethernet0.connectionType = "nat"').product == "hosted"
    assert made(hosted, 'sched.swap.derivedName = "/vmfs/volumes/a/b/c.vswp"').product == "esx"
    assert made(hosted, 'ethernet0.networkName = "VM Network"').product == "esx"
    assert made(hosted, 'vc.uuid = "52 a9 08"').product == "esx"
    assert made('virtualHW.productCompatibility = "esx"').product == "esx"


def test_keys_in_any_case_and_the_last_of_several() -> None:
    vmx = made('NumVCPUs = "2"', 'x.Y = "kept as it is"', 'numvcpus = "4"', 'memsize="64"', 'memsize="64"')
    assert vmx.vcpus == 4
    assert vmx.keys == {"numvcpus": "4", "x.y": "kept as it is", "memsize": "64"}
    assert [[(entry.name, entry.line) for entry in each.entries] for each in vmx.duplicates] == [
        [("NumVCPUs", 1), ("numvcpus", 3)],
        [("memsize", 4), ("memsize", 5)],
    ]
    assert [each.same for each in vmx.duplicates] == [False, True]
    assert vmx.evidence("NUMVCPUS") == ("vm.vmx:3", 'numvcpus = "4"')
    assert vmx.evidence("other") == ("vm.vmx", "no other")
    assert [entry.name for entry in vmx.matching("x.", "numv")] == ["numvcpus", "x.Y"]


@pytest.mark.parametrize(
    ("key", "value", "use"),
    [
        ("numvcpus", "many", lambda vmx: vmx.vcpus),
        ("numvcpus", "0", lambda vmx: vmx.vcpus),
        ("memsize", "9" * 40, lambda vmx: vmx.memory_bytes),
        ("memsize", "\u0664", lambda vmx: vmx.memory_bytes),
        ("scsi0.present", "maybe", lambda vmx: vmx.controllers),
        ("sched.cpu.affinity", "0-3", lambda vmx: vmx.affinity),
        ("sched.mem.pin", "2", lambda vmx: vmx.memory_reservation_bytes),
    ],
)
def test_nonsense_is_told_where_it_is_used(key: str, value: str, use) -> None:  # type: ignore[no-untyped-def]
    vmx = made('displayName = "a"', f'{key} = "{value}"')
    assert vmx.name == "a"
    with pytest.raises(Unreadable) as raised:
        use(vmx)
    assert raised.value.path == "vm.vmx:2"
    assert key in raised.value.reason


def test_an_encrypted_file_has_no_defaults() -> None:
    vmx = made('encryption.keySafe = "vmware:key/list/x"', 'encryption.data = "AAAA"', 'memsize = "1024"')
    assert vmx.encrypted
    assert vmx.memory_bytes == 1 << 30
    with pytest.raises(Unreadable, match="not encrypted"):
        _ = vmx.vcpus


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('a = "x"', "x"),
        ('\ta="x"\t# why', "x"),
        ('a = "x # not why"', "x # not why"),
        ("a = 8", "8"),
        ("a =", ""),
        ('a = ""', ""),
        ('a = "say |22hi|22 |7C"', 'say "hi" |'),
        ('a = "||22 |zz |2"', "||22 |zz |2"),
        ('a = "caf|C3|A9"', "café"),
    ],
)
def test_forms_of_a_line(line: str, value: str) -> None:
    assert made(line).text("A") == value
    assert parse(f"\ufeff{line}\r\n\r\n# end\r\n".encode(), "vm.vmx").text("A") == value


def test_a_long_line_costs_no_more_than_its_length() -> None:
    spaces = " " * 1_000_000
    assert made(f'a ={spaces}"x"').text("a") == "x"
    with pytest.raises(VmxError, match="line 1"):
        made(f'a ={spaces}"')


@pytest.mark.parametrize("line", ['a = "x', 'a = "x" y', "a", "= 3", "a b = 3", 'a = x"y', "a = 3 4", "\x00", "<xml/>"])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(VmxError, match=r'^vm\.vmx, line 2: .* is not of the form key = "value"$'):
        made('b = "1"', line)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "holds no setting"),
        (b"# nothing\n", "holds no setting"),
        (b"\xff\xfea", "begins as UTF-16"),
        (b'.encoding = "klingon"\n', "'klingon' is not known"),
        (b'.encoding = "cp037"\n', "is not known"),
        (b'.encoding = "UTF-16"\n', "is not known"),
        (b'a = "1"\n' * (1 << 20), "larger than 4 MiB"),
    ],
)
def test_files_that_are_none(data: bytes, what: str) -> None:
    with pytest.raises(VmxError) as raised:
        parse(data, "vm.vmx")
    assert what in str(raised.value)
    assert raised.value.line is None


def test_encodings() -> None:
    assert parse('.encoding = "windows-1252"\ndisplayName = "Müller"\n'.encode("cp1252"), "a").name == "Müller"
    assert parse('displayName = "データ"\n.encoding = "Shift_JIS"\n'.encode("shift_jis"), "a").name == "データ"
    assert parse('.encoding = "UTF-16"\ndisplayName = "Müller"\n'.encode("utf-16"), "a").name == "Müller"
    assert parse(b'displayName = "M\xfcller"\n', "a").name == "M\\xfcller"


NAMES = st.text(string.ascii_letters + string.digits + ".:_-", min_size=1, max_size=30)
VALUES = st.text(st.characters(codec="utf-8"), max_size=60)


def escaped(value: str) -> str:
    """As VMware writes a value: quotes, pipes and control characters but the tab as `|XX`."""
    return "".join(
        f"|{ord(letter):02X}" if letter in '"|\x7f' or (letter < " " and letter != "\t") else letter for letter in value
    )


@given(st.dictionaries(NAMES.map(str.lower), VALUES, min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_what_vmware_writes_is_read_back(settings: dict[str, str], end: str) -> None:
    text = end.join(f'{key} = "{escaped(value)}"' for key, value in settings.items())
    vmx = parse(text.encode(), "vm.vmx")
    assert vmx.keys == settings
    assert vmx.duplicates == ()


DEVICES = "scsi scsi0:1 scsi0 ide1:0 nvme0 nvme0:0 ethernet0 ethernet31 pciPassthru0 pciPassthru9999 numvcpus memsize"
SUFFIXES = ".present .id .fileName .filter0.name .virtualDev .mode .startConnected"
SETTINGS = "sched.mem.min sched.mem.pin sched.cpu.affinity sched.mem.max vc.uuid encryption.data .encoding"
KEYS = [
    *DEVICES.split(),
    *(device + suffix for device in DEVICES.split() for suffix in SUFFIXES.split()),
    *SETTINGS.split(),
]
WRITTEN = ["TRUE", "FALSE", "0", "-1", "31", "a.iso", "x-000001.vmdk", "cp1252", "0:1:2.3"]
LINES = st.tuples(st.sampled_from(KEYS), st.sampled_from(WRITTEN))
SHAPED = st.lists(LINES.map(lambda line: f'{line[0]} = "{line[1]}"')).map("\n".join)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode), SHAPED.map(str.encode)))
def test_garbage_is_refused_or_read_but_nothing_else(data: bytes) -> None:
    try:
        vmx = parse(data, "vm.vmx")
    except VmxError as error:
        refused = str(error)
    else:
        refused = "vm.vmx"
        for field in (name for name in dir(Vmx) if isinstance(getattr(Vmx, name), property)):
            refused += str(peek(lambda: getattr(vmx, field)))  # noqa: B023
    assert refused.startswith("vm.vmx")
