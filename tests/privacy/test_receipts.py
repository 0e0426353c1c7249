"""Promise 3: a receipt cannot be forged, and names nobody."""

import asyncio
import copy
import os
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from app.crypto import MasterKey, SealBroken
from app.models import Erasure, now
from app.privacy.proofkey import PLACE, NoProofKey, ProofKey, ensure, find, rewrap
from app.privacy.receipts import BadReceipt, make_receipt, public_key, tombstone, verify
from app.privacy_cli import privacy
from app.storage.local import LocalStorage

PROOF = ProofKey(os.urandom(32))


@pytest.fixture
def receipt():
    moment = now()
    erasure = Erasure(id=uuid4(), scope="contact", counts={"tenant.messages": 7}, revocation=None)
    erasure.created_at, erasure.target_id, erasure.tenant_id = moment, uuid4(), uuid4()
    made = make_receipt(PROOF, erasure, moment)
    assert str(erasure.target_id) not in str(made)
    assert str(erasure.tenant_id) not in str(made)
    # As it is after the database and JSON.
    return orjson.loads(orjson.dumps(made))


def test_a_receipt_is_checked_with_the_public_key(receipt):
    verify(receipt, public_key(PROOF))


@pytest.mark.parametrize("field", ["id", "scope", "requested_at", "finished_at", "erased", "remaining", "revocation"])
def test_a_changed_receipt_is_refused(receipt, field):
    forged = copy.deepcopy(receipt)
    forged[field] = {"tenant.messages": 8} if field == "erased" else "another"
    with pytest.raises(BadReceipt):
        verify(forged, public_key(PROOF))


def test_a_receipt_of_another_key_is_refused_whatever_it_says_of_itself(receipt):
    other = ProofKey(os.urandom(32))
    erasure = Erasure(id=uuid4(), scope="tenant", counts={}, created_at=now())
    forged = make_receipt(other, erasure, now()) | {"public_key": public_key(PROOF)}
    for wrong in (forged, receipt | {"signature": "x"}, receipt | {"signature": None}, {}, {"kind": receipt["kind"]}):
        with pytest.raises(BadReceipt):
            verify(wrong, public_key(PROOF))
    with pytest.raises(BadReceipt):
        verify(receipt, "not a key")


def test_a_tombstone_tells_nothing_without_the_key():
    row = uuid4()
    assert tombstone(PROOF, "contact", row) == tombstone(PROOF, "contact", row)
    others = {tombstone(PROOF, "conversation", row), tombstone(ProofKey(os.urandom(32)), "contact", row)}
    assert tombstone(PROOF, "contact", row) not in others


def test_the_command_tells_a_genuine_receipt(receipt, tmp_path, monkeypatch):
    monkeypatch.setenv("JOBX_DATA_DIR", str(tmp_path))
    master = MasterKey(os.urandom(32))
    monkeypatch.setenv("JOBX_MASTER_KEY", master.key.hex())
    storage = LocalStorage(tmp_path / "files")
    asyncio.run(storage.put(PLACE, PLACE, master.wrap(PROOF.key, PLACE)))
    file = tmp_path / "receipt.json"
    for content in (receipt, {"id": "x", "receipt": receipt}):
        file.write_bytes(orjson.dumps(content))
        told = CliRunner().invoke(privacy, ["verify-receipt", str(file)])
        assert (told.exit_code, "genuine" in told.output) == (0, True)
    key = CliRunner().invoke(privacy, ["receipt-key"]).output.strip()
    monkeypatch.setenv("JOBX_MASTER_KEY", os.urandom(32).hex())
    assert CliRunner().invoke(privacy, ["verify-receipt", str(file), "--public-key", key]).exit_code == 0
    assert CliRunner().invoke(privacy, ["verify-receipt", str(file)]).exit_code != 0
    file.write_text("no JSON")
    assert CliRunner().invoke(privacy, ["verify-receipt", str(file)]).exit_code != 0


async def test_the_key_stays_the_same_when_the_master_key_is_replaced(runtime, tmp_path):
    old, new = MasterKey(os.urandom(32)), MasterKey(os.urandom(32))
    storage = LocalStorage(tmp_path / "proof")
    await rewrap(storage, new)
    with pytest.raises(NoProofKey):
        await find(storage, new)
    first, second = await asyncio.gather(ensure(runtime.db, storage, old), ensure(runtime.db, storage, old))
    assert first == second

    await rewrap(storage, MasterKey(new.key, previous=old))

    assert await find(storage, new) == first
    with pytest.raises(SealBroken):
        await find(storage, old)
