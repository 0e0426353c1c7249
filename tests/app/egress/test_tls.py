"""TLS to a checked address still proves the name."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.egress import FetchFailed, FetchRefused
from app.egress.clients import tls
from tests.app.egress.sites import NAME, Site, answer, fetcher, redirect, site

PAGE = b"<p>Over TLS.</p>"


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue("Test authority", self.key.public_key(), ca=True)
        (folder / "ca.pem").write_bytes(self._pem(self.certificate))

    def server(self, name, days=1):
        """A server's TLS context with a certificate for `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self.folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(self._pem(self._issue(name, key.public_key(), days=days)) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def trusted(self):
        """The client's context, which trusts this authority."""
        context = tls()
        context.load_verify_locations(self.folder / "ca.pem")
        return context

    @staticmethod
    def _pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _issue(self, name, public_key, *, ca=False, days=1):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if ca else self.certificate.subject
        end = datetime.now(UTC) + timedelta(days=days)
        builder = (
            x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
            .not_valid_before(end - timedelta(days=3))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if ca:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


async def test_the_name_is_verified_and_sent_though_an_address_is_connected_to(authority):
    seen = []
    context = authority.server(NAME)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    async with site(answer(PAGE), context) as shop:
        page = await fetcher(certificates=authority.trusted()).fetch(shop.url(scheme="https"))
    assert (page.body, seen) == (PAGE, [NAME])


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
async def test_a_certificate_for_another_name_is_not_accepted(authority, name):
    async with site(answer(PAGE), authority.server(name)) as shop:
        error = await failed(fetcher(certificates=authority.trusted()), shop)
    assert (error.code, error.retryable, shop.requests) == ("bad_certificate", False, [])


async def test_an_expired_certificate_and_an_unknown_authority_are_not_accepted(authority):
    async with site(answer(PAGE), authority.server(NAME, days=-1)) as shop:
        assert (await failed(fetcher(certificates=authority.trusted()), shop)).code == "bad_certificate"
    async with site(answer(PAGE), authority.server(NAME)) as shop:
        assert (await failed(fetcher(), shop)).code == "bad_certificate"


async def test_old_tls_is_not_spoken(authority):
    context = authority.server(NAME)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with site(answer(PAGE), context) as shop:
        assert (await failed(fetcher(certificates=authority.trusted()), shop)).code == "unreachable"


async def test_a_site_without_tls_on_that_port_cannot_be_reached(authority):
    async def refuse(_reader, writer):
        writer.write(answer(b"", "400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        shop = Site(server.sockets[0].getsockname()[1])
        assert (await failed(fetcher(certificates=authority.trusted()), shop)).code == "unreachable"


async def test_a_handshake_that_hangs_is_given_up_and_its_connection_closed(authority):
    closed = asyncio.Event()

    async def hang(reader, writer):
        await reader.read()
        closed.set()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        shop = Site(server.sockets[0].getsockname()[1])
        error = await failed(fetcher(certificates=authority.trusted(), seconds=0.3), shop)
        await asyncio.wait_for(closed.wait(), 5)
    assert error.code == "timed_out"


async def test_a_redirect_from_https_to_http_is_not_followed(authority):
    async with site(answer(PAGE)) as plain, site(redirect(plain.url()), authority.server(NAME)) as shop:
        with pytest.raises(FetchRefused) as refused:
            await fetcher(certificates=authority.trusted()).fetch(shop.url(scheme="https"))
    assert (refused.value.code, plain.requests) == ("insecure_redirect", [])


async def test_a_redirect_from_http_to_https_is_followed(authority):
    async with site(answer(PAGE), authority.server(NAME)) as shop, site(redirect(shop.url(scheme="https"))) as plain:
        page = await fetcher(certificates=authority.trusted()).fetch(plain.url())
    assert page.body == PAGE


async def failed(pages, shop):
    with pytest.raises(FetchFailed) as caught:
        await pages.fetch(shop.url(scheme="https"))
    return caught.value
