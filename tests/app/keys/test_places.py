"""A ciphertext opens at its own place only: no other row, column, table, tenant or connection reads it."""

import os
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.crypto import Keyring, KeySet, MasterKey, SealBroken, current_keyring, place, use_keyring
from app.documents.service import opened_file, sealed_file
from app.models import Connection, ConnectionScoped, sealed_models

PLACES = [(model, column) for model in sealed_models() for column in model.sealed_columns()]
CONNECTIONS = UUID(int=1), UUID(int=2)


def _ring(generation=0):
    ring = Keyring(uuid4(), KeySet.new({0, generation}), generation)
    for connection_id in CONNECTIONS:
        ring.add_connection(connection_id)
    return ring


def _row(model, row_id, connection_id=CONNECTIONS[0]):
    """A row with that id; a connection is its own scope, so its id is a connection's."""
    if issubclass(model, Connection):
        return model(id=connection_id)
    scope = {"connection_id": connection_id} if issubclass(model, ConnectionScoped) else {}
    return model(id=row_id, **scope)


def _seal(row, column, text):
    """A value as its attribute would seal it."""
    return current_keyring().seal(row.key_scope(), text, row.place_of(column))


def _open(row, column, stored):
    return current_keyring().unseal(row.key_scope(), stored, row.place_of(column))


def test_there_are_places():
    assert len(PLACES) >= 25
    assert {model.__name__ for model, _ in PLACES} >= {"Message", "Connection", "DocumentChunk", "Turn", "Profile"}


@pytest.mark.parametrize("generation", [0, 3])
@pytest.mark.parametrize(("model", "column"), PLACES)
@settings(max_examples=8)
@given(text=st.binary(max_size=60))
def test_a_value_opens_nowhere_else(model, column, generation, text):
    row_id = uuid4()
    with use_keyring(_ring(generation)):
        home = _row(model, row_id)
        stored = _seal(home, column, text)
        assert _open(home, column, stored) == text
        elsewhere = [(_row(other, row_id), name) for other, name in PLACES if (other, name) != (model, column)]
        elsewhere.append((_row(model, uuid4(), CONNECTIONS[1]), column))
        if model is not Connection:
            elsewhere.append((_row(model, uuid4()), column))
        if home.key_scope() is not None:
            elsewhere.append((_row(model, row_id, CONNECTIONS[1]), column))
        for row, name in elsewhere:
            with pytest.raises(SealBroken):
                _open(row, name, stored)
    with use_keyring(_ring(generation)), pytest.raises(SealBroken):
        # The same ids, of another tenant.
        _open(_row(model, row_id), column, stored)


@pytest.mark.parametrize(("model", "column"), PLACES)
def test_an_attribute_seals_and_opens_by_its_place(model, column):
    """The attribute of the product, and not only the function under it."""
    with use_keyring(_ring()):
        row, other = _row(model, uuid4()), _row(model, uuid4(), CONNECTIONS[1])
        attribute = next(
            name
            for cls in model.__mro__
            for name, value in vars(cls).items()
            if getattr(value, "_column", "") == column
        )
        sample = [] if attribute == "allowed_urls" else {} if attribute in ("record", "credentials") else "text"
        sample = ["text"] if attribute == "labels" else sample
        sample = sample.encode() if attribute == "body" else sample
        setattr(row, attribute, sample)
        assert getattr(row, attribute) == sample
        setattr(other, column, getattr(row, column))
        with pytest.raises(SealBroken):
            getattr(other, attribute)


def test_a_file_opens_only_as_itself_and_with_its_tenant():
    mine, other = uuid4(), uuid4()
    with use_keyring(_ring()):
        stored = sealed_file(mine, b"text")
        assert opened_file(mine, stored) == b"text"
        with pytest.raises(SealBroken):
            opened_file(other, stored)
    with use_keyring(_ring()), pytest.raises(SealBroken):
        opened_file(mine, stored)


def test_wrapped_keys_open_only_for_their_owner():
    master, mine, other = MasterKey(os.urandom(32)), uuid4(), uuid4()
    wrapped = master.wrap(os.urandom(32), mine)
    for key, owner in ((master, other), (MasterKey(os.urandom(32)), mine)):
        with pytest.raises(SealBroken):
            key.unwrap(wrapped, owner)
    ring = _ring()
    connection = ring.wrap_connection(CONNECTIONS[0])
    for holder, owner in ((ring, CONNECTIONS[1]), (_ring(), CONNECTIONS[0])):
        with pytest.raises(SealBroken):
            holder.open_connection(owner, connection)


def _later(ring, steps):
    for _ in range(steps):
        following = ring.with_next()
        ring = following.with_active(following.next_generation()).retired()
    return ring


@settings(max_examples=20)
@given(steps=st.integers(0, 3), pending=st.booleans())
def test_a_keyring_is_read_as_it_was_stored(steps, pending):
    ring = _later(_ring(), steps)
    ring = ring.with_next() if pending else ring
    connections = {one: ring.wrap_connection(one) for one in CONNECTIONS} | {
        UUID(int=3): ring.add_connection(UUID(int=3))
    }
    read = Keyring.read(ring.tenant_id, ring.stored())
    for connection_id, wrapped in connections.items():
        read.open_connection(connection_id, wrapped)
    assert (read.active, read.index_key(), read.tenant.keys) == (ring.active, ring.index_key(), ring.tenant.keys)
    for scope in (None, *connections):
        assert read.unseal(scope, ring.seal(scope, b"x", b"y"), b"y") == b"x"
        assert read.lookup("a", "b", scope) == ring.lookup("a", "b", scope)
    if steps == 0 and not pending:
        # As an older release stores and reads it.
        assert len(ring.stored()) == 32


def test_new_generations_change_no_look_up_and_the_old_keys_go():
    ring = _ring()
    before = (ring.lookup("a", "b"), ring.lookup("a", "b", CONNECTIONS[0]), ring.index_key())
    old = {scope: ring.seal(scope, b"old", place("t", "c", UUID(int=9))) for scope in (None, *CONNECTIONS)}
    for expected in (*range(1, 256), 1, 2):
        ring = ring.with_next()
        assert ring.active != expected
        ring = ring.with_active(ring.next_generation()).retired()
        assert ring.active == expected
        assert set(ring.tenant.keys) == {expected}
    assert before == (ring.lookup("a", "b"), ring.lookup("a", "b", CONNECTIONS[0]), ring.index_key())
    for scope, stored in old.items():
        with pytest.raises(SealBroken, match="gone"):
            ring.unseal(scope, stored, place("t", "c", UUID(int=9)))
