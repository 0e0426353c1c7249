"""The proof of egress on real processes, in its short form: nothing undeclared, and what is undeclared is found."""

import httpx

from proof.egress import EXPECTED, watch
from tests.e2e.around import relay


def test_all_journeys_go_to_declared_destinations_and_a_worker_that_does_not_is_found():
    strays: dict[str, int] = {}

    def stray(site, around):
        """A worker with servers at other ports than the site's settings declare, reached in three ways: a library's
        sockets in Python, uvloop's, and libpq's."""
        urls = {name: httpx.URL(around.settings[name]) for name in WAYS}
        with (
            relay(_place(urls["JOBX_S3__ENDPOINT_URL"])) as python,
            relay(_place(urls["JOBX_QDRANT_URL"])) as uvloop,
            relay(_place(urls["JOBX_DATABASE_URL"])) as native,
        ):
            strays.update(python=python.port, uvloop=uvloop.port, native=native.port)
            ports = dict(zip(WAYS, strays.values(), strict=True))
            worker = site.start("worker", **{name: str(urls[name].copy_with(port=ports[name])) for name in WAYS})
            worker.ready()
            worker.end()

    report = watch(full=False, more=stray)
    found = {line.rpartition(":")[2]: line for line in report.undeclared}
    assert set(found) == {str(port) for port in strays.values()}, report.as_json()
    assert found[str(strays["python"])].startswith("socket.connect")
    assert found[str(strays["uvloop"])].startswith("uvloop.create_connection")
    assert found[str(strays["native"])].startswith("kernel.tcp")
    assert report.missing == set()
    assert report.by_destination.keys() == EXPECTED
    assert report.unhooked == 0
    assert report.hooked >= 5


WAYS = ("JOBX_S3__ENDPOINT_URL", "JOBX_QDRANT_URL", "JOBX_DATABASE_URL")


def _place(url: httpx.URL) -> tuple[str, int]:
    assert url.port is not None
    return url.host, url.port
