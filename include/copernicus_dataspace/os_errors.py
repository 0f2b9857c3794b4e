"""Errors of a disk or share: which of them may pass, by errno(3)."""

from __future__ import annotations

import errno
from typing import Final

NOT_ALLOWED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
IMPOSSIBLE_NAME: Final = (
    *(errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR),
)
NOT_SUPPORTED: Final = (errno.EFBIG, errno.ENOSYS, errno.EOPNOTSUPP)
DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

_LASTING: Final = (errno.ENXIO, errno.EBADF, *NOT_ALLOWED, *IMPOSSIBLE_NAME, *NOT_SUPPORTED)
_LASTING_KINDS: Final = (
    *(FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError),
    ValueError,  # what a file object cannot do is an OSError, too
)


def may_pass(error: OSError) -> bool:
    """Tell whether a fault of a disk or share may be over soon, such as EIO or a stale handle."""
    return not isinstance(error, _LASTING_KINDS) and error.errno not in _LASTING
