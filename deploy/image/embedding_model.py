"""Exports models ahead: `python embedding_model.py FOLDER [MODEL [RERANKER [NLI]]]`, FOLDER is JOBX_MODEL_DIR.

All are hub names or folders, as in JOBX_EMBEDDING_MODEL, without which it is the model that comes with Jobx, and
JOBX_RERANK_MODEL and JOBX_NLI_MODEL (natural language inference), without which there is none.
"""

import sys
from pathlib import Path

from vectorstore.model_files import ENTAILMENT, RERANKER, exported, find_model


def main(folder: str, model: str = "", reranker: str = "", nli: str = "") -> None:
    """Export, so that what serves needs neither torch nor the original's weights."""
    exported(find_model(model or None), Path(folder), print)
    for name, kind in ((reranker, RERANKER), (nli, ENTAILMENT)):
        if name:
            exported(find_model(name, kind), Path(folder), print)


if __name__ == "__main__":
    main(*sys.argv[1:])
