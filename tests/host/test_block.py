"""Disks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tree import plant
from vmtune.host import Host, block
from vmtune.root import Unreadable

VIRTIO = """
/sys/block/vda -> ../devices/pci0000:00/0000:00:04.0/virtio1/block/vda
/sys/bus/pci/devices/0000:00:04.0/driver -> ../../../bus/pci/drivers/virtio-pci
/sys/devices/pci0000:00/0000:00:04.0/virtio1/driver -> ../../../../bus/virtio/drivers/virtio_blk
/sys/devices/pci0000:00/0000:00:04.0/virtio1/vendor: 0x1af4
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/device -> ../../../virtio1
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/size: 41943040
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/ro: 0
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/removable: 0
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/hidden: 0
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/rotational: 1
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/scheduler: [mq-deadline] kyber none
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/nr_requests: 256
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/read_ahead_kb: 8192
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/write_cache: write back
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/queue/wbt_lat_usec: 75000
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/mq/0/cpu_list: 0, 1
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/slaves/
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/holders/dm-0 -> ../../../../../../virtual/block/dm-0
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1/start: 2048
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1/size: 41940992
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1/alignment_offset: 512
/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vdanity/uevent: x
"""
VDA = "/sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda"
SCSI = """
/sys/block/sda -> ../devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/block/sda
/sys/bus/pci/devices/0000:03:00.0/driver -> ../../../bus/pci/drivers/vmw_pvscsi
/sys/class/scsi_host/host2/proc_name: vmw_pvscsi
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/block/sda/device -> ../../../2:0:0:0
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/block/sda/size: 100
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/driver -> ../../../bus/scsi/drivers/sd
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/vendor: VMware
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/model: Virtual disk
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/type: 0
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/state: running
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/queue_depth: 64
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/timeout: 30
/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0/wwid: naa.6000000000000001
"""
SDA_DEVICE = "/sys/devices/pci0000:00/0000:00:15.0/0000:03:00.0/host2/target2:0:0/2:0:0:0"
# Subsystem 1 has the controllers nvme0 and nvme4: a disk's number is not its controller's.
MULTIPATH = """
/sys/block/nvme1n1 -> ../devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1
/sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1/size: 1000
/sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1/hidden: 0
/sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1/wwid: eui.01
/sys/class/nvme-subsystem/nvme-subsys1/nvme0/state: live
/sys/class/nvme-subsystem/nvme-subsys1/nvme4/state: live
/sys/class/nvme/nvme0 -> ../../devices/pci0000:80/0000:81:00.0/nvme/nvme0
/sys/class/nvme/nvme4 -> ../../devices/pci0000:c0/0000:c1:00.0/nvme/nvme4
"""
PATHS = """
/sys/block/nvme1c0n1 -> ../devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1
/sys/block/nvme1c4n1 -> ../devices/pci0000:c0/0000:c1:00.0/nvme/nvme4/nvme1c4n1
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1/hidden: 1
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1/size: 1000
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1/ana_state: optimized
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1/queue/scheduler: [none] mq-deadline
/sys/devices/pci0000:80/0000:81:00.0/nvme/nvme0/nvme1c0n1/queue/nr_requests: 1023
/sys/devices/pci0000:c0/0000:c1:00.0/nvme/nvme4/nvme1c4n1/hidden: 1
/sys/devices/pci0000:c0/0000:c1:00.0/nvme/nvme4/nvme1c4n1/ana_state: inaccessible
/sys/devices/pci0000:c0/0000:c1:00.0/nvme/nvme4/nvme1c4n1/queue/scheduler: none [mq-deadline]
"""
PLAIN_NVME = """
/sys/block/nvme0n1 -> ../devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1
/sys/bus/pci/devices/0000:05:00.0/driver -> ../../../bus/pci/drivers/nvme
/sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/model: ExampleDrive
/sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/device -> ../../nvme0
/sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/size: 1000
/sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/queue/io_timeout: 30000
"""
MAPPER = """
/sys/block/dm-0 -> ../devices/virtual/block/dm-0
/sys/devices/virtual/block/dm-0/size: 1000
/sys/devices/virtual/block/dm-0/dm/uuid: mpath-36000000000000001
/sys/devices/virtual/block/dm-0/dm/name: data
/sys/devices/virtual/block/dm-0/slaves/sda -> x
/sys/devices/virtual/block/dm-0/slaves/sdb -> x
"""


def only(*texts: str) -> block.Disk:
    (disk,) = Host(plant(*texts)).disks
    return disk


def test_a_virtio_disk() -> None:
    disk = only(VIRTIO)
    assert (disk.name, disk.path, disk.size_bytes) == ("vda", "/sys/block/vda", 20 << 30)
    assert (disk.transport, disk.driver, disk.controller, disk.controller_driver) == (
        "virtio",
        "virtio_blk",
        "0000:00:04.0",
        "virtio-pci",
    )
    assert (disk.rotational, disk.removable, disk.read_only, disk.hidden) == (True, False, False, False)
    assert disk.scheduler is not None
    assert (disk.scheduler.active, disk.nr_requests, disk.read_ahead_kib) == ("mq-deadline", 256, 8192)
    assert (disk.write_cache, disk.wbt_latency_us, disk.hw_queues) == ("write back", 75000, 1)
    assert (disk.slaves, disk.holders, disk.paths) == ((), ("dm-0",), ())
    # 0x1af4 in the virtio device's `vendor` is no vendor of a SCSI disk.
    assert (disk.vendor, disk.model, disk.scsi_host, disk.timeout_seconds, disk.dm_uuid) == (None,) * 5


def test_partitions_are_read_when_asked_for() -> None:
    host = Host(plant(VIRTIO))
    (partition,) = host.disks[0].partitions(host)
    assert (partition.name, partition.start_bytes, partition.size_bytes) == ("vda1", 1 << 20, 41940992 * 512)
    assert partition.alignment_offset_bytes == 512
    assert partition.path == "/sys/block/vda/vda1"


def test_a_scsi_disk_has_its_host_and_its_function() -> None:
    disk = only(SCSI)
    assert (disk.transport, disk.driver, disk.scsi_host, disk.scsi_driver) == ("scsi", "sd", 2, "vmw_pvscsi")
    assert (disk.controller, disk.controller_driver) == ("0000:03:00.0", "vmw_pvscsi")
    assert (disk.vendor, disk.model, disk.type, disk.state) == ("VMware", "Virtual disk", 0, "running")
    assert (disk.queue_depth, disk.timeout_seconds, disk.wwid) == (64, 30, "naa.6000000000000001")
    assert not disk.is_cdrom


def test_padding_is_no_part_of_a_name() -> None:
    root = plant(SCSI)
    root.store.put(f"{SDA_DEVICE}/model", b"Virtual disk    \n")  # type: ignore[attr-defined]
    assert Host(root).disks[0].model == "Virtual disk"


@pytest.mark.parametrize(
    ("place", "transport", "controller"),
    [
        ("pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda", "ata", "0000:00:1f.2"),
        ("pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host2/target2:0:0/2:0:0:0/block/sda", "usb", "0000:00:14.0"),
        ("pci0000:00/0000:00:05.0/virtio3/host2/target2:0:0/2:0:0:0/block/sda", "virtio", "0000:00:05.0"),
        ("pci0000:00/0000:41:00.0/host2/rport-2:0-1/target2:0:0/2:0:0:0/block/sda", "fc", "0000:41:00.0"),
        ("platform/host2/session1/target2:0:0/2:0:0:0/block/sda", "iscsi", None),
        ("platform/soc/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "mmc", None),
        ("vbd-51712/block/xvda", "xen", None),
        ("css0/0.0.0107/0.0.8100/block/dasda", "other", None),
        ("virtual/block/rbd0", None, None),
    ],
)
def test_the_path_tells_transport_and_function(place: str, transport: str | None, controller: str | None) -> None:
    name = place.rpartition("/")[2]
    disk = only(f"/sys/block/{name} -> ../devices/{place}", f"/sys/devices/{place}/size: 8")
    assert (disk.transport, disk.controller) == (transport, controller)


def test_a_plain_nvme_disk() -> None:
    disk = only(PLAIN_NVME)
    assert (disk.transport, disk.driver, disk.controller, disk.controller_driver) == (
        "nvme",
        "nvme",
        "0000:05:00.0",
        "nvme",
    )
    assert (disk.model, disk.io_timeout_ms, disk.vendor) == ("ExampleDrive", 30000, None)


def test_nvme_paths_are_no_disks_but_the_head_knows_them() -> None:
    disk = only(MULTIPATH, PATHS)
    assert disk.name == "nvme1n1"
    assert disk.scheduler is None
    assert (disk.transport, disk.controller, disk.controllers) == ("nvme", None, ("0000:81:00.0", "0000:c1:00.0"))
    first, second = disk.paths
    assert (first.name, first.controller, first.address, first.ana_state) == (
        "nvme1c0n1",
        "nvme0",
        "0000:81:00.0",
        "optimized",
    )
    assert first.scheduler is not None
    assert (first.scheduler.active, first.nr_requests) == ("none", 1023)
    assert (second.controller, second.ana_state) == ("nvme4", "inaccessible")


def test_hidden_disks_are_passed_over_unless_asked_for() -> None:
    host = Host(plant(MULTIPATH, PATHS, VIRTIO, f"{VDA}/hidden: 1"))
    assert [disk.name for disk in host.disks] == ["nvme1n1"]
    assert [disk.name for disk in block.devices(host) if disk.hidden] == ["nvme1c0n1", "nvme1c4n1", "vda"]


def test_a_head_without_captured_paths_asks_its_subsystem() -> None:
    disk = only(MULTIPATH)
    assert (disk.paths, disk.controllers) == ((), ("0000:81:00.0", "0000:c1:00.0"))


def test_a_path_that_cannot_be_placed_costs_the_place_alone() -> None:
    text = PATHS.replace("/sys/block/nvme1c4n1 -> ../devices/pci0000:c0/0000:c1:00.0/nvme/nvme4/nvme1c4n1", "")
    disk = only(MULTIPATH, text, "/sys/block/nvme1c4n1/ana_state: optimized")
    with pytest.raises(Unreadable, match="no link to a device"):
        _ = disk.controllers
    assert (disk.paths[1].ana_state, disk.paths[0].controller) == ("optimized", "nvme0")
    with pytest.raises(Unreadable, match="no link to a device"):
        _ = disk.paths[1].address
    assert disk.size_bytes == 512000


def test_a_multipath_map_is_known_by_its_uuid() -> None:
    disk = only(MAPPER)
    assert disk.is_multipath
    assert (disk.slaves, disk.dm_name, disk.transport, disk.driver) == (("sda", "sdb"), "data", None, None)
    assert not only(VIRTIO).is_multipath


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loop0", "/sys/block/loop0/size: 8"),
        ("ram0", "/sys/block/ram0/size: 8"),
        ("zram0", "/sys/block/zram0/size: 8"),
        ("nbd3", "/sys/block/nbd3/size: 8"),
        ("sr0", "/sys/block/sr0/size: 8"),
        ("fd0", "/sys/block/fd0/size: 8"),
        ("sdz", "/sys/block/sdz/size: 0"),
    ],
)
def test_what_nobody_stores_data_on_is_passed_over_unless_asked_for(name: str, text: str) -> None:
    host = Host(plant(VIRTIO, text))
    assert [disk.name for disk in host.disks] == ["vda"]
    assert sorted(disk.name for disk in block.devices(host)) == sorted([name, "vda"])


def test_a_disk_of_unknown_size_stays() -> None:
    assert only("/sys/block/sda/queue/rotational: 0").size_bytes is None
    with pytest.raises(Unreadable, match="permission denied"):
        _ = only(VIRTIO, f"{VDA}/size ! permission denied", f"{VDA}/hidden ! permission denied").size_bytes


def test_cdrom_by_name_or_by_type() -> None:
    assert only(SCSI, f"{SDA_DEVICE}/type: 5").is_cdrom
    assert block.devices(Host(plant("/sys/block/sr0/size: 8")))[0].is_cdrom


def test_a_copy_in_place_of_the_link_leaves_the_place_unknown() -> None:
    disk = only("/sys/block/sda/size: 8", "/sys/block/sda/device/timeout: 30", "/sys/block/sda/device/vendor: X  ")
    for field in ("transport", "controller", "controllers", "controller_driver", "scsi_host", "scsi_driver"):
        with pytest.raises(Unreadable, match="no link to a device"):
            getattr(disk, field)
    assert (disk.size_bytes, disk.timeout_seconds, disk.vendor) == (4096, 30, "X")


def test_an_old_kernel_links_the_device_not_the_disk() -> None:
    disk = only(
        "/sys/block/sda/device -> ../../devices/pci0000:00/0000:00:1f.2/host0/target0:0:0/0:0:0:0",
        "/sys/block/sda/size: 8",
    )
    assert (disk.controller, disk.scsi_host) == ("0000:00:1f.2", 0)


@pytest.mark.parametrize("reason", ["invalid argument", "permission denied"])
def test_a_throttle_that_does_not_apply_is_none_and_one_that_is_refused_is_not(reason: str) -> None:
    disk = only(VIRTIO, f"{VDA}/queue/wbt_lat_usec ! {reason}")
    if reason == "invalid argument":
        assert disk.wbt_latency_us is None
    else:
        with pytest.raises(Unreadable, match=reason):
            _ = disk.wbt_latency_us


def test_one_unreadable_attribute_loses_only_itself() -> None:
    disk = only(VIRTIO, f"{VDA}/queue/scheduler ! permission denied", f"{VDA}/holders ! permission denied")
    for field in ("scheduler", "holders"):
        with pytest.raises(Unreadable, match="permission denied"):
            getattr(disk, field)
    assert disk.nr_requests == 256


def test_no_block_layer_is_no_disks_and_a_refused_one_is_unreadable() -> None:
    assert Host(plant("/proc/version: Linux")).disks == ()
    with pytest.raises(Unreadable, match="permission denied"):
        _ = Host(plant("/sys/block ! permission denied")).disks


@pytest.mark.parametrize("attribute", ["size", "ro", "queue/rotational", "queue/nr_requests", "queue/scheduler"])
@given(data=st.binary(max_size=30))
def test_no_content_breaks_the_reader(attribute: str, data: bytes) -> None:
    root = plant(VIRTIO)
    root.store.put(f"{VDA}/{attribute}", data)  # type: ignore[attr-defined]
    for disk in Host(root).disks:
        assert disk.read_ahead_kib == 8192
