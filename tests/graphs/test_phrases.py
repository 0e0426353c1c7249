import pytest

from graphs.support.phrases import asks_for_person, small_talk


@pytest.mark.parametrize(
    "message",
    [
        "hi",
        "Hello there!",
        "good morning",
        "Guten Tag",
        "buenas tardes",
        "Bonjour",
        "buongiorno!",
        "Olá",
        "goedemorgen",
        "Здравствуйте",
        "привіт",
        "dzień dobry",
        "merhaba",
        "👋",
    ],
)
def test_a_greeting_is_known(message: str) -> None:
    assert small_talk(message) == "greeting"


@pytest.mark.parametrize(
    "message",
    [
        "thanks!",
        "ok",
        "Great!",
        "👍",
        "Thank you so much",
        "ok thanks",
        "vielen Dank",
        "muchas gracias",
        "merci beaucoup",
        "grazie mille",
        "obrigada",
        "dank je wel",
        "спасибо большое",
        "дякую",
        "dziękuję bardzo",
        "teşekkür ederim",
    ],
)
def test_thanks_are_known(message: str) -> None:
    assert small_talk(message) == "thanks"


@pytest.mark.parametrize(
    "message",
    [
        "hi, how long do I have?",
        "hello?",
        "?",
        "",
        "very good",
        "thanks but where is my order",
        "hey you",
        "Hello, my parcel is broken",
        "no thanks, I want my money back now please",
    ],
)
def test_a_message_that_wants_something_is_no_small_talk(message: str) -> None:
    assert small_talk(message) is None


@pytest.mark.parametrize(
    "message",
    [
        "I want to talk to a human",
        "can I speak to a real person please?",
        "human",
        "Agent please!",
        "get me an operator",
        "connect me to a human agent now",
        "Ich möchte mit einem Mitarbeiter sprechen",
        "Quiero hablar con una persona",
        "Je veux parler à un conseiller",
        "vorrei parlare con un operatore",
        "quero falar com um atendente",
        "Ik wil met een medewerker praten",
        "Позовите оператора",
        "хочу поговорити з людиною",
        "chcę porozmawiać z konsultantem",
        "gerçek bir insan ile görüşmek istiyorum",
    ],
)
def test_a_wish_for_a_person_is_known(message: str) -> None:
    assert asks_for_person(message)


@pytest.mark.parametrize(
    "message",
    [
        "Do you need a person at home for delivery?",
        "I need a person-sized box",
        "the sales person told me to write",
        "How can I speak to someone in German?",
        "Can I return this in person?",
        "What is human hair made of?",
    ],
)
def test_a_person_in_passing_is_no_wish(message: str) -> None:
    assert not asks_for_person(message)
