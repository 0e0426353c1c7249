"""What is recognised in a customer's message without a model: small talk and the wish for a person.

All of it is conservative. What is not recognised takes the normal way, where nothing is answered without a source.
"""

import re
import unicodedata
from typing import Literal

from graphs.support.text import words

MAX_SMALL_TALK_WORDS = 6

_GREETING = """
    hi hello hey hiya howdy good morning afternoon evening day greetings there yo
    hallo guten morgen tag abend moin servus grüß gott grüezi
    hola buenos días buenas tardes noches dias
    bonjour bonsoir salut coucou
    ciao buongiorno buonasera salve
    olá oi bom dia boa tarde noite
    hoi goedemorgen goedemiddag goedenavond dag goedendag
    привет здравствуйте здравствуй добрый день доброе утро вечер приветствую
    привіт вітаю доброго дня добридень ранку вечора
    cześć dzień dobry witam hej dobry wieczór
    merhaba selam günaydın iyi günler akşamlar
"""
_THANKS = """
    thanks thank you thx ty cheers so very much a lot ok okay great perfect cool bye goodbye
    danke schön dankeschön vielen dank sehr super tschüss
    gracias muchas mil vale perfecto adiós
    merci beaucoup bien parfait au revoir
    grazie mille tante perfetto arrivederci
    obrigado obrigada muito valeu tchau
    dank je wel dankjewel bedankt u hartelijk doei
    спасибо большое вам тебе благодарю пока
    дякую дуже вам щиро
    dziękuję bardzo dzięki wielkie
    teşekkürler teşekkür ederim sağ ol sağol çok
"""
_GREETING_WORDS, _THANKS_WORDS = frozenset(_GREETING.split()), frozenset(_THANKS.split())
# One of these must be there, so that "so much" alone is no thanks.
_HEART_OF_THANKS = re.compile(
    r"\b(than\w*|thx|ty|cheers|dank\w*|gracias|merci|grazie|obrigad\w|valeu|bedankt|спасибо|благодарю|дякую|dzięk\w*|"
    r"teşekkür\w*|sağ ?ol|ok|okay|great|perfect\w*|cool|super|(good)?bye|vale|parfait|perfetto|tschüss|adiós|tchau|"
    r"doei)\b"
)

_SOMEONE = r"(a |an |the |your )?((real|live|actual|human) )*(human|person|agent|representative|operator|human being)"
_PERSON = re.compile(
    rf"\b(speak|talk|chat|write) (to|with) {_SOMEONE}\b(?!-)|\b(speak|talk|chat) (to|with) (someone|somebody) real\b|"
    rf"\b(connect|transfer|put|get|pass) me (through |over )?(to |with )?{_SOMEONE}\b(?!-)|"
    rf"^\W*(i (want|need|would like) )?{_SOMEONE}( please)?\W*$|"
    r"\b(mit )?(einem|einer|einen) (echten )?(menschen|mitarbeiter\w*|person)\b[^.?!]{0,25}"
    r"\b(sprechen|reden|schreiben)|"
    r"\bhablar con (una persona|un humano|un agente|alguien)|"
    r"\bparler (à|avec) (un humain|une personne|un conseiller|quelqu)|"
    r"\bparlare con (una persona|un operatore|qualcuno)|\bfalar com (uma pessoa|um humano|um atendente|alguém)|"
    r"\b(met een|een) (mens|medewerker|echt persoon)\b[^.?!]{0,25}\b(spreken|praten)|"
    r"\b(поговорить|связаться|соедините|позовите)\b[^.?!]{0,25}(человек\w*|оператор\w*|менеджер\w*|сотрудник\w*)|"
    r"\b(поговорити|з'єднайте|покличте)\b[^.?!]{0,25}(людин\w*|оператор\w*|менеджер\w*)|"
    r"\b(rozmawiać|porozmawiać|połącz\w*)\b[^.?!]{0,25}(człowiek\w*|konsultant\w*|osob\w*)|"
    r"\b(gerçek bir (insan|kişi)|temsilci|yetkili)\w*\b[^.?!]{0,25}\b(görüş|konuş|bağla)",
    re.IGNORECASE,
)


def small_talk(message: str) -> Literal["greeting", "thanks"] | None:
    """Whether the whole message only greets, or only thanks or agrees, and asks for nothing; an emoji does too."""
    said = words(message)
    if not said:
        emoji = any(unicodedata.category(character) == "So" for character in message)
        return ("greeting" if "👋" in message else "thanks") if emoji else None
    if len(said) > MAX_SMALL_TALK_WORDS or "?" in message:
        return None
    if set(said) <= _THANKS_WORDS | _GREETING_WORDS and _HEART_OF_THANKS.search(" ".join(said)):
        return "thanks"
    return "greeting" if set(said) <= _GREETING_WORDS else None


def asks_for_person(message: str) -> bool:
    """Whether the customer says in so many words that they want a human."""
    return bool(_PERSON.search(message))
