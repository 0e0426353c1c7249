import pytest

from app.evaluations.masking import masked_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to anna.berg+shop@mail.example.co.uk, please.", "Write to [email], please."),
        ("Call +49 (30) 1234-5678 or 030/12345678.", "Call [phone] or [phone]."),
        ("My card is 4111 1111 1111 1111!", "My card is [card]!"),
        ("Pay to DE89 3704 0044 0532 0130 00 today.", "Pay to [iban] today."),
        ("GB29NWBK60161331926819", "[iban]"),
        (
            "I ordered on 2026-11-30, or 30.11.2026, 30 days ago.",
            "I ordered on 2026-11-30, or 30.11.2026, 30 days ago.",
        ),
        ("It costs £1,299.00 and order A-1234 is late.", "It costs £1,299.00 and order A-1234 is late."),
        ("I am Anna Berg. ANNA, that is; not Annabel.", "I am [name]. [name], that is; not Annabel."),
        ("", ""),
    ],
)
def test_what_can_be_told_by_its_form_is_masked(text, masked):
    assert masked_text(text, ("Anna Berg", None, "")) == masked


def test_names_are_taken_as_they_are_written():
    assert masked_text("C++ (Jo) writes; Jo waits", ("C++ (Jo)",)) == "[name] writes; Jo waits"
