"""Whether a message is about something that the tenant wants people to answer."""

from collections.abc import Sequence

from graphs.support.text import content, language_of, sentences


def mentioned(message: str, topics: Sequence[str]) -> str | None:
    """The first topic all of whose words are in one sentence of the message, in any form that the language has of them.

    A topic is a word or a few in the customer's language: "pregnancy", "legal action".
    """
    if not topics:
        return None
    languages = {language_of(message), *(language_of(topic) for topic in topics)}
    for language in sorted(languages):
        said = [set(content(sentence, language)) for sentence in sentences(message)]
        for topic in topics:
            wanted = set(content(topic, language))
            if wanted and any(wanted <= stems for stems in said):
                return topic
    return None
