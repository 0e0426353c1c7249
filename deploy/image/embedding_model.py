"""Exports the embedding model ahead: `python embedding_model.py FOLDER [MODEL]`, with FOLDER as JOBX_MODEL_DIR later.

MODEL is a hub name or a folder, as in JOBX_EMBEDDING_MODEL; without one it is the model that comes with Jobx.
"""

import sys
from pathlib import Path

from vectorstore.model_files import exported, find_model


def main(folder: str, model: str = "") -> None:
    """Export, so that what serves needs neither torch nor the original's weights."""
    exported(find_model(model or None), Path(folder), print)


if __name__ == "__main__":
    main(*sys.argv[1:])
