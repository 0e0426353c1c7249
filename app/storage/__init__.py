"""Files of tenants, as bytes that were encrypted by the caller: in a local folder, or in an S3-compatible store."""

from pathlib import Path

from app.errors import ConfigurationError
from app.settings import S3Settings
from app.storage.base import Storage, StorageRefused, StorageUnavailable
from app.storage.local import LocalStorage
from app.storage.s3 import S3Storage

__all__ = ["LocalStorage", "S3Storage", "Storage", "StorageRefused", "StorageUnavailable", "make_storage"]


def make_storage(s3: S3Settings, folder: Path) -> Storage:
    """The store that the settings name: the S3 bucket, or `folder` without one; connects to nothing yet.

    Raises ConfigurationError for a bucket without keys: they are never looked for in AWS's own places.
    """
    if s3.bucket is None:
        return LocalStorage(folder)
    if s3.access_key_id is None or s3.secret_access_key is None:
        raise ConfigurationError("JOBX_S3__BUCKET needs JOBX_S3__ACCESS_KEY_ID and JOBX_S3__SECRET_ACCESS_KEY.")
    return S3Storage(
        s3.bucket,
        endpoint_url=None if s3.endpoint_url is None else str(s3.endpoint_url).rstrip("/"),
        region=s3.region,
        access_key_id=s3.access_key_id.get_secret_value(),
        secret_access_key=s3.secret_access_key.get_secret_value(),
    )
