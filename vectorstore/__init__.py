"""Vectors in, nearest chunks out: the only code that talks to Qdrant."""

import os

# Read when the libraries load, so set before. onnxruntime reports its use and a device id to its maker by default, and
# tokenizers warns on standard error in every process forked after it worked in parallel.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
