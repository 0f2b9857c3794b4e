"""Classifies errors of a disk or share as temporary or permanent, by errno(3)."""

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
    ValueError,  # io.UnsupportedOperation is both
)


def may_pass(error: OSError) -> bool:
    """Tell whether an error of a disk or share may be temporary, such as EIO or a stale handle."""
    return not isinstance(error, _LASTING_KINDS) and error.errno not in _LASTING
