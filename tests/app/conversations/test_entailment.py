"""A model of natural language inference by its setting: from a folder to the check of a reply."""

from base64 import b64encode

import pytest
from pydantic import SecretStr

from app.assembly import running
from app.conversations.answering import build_context
from app.documents.entailing import EntailmentModelUnavailable
from app.health import Readiness
from app.worker import BLUEPRINTS
from graphs.support.context import AgentProfile, preview_channel
from tests.conftest import MASTER_KEY
from tests.embedding_cache import CACHE
from tests.vectorstore.tiny_model import write_tiny_cross_encoder
from vectorstore.model_files import EmbeddingError

LABELS = ["contradiction", "entailment", "neutral"]
PAIRS = [
    ("You can return any item within 30 days.", "There are 30 days for it."),
    ("It is free.", "It costs £5."),
]


def entails_of(runtime):
    async def retrieve(_question):
        return []

    return build_context(runtime, AgentProfile("Fin"), retrieve, preview_channel()).entails


@pytest.fixture
def with_model(settings, address, embedder, tmp_path):
    # The embedding model as it was exported for all tests, and room for the other one.
    models = tmp_path / "models"
    models.mkdir()
    for folder in CACHE.iterdir():
        (models / folder.name).symlink_to(folder)
    changed = {
        "database_url": SecretStr(address.url),
        "master_key": SecretStr(b64encode(MASTER_KEY.key).decode()),
        "models": ("jobx/extractive",),
        "model_dir": models,
        "nli_model": str(write_tiny_cross_encoder(tmp_path / "tiny", LABELS)),
    }
    return settings.model_copy(update=changed)


async def test_the_model_of_the_setting_is_prepared_and_asked(with_model, address):
    said = []
    async with running(with_model, address, Readiness(), said.append, blueprints=BLUEPRINTS) as runtime:
        assert said == ["Preparing the NLI model tiny (once, about half a minute)"]
        probabilities = await entails_of(runtime)(PAIRS)
        assert probabilities == await runtime.entailment.probabilities(PAIRS)
        assert all(0 < probability < 1 for probability in probabilities)


async def test_without_the_setting_there_is_none(runtime):
    assert runtime.settings.nli_model is None
    assert entails_of(runtime) is None


async def test_a_model_that_cannot_be_loaded_is_no_silent_pass(runtime):
    class Broken:
        async def probabilities(self, _pairs):
            raise EmbeddingError("gone")

    runtime.entailment = Broken()
    with pytest.raises(EntailmentModelUnavailable):
        await entails_of(runtime)(PAIRS)


async def test_a_reply_is_checked_by_the_model_unless_it_quotes(tenant, run_jobs):
    class Counting:
        asked = 0

        async def probabilities(self, pairs):
            self.asked += len(pairs)
            return [0.0] * len(pairs)

    tenant.runtime.entailment = Counting()
    await tenant.add_text("Returns", "You can return any item within 30 days of delivery.")
    await run_jobs()
    told = await tenant.reply(await tenant.add_agent(), "How many days do I have to return an item?")
    assert (told["outcome"], tenant.runtime.entailment.asked) == ("replied", 0)
