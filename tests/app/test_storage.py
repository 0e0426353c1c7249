"""Both file stores keep one contract; the S3 one over HTTP, with the errors that real stores answer."""

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import HttpUrl

from app.errors import ConfigurationError, NotFound
from app.settings import S3Settings
from app.storage import LocalStorage, S3Storage, StorageRefused, StorageUnavailable, make_storage
from tests.fakes.s3 import KEYS, answering, make_bucket, owner, s3_endpoint, storage

__all__ = ["s3_endpoint"]
ROOT = Path(__file__).parents[2]
ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>AKIAJOBXTESTKEY wrote canary</Message></Error>"


@pytest.fixture(params=["local", "s3", "s3-versioned"])
async def store(request, tmp_path):
    if request.param == "local":
        made = LocalStorage(tmp_path / "files")
    else:
        endpoint = request.getfixturevalue("s3_endpoint")
        made = storage(endpoint, make_bucket(endpoint, versioned=request.param == "s3-versioned"))
    yield made
    await made.close()


async def test_what_was_put_is_got_whole(store):
    tenant = uuid4()
    for data in (b"", b"text", os.urandom(3_000_000)):
        key = uuid4()
        await store.put(tenant, key, data)
        assert await store.get(tenant, key) == data


async def test_a_second_put_replaces_the_first(store):
    tenant, key = uuid4(), uuid4()
    await store.put(tenant, key, b"first")
    await store.put(tenant, key, b"second")
    assert await store.get(tenant, key) == b"second"
    assert await store.keys(tenant) == [key]


async def test_a_missing_file_is_not_found_and_its_deletion_no_error(store):
    tenant, key = uuid4(), uuid4()
    with pytest.raises(NotFound):
        await store.get(tenant, key)
    await store.delete(tenant, key)
    await store.put(tenant, key, b"x")
    await store.delete(tenant, key)
    await store.delete(tenant, key)
    with pytest.raises(NotFound):
        await store.get(tenant, key)
    assert await store.keys(tenant) == []


async def test_a_tenants_files_are_listed_and_removed_and_no_others(store):
    one, two = uuid4(), uuid4()
    keys = {uuid4() for _ in range(5)}
    for key in keys:
        await store.put(one, key, b"x")
    other = uuid4()
    await store.put(two, other, b"y")
    assert set(await store.keys(one)) == keys
    assert await store.delete_all(one) == 5
    assert await store.delete_all(one) == 0
    assert await store.keys(one) == []
    assert await store.get(two, other) == b"y"


async def test_many_at_once(store):
    tenant = uuid4()
    files = {uuid4(): os.urandom(2000) for _ in range(40)}
    await asyncio.gather(*(store.put(tenant, key, data) for key, data in files.items()))
    assert await asyncio.gather(*(store.get(tenant, key) for key in files)) == list(files.values())


async def test_writers_of_one_key_leave_one_whole_file(store):
    tenant, key = uuid4(), uuid4()
    bodies = [bytes([n]) * 200_000 for n in range(8)]
    await asyncio.gather(*(store.put(tenant, key, body) for body in bodies))
    assert await store.get(tenant, key) in bodies
    assert await store.keys(tenant) == [key]


async def test_a_working_store_passes_its_check_and_is_left_as_it_was(store):
    await store.check()
    await store.ping()
    assert await store.keys(UUID(int=0)) == []


async def test_no_version_of_a_deleted_object_is_left(s3_endpoint):
    bucket = make_bucket(s3_endpoint, versioned=True)
    store = storage(s3_endpoint, bucket)
    tenant, first, second = uuid4(), uuid4(), uuid4()
    for key in (first, first, second):
        await store.put(tenant, key, b"personal")
    await store.delete(tenant, first)
    left = owner(s3_endpoint).list_object_versions(Bucket=bucket)
    assert {found["Key"] for found in left["Versions"]} == {f"{tenant.hex}/{second.hex}"}
    assert "DeleteMarkers" not in left
    await store.delete_all(tenant)
    assert "Versions" not in owner(s3_endpoint).list_object_versions(Bucket=bucket)
    await store.close()


