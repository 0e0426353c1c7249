"""Exports models ahead: `python embedding_model.py FOLDER [MODEL [RERANKER]]`, with FOLDER as JOBX_MODEL_DIR later.

Both are hub names or folders, as in JOBX_EMBEDDING_MODEL, without which it is the model that comes with Jobx, and
JOBX_RERANK_MODEL, without which there is none.
"""

import sys
from pathlib import Path

from vectorstore.model_files import RERANKER, exported, find_model


def main(folder: str, model: str = "", reranker: str = "") -> None:
    """Export, so that what serves needs neither torch nor the original's weights."""
    exported(find_model(model or None), Path(folder), print)
    if reranker:
        exported(find_model(reranker, RERANKER), Path(folder), print)


if __name__ == "__main__":
    main(*sys.argv[1:])
