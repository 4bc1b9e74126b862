"""A giant machine as a tree of files, of a shape that the kernel shows.

8 nodes, 512 CPUs, 64 PFs with 64 VFs each, 128 NVMe controllers, 4,096 domains. Nothing in it is random. What nobody
lists or reads is left out: PCI configuration space, resource files, write-only attributes, the folders of CPUs within
those of hardware queues.
"""

from __future__ import annotations

from bench.giant import cpus, domains, interrupts, memory, network, pci, storage, system
from bench.giant.shape import Shape
from bench.giant.tree import Tree


def build(top: str, shape: Shape) -> Tree:
    """Write the machine below an empty folder."""
    tree = Tree(top)
    found = pci.machine(shape)
    cpus.write(tree, shape)
    memory.write(tree, shape)
    system.write(tree, shape)
    storage.write(tree, shape, found)
    network.write(tree, shape, found)
    pci.write(tree, shape, found)
    interrupts.write(tree, shape, found.irqs)
    domains.write(tree, shape, found)
    return tree
