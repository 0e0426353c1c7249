"""An S3-compatible store by botocore, in threads of its own.

botocore, because it is AWS's own client, its sockets are Python's (an audit hook sees them), and it was in the
project's set already. It is imported on first use, in a thread: 23 MB and 0.4 s that a process without files saves.
It is given its keys and told to look for nothing: no profile, environment, proxy or instance metadata.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from uuid import UUID, uuid4

from app.egress.allowed import Allowed, NotDeclaredError
from app.egress.destinations import FILES, bucket_origins, origin_of
from app.errors import ConfigurationError, NotFound
from app.storage.base import StorageRefused, StorageUnavailable

_CONNECTIONS = 8
_CONNECT_SECONDS = 5
_READ_SECONDS = 20
_ATTEMPTS = 3
_PING_SECONDS = 5
_CHECK_SECONDS = 15
_NOBODY = UUID(int=0)
_MISSING = {"NoSuchKey", "404", "NotFound"}
_LASTING = {
    "NoSuchBucket": "There is no bucket of that name.",
    "InvalidAccessKeyId": "The access key is not known there.",
    "SignatureDoesNotMatch": "The secret key is wrong.",
    "AccessDenied": "The keys may not put, get, list and delete objects and their versions there.",
    "PermanentRedirect": "The bucket is in another region, or at another endpoint.",
    "AuthorizationHeaderMalformed": "The bucket is in another region.",
    "IllegalLocationConstraintException": "The bucket is in another region.",
    "InvalidBucketName": "The bucket's name is not allowed.",
}
_UNKNOWN_QUESTION = {"NotImplemented", "MethodNotAllowed", "501", "405"}
_NOT_S3 = "What answers at JOBX_S3__ENDPOINT_URL is not an S3-compatible store."

T = TypeVar("T")


class S3Storage:
    """One object per file, named `<tenant>/<key>`, both in hexadecimal; holds eight connections at most."""

    def __init__(
        self, bucket: str, *, endpoint_url: str | None, region: str, access_key_id: str, secret_access_key: str
    ) -> None:
        self._bucket = bucket
        self._options: dict[str, Any] = {
            "region_name": region,
            "endpoint_url": endpoint_url,
            "aws_access_key_id": access_key_id,
            "aws_secret_access_key": secret_access_key,
        }
        self._allowed = Allowed(FILES, bucket_origins(bucket, endpoint_url, region))
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "s3")
        self._making = Lock()
        self._made: Any = None
        self._versioned: bool | None = None

    async def put(self, tenant_id: UUID, key: UUID, data: bytes) -> None:
        """Store a file."""
        await self._run(lambda s3: s3.put_object(Bucket=self._bucket, Key=_name(tenant_id, key), Body=data))

    async def get(self, tenant_id: UUID, key: UUID) -> bytes:
        """Read a file; raises NotFound."""
        return await self._run(
            lambda s3: bytes(s3.get_object(Bucket=self._bucket, Key=_name(tenant_id, key))["Body"].read())
        )

    async def delete(self, tenant_id: UUID, key: UUID) -> None:
        """Remove a file and its versions."""
        with suppress(NotFound):
            await self._run(lambda s3: self._delete(s3, _name(tenant_id, key)))

    async def delete_all(self, tenant_id: UUID) -> int:
        """Remove everything under a tenant's name, versions too."""
        return await self._run(lambda s3: self._delete_under(s3, f"{tenant_id.hex}/"))

    async def keys(self, tenant_id: UUID) -> list[UUID]:
        """The keys of a tenant's files."""
        prefix = f"{tenant_id.hex}/"
        names = await self._run(lambda s3: [found["Key"] for found in self._listed(s3, prefix)])
        return [UUID(hex=name.removeprefix(prefix)) for name in names]

    async def check(self) -> None:
        """Write, read, list and remove a file; raises ConfigurationError that names what is wrong."""
        key = uuid4()
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self.put(_NOBODY, key, b"check")
                if await self.get(_NOBODY, key) != b"check":
                    raise StorageRefused(_NOT_S3)
                await self.keys(_NOBODY)
                # By its own key: other processes start at the same time.
                await self.delete(_NOBODY, key)
        except (StorageRefused, NotFound) as error:
            raise ConfigurationError(f"The file store of JOBX_S3 cannot be used: {error.message}") from None
        except TimeoutError:
            raise StorageUnavailable("The file store does not answer at JOBX_S3__ENDPOINT_URL.") from None

    async def ping(self) -> None:
        """Raise StorageUnavailable when the store does not answer, or refuses us, within five seconds."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self._run(lambda s3: s3.head_bucket(Bucket=self._bucket))
        except (TimeoutError, NotFound):
            raise StorageUnavailable from None

    async def close(self) -> None:
        """Close the connections; what is under way ends first, in its thread."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._made is not None:
            self._made.close()

    async def _run(self, call: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._call, call))

    def _call(self, call: Callable[[Any], T]) -> T:
        try:
            with self._making:
                self._made = self._made or _client(self._options, self._allowed)
            return call(self._made)
        except NotDeclaredError as error:
            raise StorageRefused(str(error)) from None
        except Exception as error:
            raise _explained(error) from None

    def _delete(self, s3: Any, name: str) -> None:
        if self._keeps_versions(s3):
            self._delete_under(s3, name)
        else:
            s3.delete_object(Bucket=self._bucket, Key=name)

    def _delete_under(self, s3: Any, prefix: str) -> int:
        """One by one: some stores refuse the bulk request without a Content-MD5, others with a newer checksum."""
        # The whole list first: not every store goes on behind an object that was deleted meanwhile.
        doomed = list(self._listed(s3, prefix, versions=self._keeps_versions(s3)))
        for found in doomed:
            which = {"VersionId": found["VersionId"]} if "VersionId" in found else {}
            s3.delete_object(Bucket=self._bucket, Key=found["Key"], **which)
        return len(doomed)

    def _keeps_versions(self, s3: Any) -> bool:
        """Whether deleting leaves the old bytes there. A store that does not know the question keeps no versions."""
        if self._versioned is None:
            try:
                self._versioned = "Status" in s3.get_bucket_versioning(Bucket=self._bucket)
            except s3.exceptions.ClientError as error:
                if _code(error) not in _UNKNOWN_QUESTION:
                    raise
                self._versioned = False
        return self._versioned

    def _listed(self, s3: Any, prefix: str, *, versions: bool = False) -> Iterator[dict[str, str]]:
        listing = "list_object_versions" if versions else "list_objects_v2"
        for page in s3.get_paginator(listing).paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Contents", ())
            yield from page.get("Versions", ())
            yield from page.get("DeleteMarkers", ())


