"""A VM out of QEMU's command line: what runs without libvirt, as on Proxmox.

Source: qemu-system(1). What only libvirt knows (limits, quotas, metadata) is None; pins are its threads' affinities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmtune.cpuset import CpuSet, union
from vmtune.host.domain.backends import parse_devices
from vmtune.host.domain.document import cpu_set, unreadable
from vmtune.host.domain.machine import Features, Firmware, GuestClock
from vmtune.host.domain.memory import Backing, CellMemory, HugePage, NumaTune
from vmtune.host.domain.metadata import HARVESTER, KUBEVIRT, NOTHING, NOVA, PROXMOX
from vmtune.host.domain.options import Options, arguments_of, options
from vmtune.host.domain.processor import VCPU_LIMIT, Cell, GuestCpu, Topology
from vmtune.host.domain.values import Domain, Status
from vmtune.host.domain.xml import parse
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from vmtune.host.domain.qemu import Process

_BLANK = "<domain><name>blank</name><memory>0</memory></domain>"
_SIGNS = (
    ("/var/run/qemu-server/", PROXMOX),
    ("/run/qemu-server/", PROXMOX),
    ("product=OpenStack Nova", NOVA),
    ("harvesterhci.io", HARVESTER),
    ("/var/run/kubevirt", KUBEVIRT),
)
"""What stands in an argument, and who starts QEMU like that."""
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def domain_of_process(process: Process) -> Domain:
    """The VM that a QEMU process runs."""
    source = f"{process.path}/cmdline"
    given = arguments_of(process.arguments)
    machine = Options.merged(options(text, "type") for text in given.get("machine", ()))
    cpu, switches = _cpu(given.get("cpu", [""])[-1])
    smp = options(given.get("smp", [""])[-1], "cpus")
    vcpus, vcpus_max = _vcpus(smp, source)
    if cpu is not None and any(name in smp for name in _TOPOLOGY):
        cpu = cpu._replace(topology=Topology(*(smp.number(name, source) for name in _TOPOLOGY)))
    memory_bytes = _memory(options(given.get("m", ["128"])[-1], "size"), source)
    smbios = Options.merged(options(text) for text in given.get("smbios", ()) if "type=1," in text)
    backends = [options(text, "qom-type") for text in given.get("object", ())]
    cells, cell_memory = _cells(given.get("numa", ()), backends, source)
    blank = parse(_BLANK, source)
    return blank._replace(
        name=_name(given, process),
        uuid=(given.get("uuid", [""])[-1] or smbios.get("uuid") or "").lower() or None,
        type="kvm" if "enable-kvm" in given or _accelerator(given, machine) == "kvm" else "qemu",
        live=True,
        status=Status("running", None, process.pid, {}, None, None, (), None),
        memory_bytes=memory_bytes,
        current_memory_bytes=memory_bytes,
        max_memory_bytes=None,
        backing=_backing(given, backends),
        numatune=None if not cell_memory else NumaTune("strict", union(_known(cell_memory)), None, cell_memory),
        vcpus=vcpus,
        vcpus_max=vcpus_max,
        vcpu_ids=CpuSet.of_bits((1 << vcpus) - 1) if isinstance(vcpus, int) else vcpus,
        iothreads=sum(each.get("qom-type") == "iothread" for each in backends),
        iothread_ids=CpuSet(
            range(1, 1 + min(sum(each.get("qom-type") == "iothread" for each in backends), VCPU_LIMIT))
        ),
        cpu=cpu,
        cells=cells,
        firmware=_firmware(given, machine, process),
        features=Features(
            {name: machine[name] == "on" for name in ("smm", "acpi", "hpet") if name in machine}
            | ({"pmu": switches["pmu"]} if "pmu" in switches else {}),
            {name.removeprefix("kvm-"): state for name, state in switches.items() if name.startswith("kvm-")},
            {name[3:].replace("_", "-"): state for name, state in switches.items() if name.startswith(("hv-", "hv_"))},
            "custom" if any(name.startswith(("hv-", "hv_")) for name in switches) else None,
            *(None for _ in range(5)),
        ),
        clock=GuestClock(options(given.get("rtc", [""])[-1]).get("base"), ()),
        emulator=process.arguments[0],
        qemu_arguments=process.arguments[1:],
        metadata=NOTHING._replace(owner=_owner(process.arguments)),
        **parse_devices(given, backends, source),
    )


_TOPOLOGY = ("sockets", "dies", "clusters", "cores", "threads")


def _name(given: dict[str, list[str]], process: Process) -> str:
    """Its name; without one, that of the process."""
    name = options(given.get("name", [""])[-1], "guest").get("guest", "")
    return name if name and name.isprintable() and "/" not in name and len(name) <= 255 else f"qemu-{process.pid}"


def _owner(arguments: tuple[str, ...]) -> str | None:
    return next((owner for sign, owner in _SIGNS if any(sign in each for each in arguments)), None)


def _accelerator(given: dict[str, list[str]], machine: Options) -> str:
    """kvm or tcg; of several the first that works, so KVM where it is asked for first."""
    named = options(given.get("accel", [""])[0], "accel").get("accel") or machine.get("accel", "")
    return named.partition(":")[0]


def _vcpus(smp: Options, source: str) -> tuple[int, int]:
    counts = [smp.number(name, source) for name in ("cpus", "maxcpus")]
    if (unknown := unreadable(*counts)) is not None:
        return keep(unknown), keep(unknown)
    topology = [smp.number(name, source) for name in _TOPOLOGY]
    product = 1
    for each in topology:
        product *= each if isinstance(each, int) and each else 1
    vcpus = counts[0] or counts[1] or product
    most = counts[1] or max(vcpus, product)
    if not 0 < vcpus <= most <= VCPU_LIMIT:
        wrong = Unreadable(source, f"-smp: {vcpus} of {most} is not a number of vCPUs")
        return keep(wrong), keep(wrong)
    return vcpus, most


def _memory(given: Options, source: str) -> int:
    text = given.get("size", "128")
    unit = _UNITS.get(text[-1:].lower())
    digits = text[:-1] if unit else text
    try:
        return (
            int(float(digits) * (unit or 1 << 20)) if len(digits) <= 20 else keep(Unreadable(source, "-m: too large"))
        )
    except (ValueError, OverflowError):
        return keep(Unreadable(source, f"-m: {text[:60]!r} is not a size"))


def _cpu(text: str) -> tuple[GuestCpu | None, dict[str, bool]]:
    """The CPU, and its features that are told apart by libvirt: `hv-…`, `kvm-…`, pmu."""
    if not text:
        return None, {}
    model, *rest = text.split(",")
    features, switches = {}, {}
    for each in rest:
        name, equals, state = each.partition("=")
        on = state in ("on", "true", "yes") if equals else not name.startswith("-")
        name = name.lstrip("+-")
        if name.startswith(("hv-", "hv_", "kvm-hint", "kvm-poll")) or name == "pmu":
            switches[name] = on or (equals != "" and state.startswith("0x"))
        elif not equals or state in ("on", "off", "true", "false", "yes", "no"):
            features[name] = "require" if on else "disable"
    mode = {"host": "host-passthrough", "max": "maximum"}.get(model, "custom")
    migratable = features.pop("migratable", None)
    return (
        GuestCpu(
            mode=mode,
            match=None,
            check=None,
            migratable=None if migratable is None else migratable == "require",
            model=model if mode == "custom" else None,
            fallback=None,
            vendor=None,
            vendor_id=None,
            topology=None,
            cache_mode="passthrough" if features.pop("host-cache-info", None) == "require" else None,
            cache_level=None,
            features=features,
            physical_address_mode=None,
        ),
        switches,
    )


def _backing(given: dict[str, list[str]], backends: list[Options]) -> Backing | None:
    """What the guest's memory is made of; a path counts as hugetlbfs by its name."""
    memory = [each for each in backends if each.get("qom-type", "").startswith("memory-backend-")]
    paths = [*given.get("mem-path", ()), *(each["mem-path"] for each in memory if "mem-path" in each)]
    sizes = {_page_size(path) for path in paths if "huge" in path}
    sizes |= {
        _page_size(each.get("hugetlbsize", "")) for each in memory if each.get("hugetlb") in ("on", "yes", "true")
    }
    if not memory and not paths:
        return None
    kinds = {each["qom-type"].removeprefix("memory-backend-") for each in memory}
    immediate = "mem-prealloc" in given or any(each.get("prealloc") in ("on", "yes", "true") for each in memory)
    return Backing(
        hugepages=tuple(HugePage(size, None) for size in sorted(sizes, key=lambda size: size or 0)) if sizes else None,
        nosharepages=False,
        locked=any("mem-lock=on" in each for each in given.get("overcommit", ())),
        source="file" if paths or "file" in kinds else "memfd" if "memfd" in kinds else "anonymous",
        access="shared" if any(each.get("share") in ("on", "yes", "true") for each in memory) else None,
        allocation="immediate" if immediate else None,
        allocation_threads=None,
        discard=False,
    )


