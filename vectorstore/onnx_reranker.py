"""An exported cross-encoder as it is served: onnxruntime and tokenizers, without torch; imported on first use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from vectorstore.model_card import ModelCard
from vectorstore.onnx_model import FIELDS, options
from vectorstore.tokens import sound


class OnnxReranker:
    """A loaded cross-encoder, safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._card = ModelCard.read(folder)
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options(), providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self._card.max_tokens)
        self._tokenizer.no_padding()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the question, 0..1; of what is too long together, the longer one is cut."""
        return [self._score(question, text) for text in texts]

    def _score(self, question: str, text: str) -> float:
        # One at a time, as texts are embedded: nothing is padded.
        encoding = self._tokenizer.encode_batch([(sound(question), sound(text))])[0]
        feed = {name: np.array([getattr(encoding, FIELDS[name])]) for name in self._card.inputs}
        return float(self._session.run(None, feed)[0][0])
