"""A domain out of libvirt's XML: a definition, what `virsh dumpxml` prints, or the status of a running domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from vmtune.host.domain import devices as others
from vmtune.host.domain.disks import parse_block_tuning, parse_controller, parse_disk, parse_throttle_groups
from vmtune.host.domain.document import WORD_LIMIT, Place, parse_document, unreadable
from vmtune.host.domain.interfaces import parse_host_device, parse_interface
from vmtune.host.domain.machine import parse_clock, parse_features, parse_firmware, parse_labels
from vmtune.host.domain.memory import parse_backing, parse_limits, parse_memory_device, parse_numatune
from vmtune.host.domain.metadata import parse_metadata
from vmtune.host.domain.processor import (
    VCPU_LIMIT,
    parse_cells,
    parse_cpu,
    parse_iothread_ids,
    parse_tuning,
    parse_vcpu_ids,
)
from vmtune.host.domain.values import Domain, Status
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

T = TypeVar("T")

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


def parse(data: bytes | str, source: str) -> Domain:
    """The domain of a document. Raises Unreadable naming the line, or what was found in place of a domain."""
    return domain_of(parse_document(data, source), source)


def domain_of(top: Element, source: str) -> Domain:
    """The domain of a document's top element. Raises Unreadable."""
    element = top.find("domain") if top.tag == "domstatus" else top
    if element is None or element.tag != "domain":
        raise Unreadable(source, f"a <{top.tag[:80]}>, expected a <domain>")
    status = _status(top, source) if top.tag == "domstatus" else None
    return _domain(element, source, status)


def _domain(element: Element, source: str, status: Status | None) -> Domain:
    at = Place(source, "domain")
    sections: dict[str, Element] = {}
    for child in element:
        sections.setdefault(child.tag, child)
    parts: dict[str, list[Element]] = {}
    for child in sections.get("devices", ()):
        parts.setdefault(child.tag, []).append(child)

    def all_of(tag: str, parse_one: Callable[[Element, str, int], T]) -> tuple[T, ...]:
        return tuple(parse_one(part, source, index) for index, part in enumerate(parts.get(tag, ()), 1))

    get = sections.get
    memory, vcpu, iothreads = get("memory"), get("vcpu"), at.number(get("iothreads"))
    memory_bytes = _size(memory, at.missing(element, "memory"), at)
    vcpus_max, vcpus = _vcpus(vcpu, at)
    cpu, balloon, iommu, events = get("cpu"), parts.get("memballoon"), parts.get("iommu"), get("pm")
    commandline = get(f"{_QEMU}commandline")
    return Domain(
        name=_name(get("name"), source),
        uuid=_uuid(get("uuid"), at),
        source=source,
        type=at.word(element, "type"),
        live=status is not None or element.get("id") is not None,
        status=status,
        running=None,
        autostart=None,
        snapshots=None,
        saved=None,
        memory_bytes=memory_bytes,
        current_memory_bytes=_size(get("currentMemory"), memory_bytes, at),
        max_memory_bytes=at.size(get("maxMemory")),
        backing=parse_backing(get("memoryBacking"), source),
        limits=parse_limits(get("memtune"), source),
        numatune=parse_numatune(get("numatune"), source),
        memory_devices=all_of("memory", parse_memory_device),
        vcpus=vcpus,
        vcpus_max=vcpus_max,
        vcpu_ids=parse_vcpu_ids(vcpus, get("vcpus"), source),
        placement=at.word(vcpu, "placement"),
        cpuset=at.cpus(vcpu, "cpuset"),
        iothreads=iothreads,
        iothread_ids=parse_iothread_ids(iothreads, get("iothreadids"), source),
        tuning=parse_tuning(get("cputune"), source),
        cpu=parse_cpu(cpu, source),
        cells=parse_cells(cpu, source),
        partition=at.word(sections["resource"].find("partition")) if "resource" in sections else None,
        firmware=parse_firmware(get("os"), source),
        features=parse_features(get("features"), source),
        clock=parse_clock(get("clock"), source),
        on_poweroff=at.word(get("on_poweroff")),
        on_reboot=at.word(get("on_reboot")),
        on_crash=at.word(get("on_crash")),
        on_lockfailure=at.word(get("on_lockfailure")),
        sleep_states=at.states(events, attribute="enabled"),
        emulator=at.word(parts["emulator"][0]) if "emulator" in parts else None,
        disks=all_of("disk", parse_disk),
        controllers=all_of("controller", parse_controller),
        interfaces=all_of("interface", parse_interface),
        host_devices=all_of("hostdev", parse_host_device),
        graphics=all_of("graphics", others.parse_graphics),
        balloon=others.parse_balloon(balloon[0], source) if balloon else None,
        rngs=all_of("rng", others.parse_rng),
        tpms=all_of("tpm", others.parse_tpm),
        watchdogs=all_of("watchdog", others.parse_watchdog),
        panics=tuple(part.get("model", "") for part in parts.get("panic", ())),
        characters=tuple(
            character
            for tag in ("serial", "console", "parallel", "channel")
            for character in all_of(tag, others.parse_character)
        ),
        filesystems=all_of("filesystem", others.parse_filesystem),
        virtual_iommu=others.parse_virtual_iommu(iommu[0], source) if iommu else None,
        videos=all_of("video", others.parse_video),
        shared_memory=all_of("shmem", others.parse_shared_memory),
        leases=len(parts.get("lease", ())),
        redirected_usb=len(parts.get("redirdev", ())),
        vsock="vsock" in parts,
        block_tuning=parse_block_tuning(get("blkiotune"), source),
        throttle_groups=parse_throttle_groups(get("throttlegroups"), source),
        labels=parse_labels(element.findall("seclabel"), source),
        launch_security=at.word(get("launchSecurity"), "type"),
        qemu_arguments=tuple(each.get("value", "") for each in _named(commandline, "arg")),
        qemu_environment={each.get("name", ""): each.get("value", "") for each in _named(commandline, "env")},
        has_qemu_overrides=f"{_QEMU}override" in sections or f"{_QEMU}capabilities" in sections,
        metadata=parse_metadata(get("metadata"), source),
    )


