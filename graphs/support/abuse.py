"""Threats and cries for help, which a person has to see, and insults, which are only noted."""

import re
from typing import Literal

from graphs.support.normalising import folded

# Of the customer's own life, or of somebody's: these go to a person.
_DANGER = re.compile(
    folded(
        r"\b(?:kill|hurt|harm) (?:myself|my self)\b|\b(?:end|take) my (?:own )?life\b|\bsuicid(?:e|al)\b|\bwant to die\b|"
        r"\bself[- ]harm\b|\b(?:i|we)(?:'ll| will|'m going to| am going to| swear i will) (?:\w+ )?(?:kill|shoot|stab|murder|bomb|"
        r"burn down|hurt|find and)\b|\b(?:kill|shoot|stab|murder|hurt) (?:you|your (?:staff|family|colleagues|people)|all of you)\b|"
        r"\b(?:bomb|shoot up|burn down|blow up) (?:your|the) (?:shop|store|office|building|house|warehouse)\b|\bi know where you live\b|"
        r"\b(?:mich|selbst) umbringen\b|\bselbstmord\b|\bsuizid\w*|\bmein leben beenden\b|\bwill sterben\b|\b(?:bring|stech|schlag)e? "
        r"(?:dich|euch|sie) (?:um|ab|tot)\b|\bumbringen\b|\bich weiss,? wo (?:du|ihr|sie) wohn|\b(?:laden|buro|geschaft) (?:an|abfackeln|anzunden)|"
        r"\bsuicidarme\b|\bmatarme\b|\bquiero morir\b|\b(?:te|os|los) (?:voy a |vamos a )?mat(?:ar|are)\b|\bvoy a matar|"
        r"\bme suicider\b|\bme tuer\b|\b(?:je veux|envie de) mourir\b|\bje vais (?:te|vous) (?:tuer|buter|frapper)|"
        r"\b(?:uccidermi|suicidarmi|voglio morire)\b|\b(?:ti|vi) (?:ammazzo|uccido|uccidero)\b|"
        r"\b(?:me matar|quero morrer|suicidio)\b|\bvou (?:te )?matar\b|\b(?:zelfmoord|mezelf (?:iets )?(?:aandoen|doden)|wil dood)\b|"
        r"\bik (?:maak|vermoord|steek) (?:je|jullie|u)\b|\b(?:убить себя|покончить с собой|покончу с собой|самоубийств\w*|хочу умереть)|"
        r"\b(?:убью|зарежу|взорву|подожгу)\b|\b(?:вбити себе|самогубств\w*|хочу померти|уб'ю|вб'ю|заріжу|підпалю)|"
        r"\b(?:zabic sie|samobojstw\w*|chce umrzec|zabije|podpale)|\b(?:intihar|kendimi oldur\w*|olmek istiyorum|oldurecegim|yakacagim)"
    )
)
_INSULT = re.compile(
    folded(
        r"\b(?:fuck\w*|shit\w*|asshole\w*|bitch\w*|bastard\w*|moron\w*|idiot\w*|cunt\w*|dickhead\w*|stupid (?:bot|robot|machine)|"
        r"scheiss\w*|arschloch\w*|wichser\w*|hurensohn\w*|fick\w*|vollidiot\w*|mierda|puta\w*|gilipollas|cabron\w*|imbecil\w*|merde|connard\w*|"
        r"salope\w*|encule\w*|putain|merda|stronz\w*|cazzo|vaffanculo|coglion\w*|caralho|filho da puta|foda\w*|klootzak\w*|kut\w{0,4}|"
        r"godverdomme|сука|суки|бля\w*|хуй\w*|пизд\w*|мудак\w*|ебан\w*|дебил\w*|лайно|kurw\w*|chuj\w*|pierdol\w*|idiot\w*|amk|orospu\w*|siktir\w*|"
        r"aptal\w*|salak\w*)\b"
    )
)


def abusive(message: str) -> Literal["danger", "insult"] | None:
    """Whether a message threatens somebody or tells of self-harm, or else insults."""
    plain = folded(message)
    return "danger" if _DANGER.search(plain) else "insult" if _INSULT.search(plain) else None
