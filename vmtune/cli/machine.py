"""Which machine a command looks at: the live one, a captured tree, or none but a domain or .vmx file."""

from __future__ import annotations

import os
from stat import S_ISREG

import click

from vmtune.host import Host
from vmtune.root import Root, live_root, open_root

INPUT_LIMIT = 4 << 20


def root_of(tree: str | None) -> Root:
    """The live machine's root, or that of a captured tree. What is wrong with the tree is the user's to mend: exit
    2."""
    if tree is None:
        return live_root()
    from vmtune.root.capture import BadTree

    try:
        return open_root(tree)
    except BadTree as error:
        raise click.ClickException(str(error)) from None


def judged_alone(host: Host, domain: str | None, vmx: str | None) -> tuple[Host, frozenset[str]]:
    """The host to judge on, and the kinds of things to judge there; no kinds means all of them.

    A domain FILE or a .vmx is judged alone, on `host` only where that is a captured tree; a domain NAME on `host`.
    """
    if vmx is not None:
        alone = _nowhere()
        alone.vmx = (_vmx(vmx),)
        return alone, frozenset({"Vmx"})
    if domain is None:
        return host, frozenset()
    if _is_file(domain):
        alone = _nowhere() if host.root.live else host
        alone.known["domains"] = (_domain(domain),)
        return alone, frozenset({"Domain"})
    named = tuple(each for each in host.domains if each.name == domain)
    if not named:
        names = ", ".join(sorted(each.name for each in host.domains)) or "none"
        raise click.ClickException(f"no domain {domain!r} here and no such file; domains: {names}")
    host.known["domains"] = named
    return host, frozenset({"Domain"})


def _is_file(domain: str) -> bool:
    return "/" in domain or domain.endswith(".xml") or os.path.isfile(domain)


def _nowhere() -> Host:
    from vmtune.root.nowhere import nowhere

    return Host(nowhere())


def _given(path: str) -> bytes:
    """A file that the user named."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not S_ISREG(os.fstat(handle).st_mode):
                raise click.ClickException(f"{path}: is no regular file")
            data = file.read(INPUT_LIMIT + 1)
    except OSError as error:
        raise click.ClickException(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(data) > INPUT_LIMIT:
        raise click.ClickException(f"{path}: larger than {INPUT_LIMIT >> 20} MiB")
    return data


def _domain(path: str) -> object:
    from vmtune.host.domain import BadDomain, from_file

    try:
        return from_file(_given(path), path)
    except BadDomain as error:
        raise click.ClickException(str(error)) from None


def _vmx(path: str):  # type: ignore[no-untyped-def]
    from vmtune.host.vmx import VmxError, parse

    try:
        return parse(_given(path), path)
    except VmxError as error:
        raise click.ClickException(str(error)) from None
