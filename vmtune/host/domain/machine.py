"""The machine that a domain is: firmware, machine type, features, timers, confinement.

Source: libvirt's formatdomain: Operating system booting, Hypervisor features, Time keeping, Security label.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.host.domain.document import Place, shared
from vmtune.value import value


@value
class Firmware(NamedTuple):
    """What boots, and on which machine type (`<os>`)."""

    kind: str | None
    """hvm, or another kind of virtualisation."""
    architecture: str | None
    machine: str | None
    """Machine type: versioned (`pc-q35-7.2`) or an alias (`q35`)."""
    firmware: str | None
    """efi or bios where libvirt chooses the file itself; None: not said."""
    features: dict[str, bool]
    """Firmware features asked for or refused: secure-boot, enrolled-keys."""
    loader: str | None
    """File of the firmware; None: libvirt's choice, or BIOS."""
    loader_type: str | None
    """rom or pflash."""
    loader_secure: bool | None
    loader_readonly: bool | None
    stateless: bool | None
    nvram: str | None
    """File that keeps the firmware's variables."""
    nvram_template: str | None
    boot: tuple[str, ...]
    """hd, cdrom, network, fd in order."""
    kernel: str | None
    """Kernel that is booted directly, without firmware."""
    smbios: str | None

    @property
    def is_efi(self) -> bool | None:
        """Whether it boots by UEFI; None: a loader is named that may be either."""
        if self.firmware is not None:
            return self.firmware == "efi"
        if self.loader_type == "pflash" or self.nvram is not None:
            return True
        return None if self.loader is not None else False


@value
class Features(NamedTuple):
    """What the hypervisor offers the guest (`<features>`)."""

    switches: dict[str, bool]
    """Plain switches by name: acpi, apic, pae, pmu, smm, vmport, hap, pvspinlock, vmcoreinfo, htm, nested-hv, …"""
    kvm: dict[str, bool]
    """hidden, hint-dedicated, poll-control, pv-ipi, dirty-ring."""
    hyperv: dict[str, bool]
    """Enlightenments: relaxed, vapic, spinlocks, vpindex, runtime, synic, stimer, frequencies, tlbflush, ipi, …"""
    hyperv_mode: str | None
    """custom, passthrough or host-model; None: no `<hyperv>`."""
    spinlock_retries: int | None
    dirty_ring_size: int | None
    apic_eoi: bool | None
    ioapic_driver: str | None
    """kvm or qemu (a guest of more than 255 vCPUs with an IOMMU needs qemu)."""
    gic_version: str | None


@value
class Timer(NamedTuple):
    """One timer device (`clock/timer`)."""

    name: str
    """platform, hpet, kvmclock, pit, rtc, tsc, hypervclock, armvtimer."""
    present: bool | None
    tickpolicy: str | None
    track: str | None
    frequency: int | None
    mode: str | None


@value
class GuestClock(NamedTuple):
    """The guest's clock (`<clock>`)."""

    offset: str | None
    """utc, localtime, timezone, variable or absolute."""
    timers: tuple[Timer, ...]

    def timer(self, name: str) -> Timer | None:
        """What is said of a timer."""
        return next((timer for timer in self.timers if timer.name == name), None)


@value
class SecurityLabel(NamedTuple):
    """How QEMU is confined (`<seclabel>`)."""

    type: str | None
    """dynamic, static or none."""
    model: str | None
    """selinux, apparmor or dac."""
    relabel: bool | None
    label: str | None


def parse_firmware(section: Element | None, source: str) -> Firmware:
    """What `<os>` says; nothing known where there is none."""
    at = Place(source, "os")
    children = {child.tag: child for child in section} if section is not None else {}
    kind, loader, nvram = children.get("type"), children.get("loader"), children.get("nvram")
    features = children.get("firmware")
    return Firmware(
        kind=at.word(kind),
        architecture=at.word(kind, "arch"),
        machine=at.word(kind, "machine"),
        firmware=at.word(section, "firmware"),
        features=at.states(features, "name", "enabled"),
        loader=at.word(loader) or None,
        loader_type=at.word(loader, "type"),
        loader_secure=at.flag(loader, "secure"),
        loader_readonly=at.flag(loader, "readonly"),
        stateless=at.flag(loader, "stateless"),
        nvram=_nvram(nvram, at),
        nvram_template=at.word(nvram, "template"),
        boot=() if section is None else tuple(each.get("dev", "") for each in section.findall("boot")),
        kernel=at.word(children.get("kernel")),
        smbios=at.word(children.get("smbios"), "mode"),
    )


def _nvram(element: Element | None, at: Place) -> str | None:
    """Its file: the element's text, or a source below it."""
    if element is None:
        return None
    origin = element.find("source")
    if origin is None:
        return at.word(element) or None
    return at.word(origin, "file") or at.word(origin, "dev") or at.word(origin, "name")


def parse_features(section: Element | None, source: str) -> Features:
    """What `<features>` says; nothing switched where there is none."""
    at = Place(source, "features")
    children = {child.tag: child for child in section} if section is not None else {}
    kvm, hyperv = children.get("kvm"), children.get("hyperv")
    apic, ioapic = children.get("apic"), children.get("ioapic")
    return Features(
        switches=at.states([each for tag, each in children.items() if tag not in ("kvm", "hyperv", "ioapic", "gic")]),
        kvm=at.states(kvm),
        hyperv=at.states(hyperv),
        hyperv_mode=None if hyperv is None else at.word(hyperv, "mode") or "custom",
        spinlock_retries=None if hyperv is None else at.number(hyperv.find("spinlocks"), "retries"),
        dirty_ring_size=None if kvm is None else at.number(kvm.find("dirty-ring"), "size"),
        apic_eoi=at.flag(apic, "eoi"),
        ioapic_driver=at.word(ioapic, "driver"),
        gic_version=at.word(children.get("gic"), "version"),
    )


def parse_clock(section: Element | None, source: str) -> GuestClock:
    """What `<clock>` says; no timers where there is none."""
    if section is None:
        return GuestClock(None, ())
    at = Place(source, "clock")
    return shared(
        GuestClock(
            at.word(section, "offset"),
            tuple(
                Timer(
                    each.get("name", ""),
                    at.flag(each, "present"),
                    at.word(each, "tickpolicy"),
                    at.word(each, "track"),
                    at.number(each, "frequency"),
                    at.word(each, "mode"),
                )
                for each in section.findall("timer")
            ),
        )
    )


def parse_labels(sections: list[Element], source: str) -> tuple[SecurityLabel, ...]:
    """All `<seclabel>`."""
    at = Place(source, "seclabel")
    return tuple(
        SecurityLabel(
            at.word(each, "type"), at.word(each, "model"), at.flag(each, "relabel"), at.word(each.find("label"))
        )
        for each in sections
    )
