"""What a domain's metadata tells: who owns it, whose it is, what runs in it.

libvirt keeps one element a namespace in `<metadata>` and leaves its content alone. vmtune's own is the workload:

    <vmtune:workload xmlns:vmtune="https://vmtune.dev/xmlns/domain/1">db</vmtune:workload>

Sources: nova's virt/libvirt/config.py, vdsm's virt/metadata.py and virt/cpumanagement.py, KubeVirt's
api.KubeVirtMetadata, OpenNebula's LibVirtDriverKVM.cc, libosinfo.
"""

from typing import NamedTuple
from xml.etree.ElementTree import Element

from vmtune.host.domain.document import Place
from vmtune.root.folder import keep
from vmtune.root.unreadable import Unreadable
from vmtune.value import value

NAMESPACE = "https://vmtune.dev/xmlns/domain/1"
WORKLOADS = ("db", "network", "latency", "general")

NOVA, OVIRT, KUBEVIRT, HARVESTER, OPENNEBULA, PROXMOX = (
    "Nova",
    "oVirt",
    "KubeVirt",
    "Harvester",
    "OpenNebula",
    "Proxmox",
)
OWNERS = (
    ("http://openstack.org/xmlns/libvirt/nova/", NOVA),
    ("http://ovirt.org/vm/", OVIRT),
    ("http://kubevirt.io", KUBEVIRT),
    ("http://opennebula.org/xmlns/libvirt/", OPENNEBULA),
)
"""Beginning of a namespace, and whose it is."""
_OVIRT_DEDICATED = ("dedicated", "isolate-threads", "siblings")
_DEPTH = 6


@value
class Metadata(NamedTuple):
    """What is told of a domain beside its definition."""

    owner: str | None
    """Who would define it again: Nova, oVirt, KubeVirt, Harvester, OpenNebula, Proxmox; None: nobody else is known."""
    dedicated: bool | None
    """Whether the owner gave it CPUs of its own; None: the owner does not say so here."""
    tenant: str | None
    """Whose it is, by the owner's id (Nova's project)."""
    workload: str | None
    """What it is there for, in vmtune's own words: db, network, latency or general."""
    os: str | None
    """libosinfo's id of the guest's operating system: `http://microsoft.com/win/2k22`."""

    @property
    def is_windows(self) -> bool | None:
        """Whether the guest is Windows; None: not said."""
        return None if self.os is None else self.os.startswith("http://microsoft.com/win")


NOTHING = Metadata(None, None, None, None, None)


def parse_metadata(section: Element | None, source: str) -> Metadata:
    """What `<metadata>` says."""
    if section is None:
        return NOTHING
    at = Place(source, "metadata")
    owner = dedicated = tenant = workload = system = None
    for element in section:
        namespace, _, name = element.tag[1:].partition("}")
        found = next((who for start, who in OWNERS if namespace.startswith(start)), None)
        owner = found or owner
        if found == NOVA:
            dedicated, tenant = _nova(element, namespace)
        elif found == OVIRT and name == "vm":
            policy = element.findtext(f"{{{namespace}}}cpuPolicy")
            dedicated = None if policy is None else policy.strip() in _OVIRT_DEDICATED
        elif found == KUBEVIRT and _mentions(element, "harvesterhci.io"):
            owner = HARVESTER
        elif namespace == NAMESPACE and name == "workload":
            workload = at.word(element)
            if isinstance(workload, str) and workload not in WORKLOADS:
                workload = keep(
                    Unreadable(source, f"metadata/workload: {workload[:60]!r} is none of {', '.join(WORKLOADS)}")
                )
        elif namespace.startswith("http://libosinfo.org/xmlns/libvirt/domain/"):
            system = at.word(element.find(f"{{{namespace}}}os"), "id")
    return Metadata(owner, dedicated, tenant, workload, system)


def _nova(element: Element, namespace: str) -> tuple[bool | None, str | None]:
    """CPU policy of the flavour (told since 2025.1), and the project."""
    project = element.find(f"{{{namespace}}}owner/{{{namespace}}}project")
    policy = next(
        (each.text for each in element.iter(f"{{{namespace}}}extraSpec") if each.get("name") == "hw:cpu_policy"), None
    )
    return None if policy is None else policy.strip() == "dedicated", None if project is None else project.get("uuid")


def _mentions(element: Element, word: str) -> bool:
    return any(
        word in (each.text or "") or any(word in held for held in each.attrib.values()) for each in element.iter()
    )
