"""What can go wrong, one class a reason. The message is the library's: what is wrong, where, and the way out."""

from __future__ import annotations


class Error(RuntimeError):
    """Base of all of them."""

    code = "runtime"


class UsageError(Error, ValueError):
    """The request makes no sense: an unknown site, options that contradict each other."""

    code = "usage"


class InputError(Error, ValueError):
    """A row that cannot be processed: too long, no tokens, an id outside of the vocabulary."""

    code = "input"


class ModelError(Error):
    """The model folder is refused: missing, corrupt, hostile or unsupported."""

    code = "model"


class ResourceError(Error):
    """Disk, memory or a limit ran out."""

    code = "resource"


class DamageError(Error):
    """Stored data is not what was written."""

    code = "damage"


class CancelledError(Error):
    """The work was asked to stop."""

    code = "cancelled"


BY_CODE: dict[str, type[Error]] = {
    kind.code: kind
    for kind in (Error, UsageError, InputError, ModelError, ResourceError, DamageError, CancelledError)
}
