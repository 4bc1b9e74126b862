"""PCI Express links and devices."""

from __future__ import annotations

from vmtune.check import PHYSICAL, Finding, Info, Outcome, Severity, Skip, check
from vmtune.host import Host
from vmtune.host.pci import Function, Link

SERVICE_CLASSES = (0x01, 0x02, 0x03, 0x12)
"""Base classes of devices whose throughput a VM may depend on: storage, network, display (GPU), accelerator."""
SERVICE_SUBCLASSES = (0x0C04, 0x0C06)
"""Fibre Channel and InfiniBand among the serial buses."""
DISPLAY = 0x03
GBIT_PER_LANE = {2.5: 2.0, 5.0: 4.0, 8.0: 7.88, 16.0: 15.75, 32.0: 31.5, 64.0: 63.0}
"""Payload of a lane by its transfer rate, after line coding: 8b/10b, from 8 GT/s on 128b/130b."""


@check(
    "pcie-link-degraded",
    Severity.HIGH,
    over=Function,
    roles=PHYSICAL,
    see="https://docs.kernel.org/admin-guide/abi-testing.html",
)
def pcie_link_degraded(function: Function, host: Host, *, usable: float = 0.9) -> Outcome:
    """A PCIe link runs below its width or speed.

    Why: a card that trained at fewer lanes or one generation down moves half the data, and nothing else shows it.
    Fix now: no software mends it.
    Fix for good: reseat the card or use another slot or riser; set the slot's bifurcation in the firmware.
    Traps: GPUs lower their speed when idle. A slot that is slower than the card is a choice, not a fault. VFs have no
        link of their own.
    Source: drivers/pci/pci-sysfs.c (current_link_speed, max_link_speed, current_link_width, max_link_width).
    """
    if not _is_service(function):
        raise Skip("no network, storage, display or accelerator function")
    if function.is_vf:
        raise Skip("a VF shares its PF's link")
    link = function.link
    if link is None or None in (link.speed_gts, link.width, link.max_speed_gts, link.max_width):
        raise Skip("no PCIe link, or the kernel does not know it")
    first = host.pci.function(f"{function.address[:-1]}0")
    if first is not None and first.address != function.address and first.link == link:
        raise Skip("shares the link of its card's first function")
    port = host.pci.function(function.parent) if function.parent else None
    if port is None:
        raise Skip("integrated in the root complex")
    yield from _trained(function, link, port)
    yield from _capacity(function, link, host, usable)


def _is_service(function: Function) -> bool:
    kind = function.class_
    return kind is not None and (kind >> 16 in SERVICE_CLASSES or kind >> 8 in SERVICE_SUBCLASSES)


def _trained(function: Function, link: Link, port: Function) -> Outcome:
    """Compare what the link runs at with what both its ends can do."""
    above = port.link
    speed, width, card_speed, card_width = link
    port_speed, port_width = (above.max_speed_gts, above.max_width) if above else (None, None)
    most_width, most_speed = min(card_width or 0, port_width or 64), min(card_speed or 0, port_speed or 64)
    here = function.path
    ports = (f"{port.path}/max_link_width", f"{port.path}/max_link_speed") if above else ()
    if (width or 0) < most_width:
        yield Finding(
            f"{function.address} ({function.driver or 'no driver'}) runs on {width} of {most_width} lanes",
            (f"{here}/current_link_width", f"{here}/max_link_width", *ports[:1]),
            expected=f"x{most_width}",
            actual=f"x{width}",
            disruption="firmware",
            key="width",
        )
    if (speed or 0) < most_speed:
        message = f"{function.address} ({function.driver or 'no driver'}) runs at {speed:g} of {most_speed:g} GT/s"
        evidence = (f"{here}/current_link_speed", f"{here}/max_link_speed", *ports[1:])
        if (function.class_ or 0) >> 16 == DISPLAY:
            yield Info(f"{message}; a GPU does so when it is idle", evidence, key="speed")
        else:
            yield Finding(
                message,
                evidence,
                severity=Severity.MEDIUM,
                expected=f"{most_speed:g} GT/s",
                actual=f"{speed:g} GT/s",
                disruption="firmware",
                key="speed",
            )
    if most_width < (card_width or 0) or most_speed < (card_speed or 0):
        yield Info(
            f"the slot gives {function.address} x{most_width} at {most_speed:g} GT/s, the card could use "
            f"x{card_width} at {card_speed:g} GT/s",
            (f"{here}/max_link_width", f"{here}/max_link_speed", *ports),
            key="slot",
        )


def _capacity(function: Function, link: Link, host: Host, usable: float) -> Outcome:
    """Compare the link with the line rates of all ports of a network card."""
    if not function.is_network:
        return
    per_lane = GBIT_PER_LANE.get(link.speed_gts or 0)
    if per_lane is None:
        return
    gbit = per_lane * (link.width or 0)
    card = function.address[:-1]
    ports = [port for port in host.network if port.address and port.address[:-1] == card and port.speed_mbps]
    lines = sum(port.speed_mbps or 0 for port in ports) / 1000
    if lines > usable * gbit:
        yield Finding(
            f"the ports of {card}* take {lines:g} Gb/s, their link carries {gbit:.0f} Gb/s",
            (
                f"{function.path}/current_link_speed",
                f"{function.path}/current_link_width",
                *(f"{port.path}/speed" for port in ports),
            ),
            expected=f"at most {usable * gbit:.0f} Gb/s of ports",
            actual=f"{lines:g} Gb/s",
            disruption="firmware",
            key="capacity",
        )