def _page_size(text: str) -> int | None:
    """The size in `1048576kB`, `2M` or a path that ends like that."""
    word = text.rpartition("/")[2].removesuffix("B")
    unit = _UNITS.get(word[-1:].lower())
    return int(word[:-1]) * unit if unit and word[:-1].isdecimal() and len(word) <= 12 else None


def _cells(
    given: list[str] | tuple[()], backends: list[Options], source: str
) -> tuple[tuple[Cell, ...], tuple[CellMemory, ...]]:
    """Guest nodes, and the host nodes that their memory is bound to."""
    by_id = {each.get("id", ""): each for each in backends}
    nodes = [each for each in (options(text, "type") for text in given) if each.get("type") == "node"]
    cells, memory = [], []
    for place, node in enumerate(nodes):
        number = node.number("nodeid", source)
        backend = by_id.get(node.get("memdev", ""), Options())
        size = node.get("mem") or backend.get("size", "")
        cells.append(
            Cell(
                id=place if number is None else number,
                cpus=_ranges(node.all("cpus"), source),
                memory_bytes=_memory(Options([("size", size if node.get("mem") else _bytes(size))]), source),
                distances={},
                memory_access=None,
            )
        )
    for place, backend in enumerate(each for each in backends if "host-nodes" in each):
        mode = {"bind": "strict", "preferred": "preferred", "interleave": "interleave"}.get(backend.get("policy", ""))
        if mode is not None:
            memory.append(CellMemory(place, mode, _ranges(backend.all("host-nodes"), source)))
    return tuple(cells), tuple(memory)


