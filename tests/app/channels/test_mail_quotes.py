"""What a person wrote, told from the history, the signature and the headers that their mail program puts around it."""

import pytest

from app.channels.mail import read_mail
from app.channels.mail_quotes import without_history


def written(body, subject="Price?"):
    head = f"From: ann@client.example\r\nTo: hello@salon.example\r\nSubject: {subject}\r\n\r\n"
    return read_mail((head + body).encode(), "email", "hello@salon.example", ()).text


QUOTED = [
    "On Tue, Nov 3, 2026 at 9:00 AM Salon <hello@salon.example>\nwrote:\n> 30 EUR",
    "On 03.11.2026 09:00, Salon wrote:\n30 EUR",
    "Am 3. Nov. 2026 um 10:00 schrieb Salon <hello@salon.example>:\n> 30 EUR",
    "Le mar. 3 nov. 2026 à 10:00, Salon <hello@salon.example> a écrit :\n> 30 EUR",
    "El mar, 3 nov 2026 a las 10:00, Salon (<hello@salon.example>) escribió:\n\n> 30 EUR",
    "Il giorno mar 3 nov 2026 alle ore 10:00 Salon <hello@salon.example> ha\nscritto:\n> 30 EUR",
    "Em ter., 3 de nov. de 2026 às 10:00, Salon <hello@salon.example> escreveu:\n> 30 EUR",
    "Op di 3 nov 2026 om 10:00 schreef Salon <hello@salon.example>:\n> 30 EUR",
    "wt., 3 lis 2026 o 10:00 Salon <hello@salon.example> napisał(a):\n> 30 EUR",
    "út 3. 11. 2026 v 10:00 odesílatel Salon <hello@salon.example> napsal:\n> 30 EUR",
    "Den tis 3 nov. 2026 kl 10:00 skrev Salon <hello@salon.example>:\n> 30 EUR",
    "вт, 3 лист. 2026 р. о 10:00 Salon <hello@salon.example> пише:\n> 30 EUR",
    "3 листопада 2026 р. о 10:00 Salon <hello@salon.example> написав(-ла):\n> 30 EUR",
    "3.11.2026 10:00, Salon пишет:\n> 30 EUR",
    "вт, 3 нояб. 2026 г. в 10:00, Salon <hello@salon.example>:\n> 30 EUR",
    "03.11.2026, 10:00, Salon <hello@salon.example> написал(а):\n> 30 EUR",
    "Salon <hello@salon.example>, 3 Kas 2026 Sal, 10:00 tarihinde şunu yazdı:\n> 30 EUR",
    "2026年11月3日(火) 10:00 Salon <hello@salon.example>:\n> 30 EUR",
    "2026년 11월 3일 (화) 10:00, Salon <hello@salon.example>님이 작성:\n> 30 EUR",
    "在 2026年11月3日 10:00，Salon <hello@salon.example> 写道：\n> 30 EUR",
    "-----Original Message-----\nFrom: Salon\nSent: Tuesday\n\n30 EUR",
    "-----Ursprüngliche Nachricht-----\nVon: Salon\n\n30 EUR",
    "________________________________\nFrom: Salon <hello@salon.example>\nSent: Tuesday\nTo: Iryna\n\n30 EUR",
    "Von: Salon <hello@salon.example>\nGesendet: Dienstag\nAn: Iryna\nBetreff: Re\n\n30 EUR",
    "От: Salon <hello@salon.example>\nОтправлено: вторник\nКому: Iryna\n\n30 EUR",
    "> 30 EUR\n> and more",
    "-- \nIryna K.\n+380 44 000 00 00",
    "--\nIryna K.",
    "Sent from my iPhone",
    "Надіслано з iPhone",
]


@pytest.mark.parametrize("quoted", QUOTED, ids=[each.splitlines()[0][:30] for each in QUOTED])
def test_history_and_signature_are_cut(quoted):
    assert without_history(f"Yes, please.\n- milk\n- bread\n\n{quoted}\n") == "Yes, please.\n- milk\n- bread"


@pytest.mark.parametrize(
    "text",
    [
        "Tak, poproszę",
        "On Monday you wrote:\nthat is not what I bought",
        "From: Berlin\nI want to travel to Rome",
        "I asked him and he wrote: no.",
        "Is it true that:\n- one\n- two",
        "a -- b",
        "Best regards are what I want printed on it",
        "Price > 30?\n>30 is ok for me",
        "Hi\nFrom: Berlin\nTo: Kyiv\nDate: 3 Nov\nHow much is the transfer?",
        "On page 3 your site writes:\n30 EUR for a haircut. Is that right?",
        "My times on 3 Nov:\n10:00, 11:00 - which do you have? He writes:\nplease book 11:00",
        "On Monday at 10:00 we\ntalked, and he wrote:\nplease call",
        "Can you check?\n\n---------- Forwarded message ---------\nFrom: Bob <bob@x.example>\nDate: Tue\n"
        "Subject: Invoice\nTo: Iryna\n\n> Invoice 7",
        "Begin forwarded message:\n\nFrom: Bob <bob@x.example>\nSubject: Invoice\nDate: Tue\n\nInvoice 7",
    ],
)
def test_what_a_person_says_is_not_cut(text):
    assert without_history(text) == text


def test_an_answer_below_or_between_quotes_is_kept():
    text = "On 3 Nov 2026, Salon wrote:\n> 30 EUR\n\nToo much.\n> Monday?\nNo, Tuesday.\n-- \nIryna"
    assert without_history(text) == "Too much.\nNo, Tuesday."
    assert written("> only a quote") == "> only a quote"


def test_what_is_forwarded_is_read():
    body = "Is this right?\n\nFrom: Bob <bob@x.example>\nSent: Tuesday\nTo: Iryna\nSubject: Invoice\n\nInvoice 7"
    assert written(body, "FW: Invoice") == body
    assert written(body, "Re: FW: Invoice") == "Is this right?"


def test_armour_is_no_text():
    signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHello\n-----BEGIN PGP SIGNATURE-----\n\nabc\n"
    assert written(signed) == "Hello"
