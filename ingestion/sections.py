"""Building sections: blocks of text are collected under the heading path that is open."""

from collections.abc import Sequence
from dataclasses import replace

from ingestion.clean import clean, clean_line, clean_title
from ingestion.types import IngestionError, Limits, ParsedDocument, Section

_MAX_HEADING = 200
_MAX_WARNINGS = 50


class SectionBuilder:
    """Takes headings and blocks in reading order; raises IngestionError("too_long") past `limits.max_characters`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = limits.max_characters
        self._sections: list[Section] = []
        self._path: list[tuple[int, str]] = []
        self._text: list[str] = []
        self._tight = False
        self._bare_heading = False
        self._page: int | None = None
        self._warnings: list[str] = []

    @property
    def limits(self) -> Limits:
        """What a document may use that is to be included: as many characters as there is room for."""
        return replace(self._limits, max_characters=self._room)

    def warn(self, words: str) -> None:
        """Note what of the file was not read, in a sentence."""
        words = clean_line(words)
        if words not in self._warnings and len(self._warnings) < _MAX_WARNINGS:
            self._warnings.append(words)

    def page(self, number: int | None) -> None:
        """What follows is on page `number`; the heading path goes on."""
        if number != self._page:
            self._flush()
            self._page = number

    def heading(self, level: int, text: str) -> None:
        """Open a heading; the ones at `level` (1 is the top) and below end. An overlong heading is a block of text."""
        # Pages hang a link to itself on a heading, shown as one of these signs.
        text = clean_line(text).strip("§¶ ")
        if len(text) > _MAX_HEADING:
            self.block(text)
        elif text:
            self.close(level)
            self._path.append((level, text))
            self._bare_heading = True

    def close(self, level: int) -> None:
        """End the headings at `level` and below; what follows is under those above."""
        self._flush()
        if self._bare_heading and level <= self._path[-1][0]:
            self._add_bare_heading()
        self._path = [entry for entry in self._path if entry[0] < level]

    def block(self, text: str, *, tight: bool = False) -> None:
        """Add a paragraph; a `tight` one (a list item) follows another tight one without a blank line."""
        text = clean(text)
        if not text.strip():
            return
        self._spend(len(text))
        separator = "" if not self._text else "\n" if tight and self._tight else "\n\n"
        self._text.append(separator + text)
        self._tight = tight
        self._bare_heading = False

    def pair(self, questions: Sequence[str], answer: str) -> None:
        """Add a question, in all ways in which it is asked, and its answer as a section of its own."""
        self._flush()
        asked = "\n".join(clean_line(question) for question in questions)
        text = f"{asked}\n{clean(answer)}"
        heading = clean_line(questions[0])[:_MAX_HEADING].strip()
        self._spend(len(text) + len(asked) + len(heading))
        self._sections.append(Section(text, (heading,), self._page, asked))

    def include(self, document: ParsedDocument, heading: str) -> None:
        """Add another document, which the file holds, under a heading of its own at the top; pages are not kept.

        A question with its answer becomes plain text: who sends a file in a mail approves of no answers.
        """
        self.page(None)
        for section in document.sections:
            if not self._path or self._path[0] != (1, clean_line(heading)):
                self.heading(1, heading)
            self.close(2)
            for level, part in enumerate(section.heading, 2):
                self.heading(level, part)
            self.block(section.text)
        for words in document.warnings:
            self.warn(f"{heading}: {words}")

    def build(
        self, *, title: str | None, pages: int, empty: str = "The file holds no text.", language: str | None = None
    ) -> ParsedDocument:
        """The document; raises IngestionError("empty") with the words `empty` when there was no text."""
        sections = self.sections()
        if not sections:
            raise IngestionError("empty", empty)
        return ParsedDocument(clean_title(title), pages, sections, tuple(self._warnings), language)

    def sections(self) -> tuple[Section, ...]:
        """What was added so far, a heading that nothing follows included."""
        self._flush()
        if self._bare_heading:
            self._add_bare_heading()
        return tuple(self._sections)

    def _flush(self) -> None:
        if self._text:
            self._add("".join(self._text))
            self._text = []

    def _add_bare_heading(self) -> None:
        # A heading that nothing follows would be lost: no section would carry it in its path.
        self._add(self._path[-1][1])
        self._bare_heading = False

    def _add(self, text: str) -> None:
        heading = tuple(text for _, text in self._path)
        # Each section carries its path, so that many small ones under long headings are a lot of text too.
        self._spend(sum(map(len, heading)))
        self._sections.append(Section(text, heading, self._page))

    def _spend(self, characters: int) -> None:
        self._room -= characters
        if self._room < 0:
            raise IngestionError("too_long", "The file holds more text than one document may have.")
