"""Text recognition by the program tesseract, where it is installed.

It is given nothing of a file but dots that we drew, and runs apart: limited, and killed when its time is over.
"""

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ingestion.process import child_environment

_LIMITED = str(Path(__file__).with_name("limited.py"))
_MEMORY_MIB = 1536
_PAGE_SECONDS = 60
_LIST_SECONDS = 10
_MOST_LANGUAGES = 4
_MOST_CHARACTERS = 500_000
# Tesseract's names of languages (ISO 639-2) by ours.
_NAMES = {
    "ar": "ara", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa", "fi": "fin", "fr": "fra",
    "he": "heb", "hi": "hin", "hu": "hun", "it": "ita", "ja": "jpn", "ko": "kor", "nl": "nld", "no": "nor", "pl": "pol",
    "pt": "por", "ro": "ron", "ru": "rus", "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr", "vi": "vie",
    "zh": "chi_sim",
}  # fmt: skip


class RecognitionFailed(Exception):
    """A picture could not be read: the program failed, or took too long."""


class TextRecognition:
    """The program at `path` with the packs of `languages` that it has."""

    def __init__(self, path: str, languages: Sequence[str]) -> None:
        self._path = path
        self._languages = languages

    async def read(self, picture: bytes, *, seconds: float, language: str | None = None) -> str:
        """The text in a PGM picture, lines as they stand there; `language` (ISO 639-1) is the likeliest one.

        Raises RecognitionFailed.
        """
        packs = "+".join(_chosen(self._languages, language))
        return await _run(self._path, ["stdin", "stdout", "-l", packs], picture, min(seconds, _PAGE_SECONDS))


async def installed() -> TextRecognition | None:
    """The text recognition of this machine, if there is one that can read a language."""
    path = shutil.which("tesseract")
    if path is None:
        return None
    try:
        listed = await _run(path, ["--list-langs"], b"", _LIST_SECONDS)
    except RecognitionFailed:
        return None
    # The first line is a heading, and "osd" tells how a page is turned.
    languages = [line.strip() for line in listed.splitlines()[1:] if line.strip() not in ("", "osd")]
    return TextRecognition(path, languages) if languages else None


def _chosen(languages: Sequence[str], likeliest: str | None) -> list[str]:
    """The likeliest language and English; without a guess the first few that are installed."""
    name = _NAMES.get(likeliest or "")
    known = [pack for pack in dict.fromkeys((name, "eng")) if pack in languages]
    others = [pack for pack in languages if pack not in known] if name not in languages else []
    return [pack for pack in [*known, *others][:_MOST_LANGUAGES] if pack]


async def _run(path: str, arguments: Sequence[str], given: bytes, seconds: float) -> str:
    command = [sys.executable, "-I", "-S", _LIMITED, str(os.getpid()), str(_MEMORY_MIB), str(int(seconds) + 1)]
    environment = child_environment() | {"OMP_THREAD_LIMIT": "1"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, path, *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment
        )
    except OSError as error:
        raise RecognitionFailed from error
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate(given)
    except TimeoutError as error:
        raise RecognitionFailed from error
    finally:
        await _end(process)
    if process.returncode:
        raise RecognitionFailed
    return out.decode(errors="replace")[:_MOST_CHARACTERS]


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