def _bytes(size: str) -> str:
    """A size whose plain number means bytes, as an object's does."""
    return size + "b" if size.isdecimal() else size


def _ranges(texts: list[str], source: str) -> CpuSet:
    try:
        return union(cpu_set(text) for text in texts)
    except ValueError as error:
        return keep(Unreadable(source, f"-numa: {error}"))


def _known(memory: tuple[CellMemory, ...]) -> list[CpuSet]:
    return [held for each in memory if isinstance(held := each[2], CpuSet)]


def _firmware(given: dict[str, list[str]], machine: Options, process: Process) -> Firmware:
    """Machine type and firmware: pflash drives, the first the code, the second the variables."""
    flash = [each for each in (options(text) for text in given.get("drive", ())) if each.get("if") == "pflash"]
    nodes: dict[str, Any] = {
        each.get("node-name", ""): each for each in (options(t, "driver") for t in given.get("blockdev", ()))
    }
    files = [each.get("file") for each in flash]
    for name in ("pflash0", "pflash1"):
        node = nodes.get(machine.get(name, ""), Options())
        node = nodes.get(node.get("file", ""), node)
        files.extend(each for each in (node.get("filename", node.get("file.filename")),) if each)
    loader = files[0] if files else given.get("bios", [None])[-1]
    called = process.arguments[0].rpartition("/")[2]
    return Firmware(
        kind="hvm",
        architecture=called.rpartition("qemu-system-")[2] if "qemu-system-" in called else None,
        machine=machine.get("type"),
        firmware=None,
        features={},
        loader=loader,
        loader_type="pflash" if files else "rom" if loader else None,
        loader_secure=None,
        loader_readonly=None,
        stateless=None,
        nvram=files[1] if len(files) > 1 else None,
        nvram_template=None,
        boot=(),
        kernel=given.get("kernel", [None])[-1],
        smbios=None,
    )
