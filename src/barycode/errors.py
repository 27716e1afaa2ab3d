"""Every error Barycode raises.

One sentence each: it names the thing, says what was expected, and what to do. The command line prints that
sentence on one line and exits non-zero.
"""


class BarycodeError(Exception):
    """The root of every error that Barycode raises."""


class InvalidInputError(BarycodeError, ValueError):
    """An argument, tensor, picture or setting is not what the function accepts."""


class CorruptFileError(BarycodeError):
    """A file is damaged, truncated, hostile, or not a Barycode file at all."""


class UnsupportedFileError(BarycodeError):
    """A well-formed file needs a newer version, a model or a feature that this installation does not have."""


class LimitError(BarycodeError):
    """A file decodes to more than the `limit` that the caller has set; it may be sound."""


class MissingDataError(BarycodeError):
    """A data set, model or optional package is not there; the message says how to get it."""


class WorkerError(BarycodeError):
    """A worker of a corpus, or the cluster it runs on, could not go on; what is finished is kept."""


class ConvergenceError(BarycodeError):
    """A solver did not reach the tolerance that was asked for."""


class SecondDerivativeError(BarycodeError, RuntimeError):
    """A function that is differentiable once was differentiated twice."""
