import pytest

from graphs.support.topics import mentioned


@pytest.mark.parametrize(
    ("message", "topics", "found"),
    [
        ("I am pregnant, may I use it?", ["pregnant"], "pregnant"),
        ("My lawyers will take legal actions.", ["legal action"], "legal action"),
        ("My lawyer calls. Take action!", ["legal action"], None),
        ("The legal name is on it. Any action needed?", ["legal action"], None),
        ("Ich hatte eine allergische Reaktion darauf", ["allergische Reaktionen"], "allergische Reaktionen"),
        ("У меня аллергия на шерсть", ["аллергию"], "аллергию"),
        ("Where is my parcel?", ["lawsuit", "refund"], None),
        ("Where is my REFUND?", ["lawsuit", "refund"], "refund"),
        ("anything", [], None),
        ("", ["refund"], None),
        ("the and of", ["the of"], None),
    ],
)
def test_a_topic_is_all_its_words_in_one_sentence(message: str, topics: list[str], found: str | None) -> None:
    assert mentioned(message, topics) == found