def _size(element: Element | None, otherwise: int, at: Place) -> int:
    size = at.size(element)
    return otherwise if size is None else size


def _named(commandline: Element | None, tag: str) -> Iterable[Element]:
    return commandline.findall(f"{_QEMU}{tag}") if commandline is not None else ()


def _name(element: Element | None, source: str) -> str:
    """The name, as libvirt would take it; without one a document is no domain. Raises Unreadable."""
    text = "" if element is None else element.text or ""
    if not text:
        raise Unreadable(source, "a <domain> without a <name>")
    if len(text) > WORD_LIMIT or "/" in text or not text.isprintable():
        raise Unreadable(source, f"name: {text[:60]!r} is no name of a domain")
    return text


def _uuid(element: Element | None, at: Place) -> str | None:
    """The UUID with dashes and in lower case: libvirt takes it without and in capitals too."""
    if element is None:
        return None
    text = element.text or ""
    digits = "".join(each for each in text.lower() if each not in "- \n\t")
    if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        return at.wrong(element, "", text, "a UUID")
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _vcpus(element: Element | None, at: Place) -> tuple[int, int]:
    """vCPUs that there may be, and that there are at boot; one where nothing is said."""
    if element is None:
        return 1, 1
    most, current = at.number(element, least=1), at.number(element, "current", least=1)
    if isinstance(most, int) and most > VCPU_LIMIT:
        most = at.wrong(element, "", str(most), f"a number of vCPUs up to {VCPU_LIMIT}")
    if most is None:
        most = at.missing(element, "")
    if current is None:
        return most, most
    if isinstance(current, int) and isinstance(most, int) and current > most:
        current = at.wrong(element, "current", str(current), f"a number of vCPUs up to {most}")
    wrong = unreadable(most)
    return most, current if wrong is None else keep(wrong)


def _status(top: Element, source: str) -> Status:
    at = Place(source, "domstatus")
    vcpus, numad, job = top.find("vcpus"), top.find("numad"), top.find("job")
    return Status(
        state=at.word(top, "state"),
        reason=at.word(top, "reason"),
        pid=at.number(top, "pid", least=1),
        vcpu_pids=_vcpu_pids(vcpus, at),
        numad_nodes=at.cpus(numad, "nodeset"),
        numad_cpus=at.cpus(numad, "cpuset"),
        taints=tuple(each.get("flag", "") for each in top.findall("taint")),
        job=at.word(job, "type"),
    )


def _vcpu_pids(section: Element | None, at: Place) -> dict[int, int]:
    pids: dict[int, int] = {}
    for place, element in enumerate(section if section is not None else ()):
        number, pid = at.number(element, "id"), at.number(element, "pid", least=1)
        if (wrong := unreadable(number, pid)) is not None:
            return keep(wrong)
        if pid is not None:
            pids[place if number is None else number] = pid
    return pids
