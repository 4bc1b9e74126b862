"""KVM: the device and the modules' parameters."""

from __future__ import annotations

import pytest

from tests.tree import plant
from vmtune.host import Host
from vmtune.root import Unreadable

INTEL = """
/dev/kvm = 020660 0 104
/sys/class/misc/kvm/dev: 10:232
/sys/module/kvm/parameters/halt_poll_ns: 200000
/sys/module/kvm/parameters/tdp_mmu: Y
/sys/module/kvm_intel/parameters/nested: Y
/sys/module/kvm_intel/initstate: live
/sys/module/virtio_net/parameters/gso: Y
"""


def test_device_and_parameters() -> None:
    kvm = Host(plant(INTEL)).kvm
    assert (kvm.device, kvm.offered, kvm.mode, kvm.uid, kvm.gid) == (True, True, 0o660, 0, 104)
    assert kvm.modules == {"kvm": {"halt_poll_ns": "200000", "tdp_mmu": "Y"}, "kvm_intel": {"nested": "Y"}}
    assert kvm.parameter("kvm_intel", "nested") == "Y"
    assert kvm.parameter("kvm_intel", "ept") is None
    assert kvm.parameter("kvm_amd", "nested") is None


def test_a_file_that_stands_for_the_device_tells_no_mode() -> None:
    kvm = Host(plant("/dev/kvm:")).kvm
    assert kvm.device is True
    with pytest.raises(Unreadable, match="no device"):
        _ = kvm.mode


def test_a_machine_without_kvm() -> None:
    kvm = Host(plant("/sys/module/virtio_net/parameters/gso: Y", "/sys/class/misc/rtc/dev: 1:1")).kvm
    assert (kvm.device, kvm.offered, kvm.mode, kvm.modules) == (False, False, None, {})


def test_a_module_without_parameters_is_still_there() -> None:
    assert Host(plant("/sys/module/kvm/initstate: live")).kvm.modules == {"kvm": {}}


def test_a_refused_parameter_is_neither_absent_nor_the_others_loss() -> None:
    kvm = Host(plant(INTEL, "/sys/module/kvm/parameters/tdp_mmu ! permission denied")).kvm
    assert kvm.parameter("kvm", "halt_poll_ns") == "200000"


def test_a_parameter_that_is_listed_and_cannot_be_read() -> None:
    root = plant(INTEL)
    root.store.put("/sys/module/kvm/parameters/secret", 13)  # type: ignore[attr-defined]
    kvm = Host(root).kvm
    assert kvm.parameter("kvm", "halt_poll_ns") == "200000"
    assert "secret" not in kvm.modules["kvm"]
    with pytest.raises(Unreadable, match="permission denied"):
        kvm.parameter("kvm", "secret")


def test_a_folder_of_parameters_that_cannot_be_listed() -> None:
    root = plant("/sys/module/kvm/initstate: live", "/sys/module/kvm/parameters ! permission denied", INTEL)
    for name in ("halt_poll_ns", "tdp_mmu"):
        root.store.remove(f"/sys/module/kvm/parameters/{name}")  # type: ignore[attr-defined]
    root.listed["/sys/module/kvm/parameters"] = Unreadable("/sys/module/kvm/parameters", "permission denied")
    kvm = Host(root).kvm
    with pytest.raises(Unreadable, match="permission denied"):
        kvm.parameter("kvm", "halt_poll_ns")
    assert kvm.parameter("kvm_intel", "nested") == "Y"


def test_modules_that_cannot_be_listed() -> None:
    kvm = Host(plant("/dev/kvm:", "/sys/module ! permission denied")).kvm
    assert kvm.device is True
    with pytest.raises(Unreadable, match="permission denied"):
        _ = kvm.modules
    with pytest.raises(Unreadable, match="permission denied"):
        kvm.parameter("kvm", "halt_poll_ns")


def test_a_capture_without_dev_knows_the_device_by_its_class() -> None:
    text = INTEL.replace("/dev/kvm = 020660 0 104", "/dev/kvm ! not in this capture")
    kvm = Host(plant(text)).kvm
    assert kvm.device is True
    with pytest.raises(Unreadable, match="not in this capture"):
        _ = kvm.mode
    without = Host(plant(text.replace("/sys/class/misc/kvm/dev: 10:232", ""))).kvm
    assert without.device is False
    by_list = "/dev ! not in this capture\n/sys ! not in this capture\n/proc/misc:\n  232 kvm\n  183 hw_random"
    assert Host(plant(by_list)).kvm.device is True
    assert Host(plant(by_list.replace("232 kvm", "1 fuse"))).kvm.device is False
    with pytest.raises(Unreadable, match="not in this capture"):
        _ = Host(
            plant("/dev ! not in this capture\n/sys ! not in this capture\n/proc ! not in this capture")
        ).kvm.device


def test_a_container_that_hides_the_device() -> None:
    kvm = Host(plant(INTEL.replace("/dev/kvm =", "/dev/null ="))).kvm
    assert (kvm.device, kvm.offered) == (False, True)