def _client(options: dict[str, Any], allowed: Allowed) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - see the module's docstring
    from botocore.session import Session  # noqa: PLC0415

    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in Session.SESSION_VARIABLES.items()
        # An operator with a certificate authority of his own names it there.
        if name != "ca_bundle"
    }
    nowhere = (None, None, os.devnull, None)
    session = Session(session_vars=variables | {"config_file": nowhere, "credentials_file": nowhere})
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        proxies={},
        ignore_configured_endpoint_urls=True,
        # Other stores than AWS's seldom have a name in DNS for every bucket.
        s3={"addressing_style": "auto" if options["endpoint_url"] is None else "path"},
        # Several of them refuse the checksum trailers that are sent by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = session.create_client("s3", config=config, **options)
    # It takes no HTTP client, but asks before each request; a store may send it on to another region's host.
    client.meta.events.register_last("before-send.s3", lambda request, **_: allowed.check(*origin_of(request.url)))
    return client


def _name(tenant_id: UUID, key: UUID) -> str:
    return f"{tenant_id.hex}/{key.hex}"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: Exception) -> Exception:
    """The error for the caller; never the store's own words, which may quote keys and signatures."""
    from botocore import exceptions, parsers  # noqa: PLC0415

    if isinstance(error, parsers.ResponseParserError):
        return StorageRefused(_NOT_S3)
    if isinstance(error, exceptions.ParamValidationError):
        return StorageRefused(_LASTING["InvalidBucketName"])
    if isinstance(error, RecursionError):
        # botocore follows a bucket to its region as often as it is sent there.
        return StorageRefused(_LASTING["PermanentRedirect"])
    if isinstance(error, exceptions.ClientError):
        return _refused(_code(error))
    if isinstance(error, exceptions.BotoCoreError):
        return StorageUnavailable(f"The file store does not answer ({type(error).__name__}).")
    return error


def _refused(code: str) -> Exception:
    if code in _MISSING:
        return NotFound("The stored file is gone.")
    if code in _LASTING:
        return StorageRefused(_LASTING[code])
    shown = code if re.fullmatch(r"[A-Za-z0-9]{1,60}", code) else "unknown"
    return StorageUnavailable(f"The file store refused ({shown}).")
