"""Splitting a document into chunks that fit the embedding model, and what of a chunk is embedded."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ingestion.types import Chunk, ParsedDocument, Section

Tokenizer = Callable[[str], Sequence[object]]
Size = Callable[[str], int]

# Ends of sentences: punctuation before a space, CJK punctuation, and the end of a line.
_SENTENCE = re.compile(r".+?(?:[.!?…][\"'”’)\]]*(?=\s)|[。！？；]+[”’」』）]*|\n+|\Z)\s*", re.DOTALL)
# Ends of clauses, for sentences that are too long; the comma in a number or the dot in an address is none.
_CLAUSE = r"(?s).+?(?:[,;:](?=\s)|[，、；：]|\Z)\s*"
# Longer runs are cut before the splitter sees them: it would count the tokens of each character of a giant word.
_MAX_SENTENCE = 1000
# The splitter counts the tokens of all it is given at once; a book is given to it in parts.
_PART = 50_000
_MAX_TITLE = 80
_MAX_PATH = 80
# A title and a heading path of usual length, and the two marks that models put around a text.
_CONTEXT_TOKENS = 32
_MARKS = 2


def split(
    document: ParsedDocument, tokenizer: Tokenizer, chunk_tokens: int = 256, overlap: int = 32
) -> tuple[Chunk, ...]:
    """Chunks in order; embedded with title and heading, each is at most `chunk_tokens` of `tokenizer` long.

    A chunk stays within its page and heading, except that very small neighbouring sections of a page are one chunk. A
    question with its answer is one of its own, and only cut if it is too long for one.
    `tokenizer` maps a text to its tokens, without the marks at both ends. Neighbours share up to `overlap` tokens.
    """
    size = _sizer(tokenizer)
    chunks: list[Chunk] = []
    for section in _merge_small(document.sections, size, chunk_tokens // 8):
        for text in _texts(section, document.title, size, chunk_tokens, overlap):
            # Only a pair that is whole can be given as an answer.
            question = section.question if text == section.text else None
            chunks.append(Chunk(len(chunks), text, section.heading, section.page, question))
    return tuple(chunks)


def _texts(section: Section, title: str | None, size: Size, chunk_tokens: int, overlap: int) -> Iterable[str]:
    if section.question is not None and size(_context(title, ())) + size(section.text) + _MARKS <= chunk_tokens:
        return (section.text,)
    context = size(_context(title, section.heading)) + _MARKS
    room = max(chunk_tokens - max(context, _CONTEXT_TOKENS), chunk_tokens // 4)
    return _split_text(section.text, size, room, min(overlap, room // 4))


def embedding_text(title: str | None, chunk: Chunk) -> str:
    """What is embedded for a chunk: title, heading path, its line of context if it has one, and text, a line each.

    Long titles and paths are shortened.
    """
    # Of a question with its answer the heading is the question, which the text begins with.
    heading = () if chunk.text.startswith(" > ".join(chunk.heading)) else chunk.heading
    return "\n".join(part for part in (_context(title, heading), chunk.context, chunk.text) if part)


def _context(title: str | None, heading: tuple[str, ...]) -> str:
    """Title and path; of a long path the inner headings are kept, which say most about the text below them."""
    path = heading[1:] if heading and heading[0] == title else heading
    while len(path) > 1 and len(" > ".join(path)) > _MAX_PATH:
        path = path[1:]
    return "\n".join(part for part in ((title or "")[:_MAX_TITLE], " > ".join(path)[:_MAX_PATH]) if part)


def _sizer(tokenizer: Tokenizer) -> Size:
    """Tokens of a text, or a tenth of its characters if that is more: a giant word is one unknown token to a model."""
    return lambda text: max(len(tokenizer(text)), len(text) // 10)


def _merge_small(sections: Sequence[Section], size_of: Size, small: int) -> Iterator[Section]:
    """Join runs of sections below `small` tokens up to twice that; the headings of all but the first become text."""
    held: Section | None = None
    held_size = 0
    for section in sections:
        size = size_of(section.text) if len(section.text) < small * 10 and section.question is None else small
        if held is not None and held.page == section.page and size < small and held_size + size < 2 * small:
            held = replace(held, text=f"{held.text}\n\n{_with_heading(section, held)}")
            held_size = size_of(held.text)
            continue
        if held is not None:
            yield held
        held, held_size = section, size if size < small else 2 * small
    if held is not None:
        yield held


def _with_heading(section: Section, before: Section) -> str:
    own = section.heading[-1:] if section.heading != before.heading else ()
    return "\n".join(dict.fromkeys((*own, section.text)))


def _split_text(text: str, size: Size, room: int, overlap: int) -> Iterator[str]:
    from llama_index.core.node_parser import SentenceSplitter  # noqa: PLC0415

    splitter = SentenceSplitter(
        chunk_size=room,
        chunk_overlap=overlap,
        tokenizer=lambda piece: range(size(piece)),
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=_sentences,
        secondary_chunking_regex=_CLAUSE,
    )
    for part in _parts(text):
        for piece in splitter.split_text(part):
            yield from _fit(piece, size, room)


def _sentences(text: str) -> list[str]:
    """`text` cut after sentences, and overlong ones at a space or anywhere; nothing is lost."""
    return [piece for match in _SENTENCE.finditer(text) for piece in _cut(match[0])]


def _cut(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > _MAX_SENTENCE:
        end = start + _MAX_SENTENCE
        space = sentence.rfind(" ", start + _MAX_SENTENCE // 2, end)
        end = space + 1 if space > 0 else end
        yield sentence[start:end]
        start = end
    yield sentence[start:]


def _parts(text: str) -> Iterator[str]:
    part: list[str] = []
    size = 0
    for sentence in _sentences(text) if len(text) > _PART else [text]:
        if part and size + len(sentence) > _PART:
            yield "".join(part)
            part, size = [], 0
        part.append(sentence)
        size += len(sentence)
    yield "".join(part)


def _fit(text: str, size: Size, room: int) -> Iterator[str]:
    """`text`, or its halves if it has more tokens than the sum of its pieces that the splitter counted."""
    if not text[1:] or size(text) <= room:
        yield text
        return
    middle = text.rfind(" ", 1, len(text) // 2) + 1 or len(text) // 2
    for half in (text[:middle].strip(), text[middle:].strip()):
        yield from _fit(half, size, room)
