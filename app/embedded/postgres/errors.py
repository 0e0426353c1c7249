"""Why the embedded PostgreSQL could not be used.

EmbeddedPostgresError
 ├── DataDirInUseError        another process owns the data directory
 ├── DataDirUnusableError     not writable, disk full, or not ours
 ├── IncompatibleClusterError made by another major version
 ├── PasswordMismatchError    the stored password is not the cluster's
 ├── StartFailedError         initdb or postgres ended, or was not ready in time
 └── UnsupportedHostError     this machine lacks something that the server needs
"""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL could not be used; the message says why and what to do."""


class DataDirInUseError(EmbeddedPostgresError):
    """Another process owns the data directory."""


class DataDirUnusableError(EmbeddedPostgresError):
    """The data directory cannot be written, its disk is full, or it holds something else."""


class IncompatibleClusterError(EmbeddedPostgresError):
    """The cluster was made by another major version of PostgreSQL."""


class PasswordMismatchError(EmbeddedPostgresError):
    """The stored password is not the one that the cluster knows."""


class StartFailedError(EmbeddedPostgresError):
    """PostgreSQL ended while starting, or was not ready in time."""


class UnsupportedHostError(EmbeddedPostgresError):
    """This machine lacks something that the embedded server needs."""
