"""What an exported embedding model says of itself; reading it loads neither the model nor NumPy."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What serving needs to know; `max_tokens` counts the marks at both ends, prompts are put before each text."""

    dimension: int
    max_tokens: int
    inputs: tuple[str, ...]
    query_prompt: str
    document_prompt: str
    quantised: bool

    @staticmethod
    def read(folder: Path) -> "ModelCard":
        """The card of an exported model."""
        fields = json.loads((folder / "model.json").read_text())
        return ModelCard(**{**fields, "inputs": tuple(fields["inputs"])})

    def write(self, folder: Path) -> None:
        """Put the card into an exported model's folder."""
        (folder / "model.json").write_text(json.dumps(asdict(self)))
