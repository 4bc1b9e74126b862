"""NVMe controllers with one namespace each, and the SATA disk that the machine boots from."""

from __future__ import annotations

from bench.giant.pci import Function, Machine
from bench.giant.shape import Shape
from bench.giant.tree import Tree, attributes

_QUEUE = attributes("""
    add_random 0
    atomic_write_boundary_bytes 0
    atomic_write_max_bytes 4096
    atomic_write_unit_max_bytes 4096
    atomic_write_unit_min_bytes 4096
    chunk_sectors 0
    dax 0
    discard_granularity 512
    discard_max_bytes 2199023255040
    discard_max_hw_bytes 2199023255040
    discard_zeroes_data 0
    dma_alignment 3
    fua 1
    hw_sector_size 512
    io_poll 0
    io_poll_delay -1
    io_timeout 30000
    iostats 1
    logical_block_size 512
    max_discard_segments 256
    max_hw_sectors_kb 1024
    max_integrity_segments 1
    max_sectors_kb 1024
    max_segment_size 4294967295
    max_segments 127
    minimum_io_size 512
    nomerges 0
    nr_requests 1023
    nr_zones 0
    optimal_io_size 0
    physical_block_size 512
    read_ahead_kb 128
    rotational 0
    rq_affinity 1
    scheduler [none] mq-deadline kyber bfq
    stable_writes 0
    virt_boundary_mask 4095
    wbt_lat_usec 2000
    write_cache write through
    write_same_max_bytes 0
    write_zeroes_max_bytes 131072
    zone_append_max_bytes 0
    zone_write_granularity 0
    zoned none
""")
_SATA_QUEUE = _QUEUE | attributes("""
    max_hw_sectors_kb 32767
    nr_requests 64
    physical_block_size 4096
    scheduler none [mq-deadline] kyber bfq
    virt_boundary_mask 0
    wbt_lat_usec 2000
    write_cache write back
""")
_DISK = attributes("""
    alignment_offset 0
    capability 0
    discard_alignment 0
    events
    events_async
    events_poll_msecs -1
    ext_range 256
    hidden 0
    inflight        0        0
    partscan 1
    range 0
    removable 0
    ro 0
    stat 100000 0 8000000 10000 100000 0 8000000 10000 0 20000 20000 0 0 0 0 0 0
""")
_CONTROLLER = attributes("""
    cntlid 1
    cntrltype io
    dctype none
    firmware_rev EXA7301Q
    kato 0
    model EXAMPLE MZWLR3T8HBLS-00007
    passthru_err_log_enabled off
    sqsize 1023
    state live
    transport pcie
""")
_NVME_SECTORS = 7_501_476_528
_SATA_SECTORS = 937_703_088


def write(tree: Tree, shape: Shape, found: Machine) -> None:
    """All disks with their controllers, and the interrupts of these."""
    for number, function in enumerate(found.nvmes):
        _nvme(tree, shape, found, function, number)
    every = list(range(shape.cpus))
    found.add_irq(found.ahci, 0, f"ahci[{found.ahci.address}]", every, 50_000)
    for port in range(4):
        _sata_port(tree, found.ahci, port)
    _boot_disk(tree, shape, f"{found.ahci.path}/ata1/host0/target0:0:0/0:0:0:0")
    tree.files("/sys/module/nvme_core/parameters", {"multipath": "Y", "io_timeout": 30, "max_retries": 5})


