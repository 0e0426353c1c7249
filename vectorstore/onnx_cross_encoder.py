"""An exported cross-encoder as it is served: onnxruntime and tokenizers, without torch; imported on first use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from vectorstore.model_card import ModelCard
from vectorstore.onnx_model import FIELDS, options
from vectorstore.tokens import sound


class OnnxCrossEncoder:
    """A loaded cross-encoder, safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._card = ModelCard.read(folder)
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options(), providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self._card.max_tokens)
        self._tokenizer.no_padding()

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair, 0..1, in order; of what is too long together, the longer text is cut."""
        return [self._score(*pair) for pair in pairs]

    def _score(self, one: str, other: str) -> float:
        # One at a time, as texts are embedded: nothing is padded.
        encoding = self._tokenizer.encode_batch([(sound(one), sound(other))])[0]
        feed = {name: np.array([getattr(encoding, FIELDS[name])]) for name in self._card.inputs}
        return float(self._session.run(None, feed)[0][0])
