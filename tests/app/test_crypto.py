from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.crypto import (
    Keyring,
    KeySet,
    MasterKey,
    NoKeyring,
    SealBroken,
    current_keyring,
    place,
    seal,
    unseal,
    use_keyring,
)
from app.errors import ConfigurationError

KEY = bytes(range(32))


def _ring(key):
    return Keyring(uuid4(), KeySet.first(key))


@given(st.binary(max_size=2000), st.binary(max_size=100))
def test_what_is_sealed_opens_again(plaintext, aad):
    assert unseal(KEY, seal(KEY, plaintext, aad), aad) == plaintext


@given(st.binary(max_size=200), st.data())
def test_a_changed_byte_does_not_open(plaintext, data):
    sealed = bytearray(seal(KEY, plaintext, b"here"))
    where = data.draw(st.integers(0, len(sealed) - 1))
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        unseal(KEY, bytes(sealed), b"here")


def test_a_value_moved_to_another_row_does_not_open():
    row, other = uuid4(), uuid4()
    sealed = seal(KEY, b"text", place("tenant.messages", "text", row))
    with pytest.raises(SealBroken):
        unseal(KEY, sealed, place("tenant.messages", "text", other))


@pytest.mark.parametrize("stored", [b"", b"\x01", b"\x01" + b"x" * 5, b"\x02" + b"x" * 40])
def test_rubbish_is_a_clear_error(stored):
    with pytest.raises(SealBroken):
        unseal(KEY, stored, b"")


def test_two_seals_of_one_text_differ():
    assert seal(KEY, b"text", b"") != seal(KEY, b"text", b"")


@pytest.mark.parametrize("text", ["", "short", "0" * 64, "AAAA" * 11, "not base64 at all, but quite long !!!!!!!!!!"])
def test_weak_or_malformed_master_keys_are_refused(text):
    with pytest.raises(ConfigurationError, match="JOBX_MASTER_KEY"):
        MasterKey.from_text(text)


def test_a_master_key_is_read_as_hex_and_as_both_base64_alphabets():
    key = bytes([251, 255, 254] * 10 + [1, 2]) + b""
    key = bytes(range(200, 232))
    assert MasterKey.from_text(key.hex()).key == key
    assert MasterKey.from_text("yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=").key == key
    assert MasterKey.from_text("yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc").key == key


def test_a_connection_key_opens_only_under_its_tenant_and_id():
    connection = uuid4()
    wrapped = _ring(KEY).add_connection(connection)
    with pytest.raises(SealBroken):
        _ring(KEY[::-1]).open_connection(connection, wrapped)
    with pytest.raises(SealBroken):
        _ring(KEY).open_connection(uuid4(), wrapped)


def test_a_connection_whose_key_is_gone_cannot_be_read():
    with pytest.raises(SealBroken, match="gone"):
        _ring(KEY).seal(uuid4(), b"text", b"here")


def test_look_ups_differ_by_tenant_connection_and_purpose():
    connection = uuid4()
    one, two = _ring(KEY), _ring(KEY[::-1])
    one.add_connection(connection)
    hashes = {
        one.lookup("a", "x"),
        one.lookup("b", "x"),
        one.lookup("a", "y"),
        one.lookup("a", "x", connection),
        two.lookup("a", "x"),
    }
    assert len(hashes) == 5


def test_outside_a_tenants_transaction_there_is_no_keyring():
    with pytest.raises(NoKeyring):
        current_keyring()
    with use_keyring(_ring(KEY)) as keyring:
        assert current_keyring() is keyring
    with pytest.raises(NoKeyring):
        current_keyring()


def test_webhook_secrets_fit_telegram_and_differ():
    master = MasterKey(KEY)
    secrets = {master.webhook_secret(uuid4()) for _ in range(3)}
    assert len(secrets) == 3
    assert all(secret.isalnum() and 1 <= len(secret) <= 256 for secret in secrets)
