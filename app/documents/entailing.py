"""Whether passages entail what a reply says, with an error that a caller can be told."""

from collections.abc import Sequence

from app.errors import Unavailable
from graphs.support.context import Entails
from vectorstore.entailment import Entailment
from vectorstore.model_files import EmbeddingError


class EntailmentModelUnavailable(Unavailable):
    """The model that compares replies with passages cannot be loaded right now; try again."""

    code = "entailment_unavailable"


def entailment_by(model: Entailment | None) -> Entails | None:
    """What asks a model of natural language inference (NLI), as the graph takes it; None without a model.

    It raises EntailmentModelUnavailable: a check that was asked for is not left out silently.
    """
    if model is None:
        return None

    async def entails(pairs: Sequence[tuple[str, str]]) -> list[float]:
        try:
            return await model.probabilities(pairs)
        except EmbeddingError as error:
            raise EntailmentModelUnavailable from error

    return entails