async def test_more_files_than_one_page_of_a_listing(store, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    tenant, keys = uuid4(), {uuid4() for _ in range(8)}
    for key in keys:
        await store.put(tenant, key, b"x")
    assert set(await store.keys(tenant)) == keys
    assert await store.delete_all(tenant) == 8
    assert await store.keys(tenant) == []


async def _check_words(store):
    with pytest.raises((ConfigurationError, StorageUnavailable)) as caught:
        await store.check()
    await store.close()
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


async def test_a_missing_bucket_is_named(s3_endpoint):
    error = await _check_words(storage(s3_endpoint, "no-such-bucket"))
    assert isinstance(error, ConfigurationError)
    assert "There is no bucket" in error.message


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, b"InvalidAccessKeyId", "access key is not known"),
        (403, b"SignatureDoesNotMatch", "secret key is wrong"),
        (403, b"AccessDenied", "may not put"),
        (301, b"PermanentRedirect", "another region"),
        (400, b"AuthorizationHeaderMalformed", "another region"),
    ],
)
async def test_refusals_are_named_without_the_stores_own_words(status, code, words, caplog):
    caplog.set_level(logging.INFO)
    with answering(status, ERROR % code) as (endpoint, _):
        error = await _check_words(storage(endpoint, "bucket"))
    assert isinstance(error, ConfigurationError)
    assert words in error.message
    assert "canary" not in caplog.text


async def test_a_refusal_at_work_is_no_fault_of_the_caller():
    with answering(403, ERROR % b"AccessDenied") as (endpoint, _):
        store = storage(endpoint, "bucket")
        with pytest.raises(StorageRefused) as caught:
            await store.put(uuid4(), uuid4(), b"x")
        assert caught.value.status_code == 503
        await store.close()


async def test_another_kind_of_server_is_named():
    with answering(200, b"<html>Welcome</html>", "text/html") as (endpoint, _):
        error = await _check_words(storage(endpoint, "bucket"))
    assert isinstance(error, ConfigurationError)
    assert "not an S3-compatible store" in error.message


async def test_a_store_that_is_away_or_overloaded_is_unavailable():
    with answering(200, b"") as (endpoint, _):
        gone = endpoint
    for address in (gone, "http://store.invalid"):
        store = storage(address, "bucket")
        with pytest.raises(StorageUnavailable):
            await store.get(uuid4(), uuid4())
        with pytest.raises(StorageUnavailable):
            await store.ping()
        await store.close()
    with answering(503, ERROR % b"SlowDown") as (endpoint, seen):
        store = storage(endpoint, "bucket")
        with pytest.raises(StorageUnavailable, match="SlowDown"):
            await store.get(uuid4(), uuid4())
        assert len(seen) == 3
        await store.close()


async def test_requests_are_what_other_stores_understand():
    with answering(200, b"") as (endpoint, seen):
        store = storage(endpoint, "bucket")
        tenant, key = uuid4(), uuid4()
        await store.put(tenant, key, b"data")
        await store.close()
    (request,) = seen
    assert request.startswith(f"PUT /bucket/{tenant.hex}/{key.hex} HTTP")
    assert "checksum" not in request.lower()
    assert "aws-chunked" not in request.lower()
    assert KEYS["secret_access_key"] not in request


async def test_nothing_in_the_environment_redirects_the_client(monkeypatch, s3_endpoint):
    with answering(418, b"") as (elsewhere, seen):
        for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, elsewhere)
        monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
        monkeypatch.setenv("AWS_CONFIG_FILE", __file__)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        store = storage(s3_endpoint, make_bucket_directly(monkeypatch, s3_endpoint))
        await store.check()
        await store.close()
    assert seen == []


def make_bucket_directly(monkeypatch, endpoint):
    with monkeypatch.context() as clean:
        for name in ("HTTP_PROXY", "http_proxy", "AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SESSION_TOKEN"):
            clean.delenv(name)
        return make_bucket(endpoint)


def test_the_settings_choose_the_store(tmp_path):
    assert isinstance(make_storage(S3Settings(), tmp_path), LocalStorage)
    made = S3Settings(bucket="b", endpoint_url=HttpUrl("http://127.0.0.1:9/"), **KEYS)
    assert isinstance(make_storage(made, tmp_path), S3Storage)
    with pytest.raises(ConfigurationError, match="JOBX_S3__SECRET_ACCESS_KEY"):
        make_storage(S3Settings(bucket="b", access_key_id=KEYS["access_key_id"]), tmp_path)


def test_a_process_that_stores_nothing_does_not_load_the_library(tmp_path):
    script = (
        "import sys; from pathlib import Path; from app.settings import S3Settings; from app.storage import *;"
        "make_storage(S3Settings(bucket='b', access_key_id='a', secret_access_key='s'), Path('x'));"
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path):
    (tmp_path / "files").write_text("a file where the folder should be")
    store = LocalStorage(tmp_path / "files")
    with pytest.raises(StorageUnavailable):
        await store.put(uuid4(), uuid4(), b"x")
    with pytest.raises(StorageUnavailable):
        await LocalStorage(tmp_path / "gone" / "files").ping()


async def test_a_crash_in_the_middle_of_a_write_leaves_no_file(tmp_path, monkeypatch):
    store, tenant = LocalStorage(tmp_path), uuid4()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        await store.put(tenant, uuid4(), b"x")
    assert await store.keys(tenant) == []
    assert list(store.folder(tenant).iterdir()) == []