def _nvme(tree: Tree, shape: Shape, found: Machine, function: Function, number: int) -> None:
    path = f"{function.path}/nvme/nvme{number}"
    serial = f"S5EXNE0R{number:06}"
    told: dict[str, object] = {**_CONTROLLER, "address": function.address, "numa_node": function.node, "serial": serial}
    told |= {
        "queue_count": shape.queues + 1,
        "dev": f"241:{number}",
        "subsysnqn": f"nqn.1994-11.com.example:nvme:{serial}",
    }
    tree.files(path, {**told, "uevent": f"MAJOR=241\nMINOR={number}\nDEVNAME=nvme{number}\nNVME_TRTYPE=pcie"})
    tree.link(f"{path}/device", function.path)
    tree.link(f"{path}/subsystem", "/sys/class/nvme")
    tree.link(f"/sys/class/nvme/nvme{number}", path)
    system = f"/sys/devices/virtual/nvme-subsystem/nvme-subsys{number}"
    names = ("firmware_rev", "model", "serial", "subsysnqn")
    tree.files(system, {**{name: told[name] for name in names}, "iopolicy": "numa", "subsystype": "nvm"})
    tree.link(f"{system}/nvme{number}", path)
    tree.link(f"/sys/class/nvme-subsystem/nvme-subsys{number}", system)
    _disk(tree, f"{path}/nvme{number}n1", f"259:{number}", _NVME_SECTORS, _QUEUE)
    tree.link(f"{path}/nvme{number}n1/device", path)
    tree.files(
        f"{path}/nvme{number}n1",
        {
            "nsid": 1,
            "wwid": f"eui.00253845{number:08x}",
            "eui": f"00 25 38 45 00 00 {number >> 8:02x} {number & 255:02x}",
        },
    )
    found.add_irq(function, 0, f"nvme{number}q0", list(range(shape.cpus)), 64)
    for queue in range(shape.queues):
        cpus = shape.queue(queue)
        found.add_irq(function, queue + 1, f"nvme{number}q{queue + 1}", cpus, 30_000)
        listed = ", ".join(map(str, cpus))
        tree.files(f"{path}/nvme{number}n1/mq/{queue}", {"cpu_list": listed, "nr_tags": 1023, "nr_reserved_tags": 0})


def _disk(tree: Tree, path: str, number: str, sectors: int, queue: dict[str, str]) -> None:
    """What every disk has."""
    name = path.rpartition("/")[2]
    tree.files(path, {**_DISK, "dev": number, "size": sectors, "diskseq": int(number.partition(":")[2]) + 1})
    tree.file(f"{path}/uevent", "MAJOR={}\nMINOR={}\nDEVNAME={}\nDEVTYPE=disk".format(*number.split(":"), name))
    tree.files(f"{path}/queue", queue)
    tree.folder(f"{path}/slaves")
    tree.folder(f"{path}/holders")
    tree.link(f"{path}/subsystem", "/sys/class/block")
    tree.link(f"/sys/block/{name}", path)
    tree.link(f"/sys/class/block/{name}", path)
    tree.link(f"/sys/dev/block/{number}", path)


def _sata_port(tree: Tree, function: Function, port: int) -> None:
    path = f"{function.path}/ata{port + 1}/host{port}/scsi_host/host{port}"
    told = {
        "proc_name": "ahci",
        "can_queue": 32,
        "cmd_per_lun": 1,
        "nr_hw_queues": 1,
        "state": "running",
        "host_busy": 0,
    }
    tree.files(path, {**told, "unique_id": port + 1, "active_mode": "Initiator", "sg_tablesize": 168, "use_blk_mq": 1})
    tree.link(f"{path}/device", path.rpartition("/scsi_host/")[0])
    tree.link(f"/sys/class/scsi_host/host{port}", path)


def _boot_disk(tree: Tree, shape: Shape, device: str) -> None:
    told = {
        "vendor": "ATA     ",
        "model": "EXAMPLE SSD 480G",
        "rev": "0001",
        "type": 0,
        "state": "running",
        "scsi_level": 6,
    }
    told |= {"queue_depth": 32, "queue_type": "simple", "timeout": 30, "eh_timeout": 10, "wwid": "naa.5002538e00000001"}
    tree.files(device, told)
    tree.folder("/sys/bus/scsi/drivers/sd")
    tree.link(f"{device}/driver", "/sys/bus/scsi/drivers/sd")
    path = f"{device}/block/sda"
    _disk(tree, path, "8:0", _SATA_SECTORS, _SATA_QUEUE)
    tree.link(f"{path}/device", device)
    listed = ", ".join(map(str, range(shape.cpus)))
    tree.files(f"{path}/mq/0", {"cpu_list": listed, "nr_tags": 32, "nr_reserved_tags": 1})
    for number, (start, sectors) in enumerate(((2048, 2097152), (2099200, 868493312), (870592512, 67108864)), 1):
        part = {
            "partition": number,
            "start": start,
            "size": sectors,
            "ro": 0,
            "alignment_offset": 0,
            "dev": f"8:{number}",
        }
        tree.files(f"{path}/sda{number}", part)
        tree.folder(f"{path}/sda{number}/holders")
        tree.link(f"/sys/dev/block/8:{number}", f"{path}/sda{number}")
        tree.link(f"/sys/class/block/sda{number}", f"{path}/sda{number}")
