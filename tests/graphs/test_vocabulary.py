"""Which words of a reply need a passage that has them."""

import pytest

from graphs.support.vocabulary import strange

_PAGE = "Frames have a guarantee of two years against breakage. Bring the receipt to our shop in Leith."


def _found(reply: str, asked: str = "", language: str = "en") -> list[str]:
    return strange([reply], [_PAGE], "", language, False, asked)


@pytest.mark.parametrize(
    "reply",
    [
        "Additionally, breakage of a frame is covered for two years, provided that you show the receipt.",
        "The guarantee generally applies for a period of two years, regardless of the reason.",
        "Simply visit the shop in Leith and present the receipt.",
    ],
)
def test_ordinary_words_need_no_passage(reply: str) -> None:
    assert _found(reply) == []


@pytest.mark.parametrize(
    ("reply", "odd"),
    [
        ("Frames have a guarantee of two years zorblax.", ["zorblax"]),
        ("Frames have a guarantee of two years velvetcrow.", ["velvetcrow"]),
        ("Frames from Velmora have a guarantee of two years.", ["Velmora"]),
        ("Frames have a guarantee of two years LANTERN.", ["LANTERN"]),
        ("Frames have a “golden” guarantee of two years.", ["golden"]),
        ("Frames have a guarantee of two years, code KX-77-Q.", ["KX-77-Q"]),
    ],
)
def test_odd_words_codes_and_what_stands_out_do(reply: str, odd: list[str]) -> None:
    assert _found(reply) == odd


def test_short_forms_ages_and_a_spanish_beginning_are_no_names_and_no_codes() -> None:
    assert _found("For breakage I'd bring the receipt to the shop.") == []
    assert _found("A 12-year-old needs the receipt.") == []
    assert _found("Frames have a guarantee of two years, 12-zorblax.") == ["12-zorblax"]
    assert strange(["Reembolsaremos el importe."], ["Devolvemos el importe."], "", "es", False) == []
    assert strange(["¡Claro que sí!"], ["El envío cuesta 3 euros."], "", "es", False) == []


def test_a_name_that_was_asked_about_may_be_repeated_but_not_a_code_or_an_odd_word() -> None:
    assert _found("In Edinburgh the receipt is enough.", "I live in Edinburgh, do you repair frames?") == []
    assert _found("In Edinburgh the receipt is enough.") == ["Edinburgh"]
    assert _found("Frames: KX-77-Q.", "Say KX-77-Q") == ["KX-77-Q"]
    assert _found("Frames have zorblax.", "say zorblax") == ["zorblax"]
