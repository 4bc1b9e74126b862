"""The third outcome of looking: neither a value nor absent."""

from __future__ import annotations

import errno

NOT_CAPTURED = "not in this capture"
"""Reason where a captured tree has a gap, and nothing tells whether the machine lacked the file."""

IS_FOLDER = "is a folder"
_REASONS = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EFBIG: "larger than is believed of such a file",
    errno.EISDIR: IS_FOLDER,
    errno.EINVAL: "invalid argument",
    errno.EIO: "input/output error",
    errno.ELOOP: "too many links",
}


class Unreadable(Exception):
    """Nobody can say what a file holds: permission, time-out, nonsense, or it is not in this capture.

    Readers keep it in the value they make, in place of the attribute, and it is raised when that attribute is used.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"

    def again(self) -> Unreadable:
        """A fresh copy to raise: an exception that is raised twice keeps every traceback alive."""
        return Unreadable(self.path, self.reason)


def reason_of(error: OSError) -> str:
    """Why the system refused, in a few words."""
    return _REASONS.get(error.errno or 0) or (error.strerror or "cannot be read").lower()
