"""moto's S3 as a real HTTP server on loopback."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from app.storage import S3Storage

KEYS = {"access_key_id": "AKIAJOBXTESTKEY", "secret_access_key": "secret-canary-of-the-store"}


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """The address of a running store."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_bucket(endpoint: str, *, versioned: bool = False) -> str:
    """A bucket of its own, as its owner would make it."""
    name = f"jobx-{uuid4().hex}"
    s3 = owner(endpoint)
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def owner(endpoint: str):
    """The bucket owner's own client."""
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["secret_access_key"],
    )


def storage(endpoint: str, bucket: str, **other: str) -> S3Storage:
    """Our store on a bucket."""
    return S3Storage(bucket, endpoint_url=endpoint, region="us-east-1", **(KEYS | other))


@contextlib.contextmanager
def answering(
    status: int, body: bytes, content_type: str = "application/xml", headers: Mapping[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every request one answer; its address, and the headers and lines of what came."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append(f"{self.requestline}\n{self.headers}")
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """One store for the test process."""
    with moto_server() as endpoint:
        yield endpoint
