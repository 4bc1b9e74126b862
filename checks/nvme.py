"""NVMe controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmtune.check import Finding, Outcome, Severity, Skip, Unknown, check
from vmtune.host.nvme import NvmeController
from vmtune.shell import quoted

if TYPE_CHECKING:
    from vmtune.audit import Sample

TRANSITIONAL = ("new", "connecting", "resetting")
DOWN = ("dead", "deleting", "deleting (no IO)", "gone")


@check("nvme-controller-down", Severity.CRITICAL, over=NvmeController)
def nvme_controller_down(controller: NvmeController, sample: Sample, *, again_seconds: float = 5.0) -> Outcome:
    """An NVMe controller is not live.

    Why: its namespaces answer nothing, or will soon be gone; a mirror or a second path may hide it until that fails
        too.
    Fix now: look at the kernel log for its name; nvme reset only when nothing on it is mounted.
    Fix for good: reseat or replace the drive, mend the fabric path.
    Traps: connecting and resetting are normal for a moment, so they are looked at twice. Discovery and administrative
        controllers carry no data.
    Source: drivers/nvme/host/sysfs.c (`state`, `cntrltype`).
    """
    if controller.cntrltype in ("discovery", "admin"):
        raise Skip(f"a controller for {controller.cntrltype} carries no data")
    state, path = controller.state, f"{controller.path}/state"
    if state is None:
        raise Unknown(f"{path}: absent")
    if state in TRANSITIONAL:
        try:
            later = sample.again(path, again_seconds)
        except Skip as skip:
            raise Unknown(f"{path}: {state}; {skip}") from None
        if later == "live":
            return
        state = later or "gone"
    if state == "live":
        return
    if state not in TRANSITIONAL and state not in DOWN:
        raise Unknown(f"{path}: {state!r} is no state that is known here")
    passing = state in TRANSITIONAL and controller.transport != "pcie"
    yield Finding(
        f"controller {controller.name} ({controller.model or 'unknown model'}) is {state}",
        (path,),
        severity=Severity.HIGH if passing else None,
        expected="live",
        actual=state,
        now=(f"dmesg | grep {quoted(controller.name)}",),
        disruption="none",
    )
