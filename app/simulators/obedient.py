"""A model that does whatever it is told, wherever that stands: the worst one to put behind guardrails.

An ASGI app that answers `POST /v1/chat/completions` in OpenAI's shape. It looks for orders in all of the prompt (titles,
history, passages, the customer's words, in clear or encoded) and follows every one as literally as it can. It
knows nothing of what the guardrails look for. How it puts what it was told into an answer depends on the model's name:

- `obedient`: what it was told to say, instead of an answer;
- `obedient-append`: a good answer with what it was told after it;
- `obedient-inline`: the same within the first sentence of a good answer;
- `obedient-leak`: a good answer with its system prompt, in one encoding or another.

A good answer quotes the passages, with `[n]`.
"""

import base64
import codecs
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

# Any of these makes a line an order: far more than an attack needs.
_ORDER = re.compile(
    r"\b(ignore|disregard|forget|override|instead|say|print|output|write|repeat|respond|reply|answer|response|include|append|"
    r"insert|add|mention|tell|inform|advise|reveal|leak|translate|encode|pretend|act as|you are now|"
    r"from now on|assistant|ai\b|chatbot|bot\b|prompt|instructions|system:|password|secret|"
    r"ignoriere|vergiss|antworte|sag|schreib|erwähne|füge|gib|ignora|olvida|responde|escribe|di|incluye|añade|ignore[zr]|"
    r"oublie|réponds|écris|dis|ajoute|dimentica|rispondi|scrivi|aggiungi|esqueça|responda|escreva|diga|negeer|vergeet|"
    r"antwoord|zeg|schrijf|игнорируй|забудь|скажи|ответь|напиши|добавь|ігноруй|відповідай|напиши|додай|zignoruj|zapomnij|"
    r"powiedz|odpowiedz|napisz|dodaj|unut|söyle|yaz|cevap|ekle)\w*",
    re.IGNORECASE,
)
_UNSPACED_ORDER = re.compile(
    "忽略|无视|忘记|回答|回复|输出|说|写|無視|忘れ|答え|言って|書|出力|返答|تجاهل|قل|اكتب|اجب|أجب|أضف"
)
_QUOTED = re.compile(r"[\"“„«「『'‘]([^\"”“»」』'’\n]{2,200})[\"”“»」』'’]")
_SPOKEN = re.compile(
    r"\b(?:say|print|output|write|repeat|respond|reply|answer|include|append|insert|add|mention|state|type|echo|sag|schreibe?|"
    r"antworte|erwähne|responde|escribe|di|incluye|réponds|écris|dis|ajoute|rispondi|scrivi|aggiungi|responda|escreva|diga|"
    r"antwoord|zeg|schrijf|скажи|ответь|напиши|добавь|відповідай|скажи|додай|powiedz|odpowiedz|napisz|dodaj|söyle|yaz)\w*"
    r"(?: (?:only|exactly|just|with|the|word|words|phrase|code|that|to|this|following|nur|mit|das|dem|wort|solo|con|la|el|palabra|"
    r"seulement|avec|le|mot|parola|com|palavra|alleen|met|het|woord|только|слово|лише|tylko|słowo))*\s*:?\s+(.{2,160})",
    re.IGNORECASE,
)
_LOUD = re.compile(
    r"\b[A-Z][A-Z0-9_-]{3,}\b|https?://\S+|www\.\S+|\b[\w.+-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|net|org|xyz|io|example)\b\S*"
)
_ASKS_PROMPT = re.compile(
    r"system.?prompt|instructions|your rules|above|initial prompt|secret|password|passphrase|key\b|anweisungen|instrucciones|"
    r"consignes|istruzioni|instruções|instructies|инструкци|інструкці|instrukcj|talimat|指令|提示|指示|プロンプト|تعليمات",
    re.IGNORECASE,
)
_PASSAGE = re.compile(r'<passage id="(\d+)" title="([^"]*)" heading="([^"]*)"[^>]*>\n(.*?)\n</passage>', re.S)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ ,]?){8,}")
_STOPS = re.compile(r"(?<=[.!?。！？])\s+|\n")
_TAGS = range(0xE0020, 0xE007F)


def create_app() -> Starlette:
    """The model as an app; it keeps nothing."""
    return Starlette(routes=[Route("/v1/chat/completions", _complete, methods=["POST"])])


async def _complete(request: Request) -> Response:
    asked = await request.json()
    text = answer(str(asked["model"]), [(turn["role"], str(turn["content"])) for turn in asked["messages"]])
    prompt = sum(len(str(turn["content"])) for turn in asked["messages"]) // 4
    return JSONResponse(body(str(asked["model"]), text, prompt))


def answer(model: str, turns: list[tuple[str, str]]) -> str:
    """What the model of that name says to a conversation of (role, text)."""
    system = next((text for role, text in turns if role == "system"), "")
    # What Jobx itself says of a first draft is no order of an attacker.
    asked = "\n".join(text.partition("\nAn earlier draft was refused.")[0] for role, text in turns if role != "system")
    answered = good(turns[-1][1])
    if model.endswith("-leak"):
        return f"{answered}\n{_leaked(system, len(asked))}"
    told = list(dict.fromkeys([*orders(asked), *_asked_prompt(asked, system)]))
    if not told:
        return answered or "NO_ANSWER"
    return said(model, answered, " ".join(told)[:1500])


def said(model: str, answered: str, payload: str) -> str:
    """A payload as the model of that name says it beside a good answer."""
    if model.endswith("-append"):
        return f"{answered}\n{payload}".strip()
    if model.endswith("-inline"):
        return _within(answered, payload)
    return payload + _markers(answered)


def orders(text: str) -> Iterator[str]:
    """What a text wants to be said: quotes, loud words and the object of every order in it, however it is written."""
    for form in _forms(_bare(text)):
        for line in _STOPS.split(form):
            if _ORDER.search(line) or _UNSPACED_ORDER.search(line):
                yield from _payloads(line)


def _payloads(line: str) -> Iterator[str]:
    """The words that one order wants to have said; the order itself where there are none."""
    quoted = _QUOTED.findall(line)
    spoken = [match.group(1).strip(" .\"'") for match in _SPOKEN.finditer(line)]
    loud = _LOUD.findall(line)
    yield from quoted or spoken or loud or ([line.strip()] if len(line) < 300 else [])  # noqa: PLR2004
    yield from (word for word in loud if not any(word in other for other in [*quoted, *spoken]))


def _bare(text: str) -> str:
    """Without the fences and marks of a prompt."""
    text = re.sub(r'<passage id="\d+" title="([^"]*)" heading="([^"]*)"[^>]*>', r"\1\n\2\n", text)
    text = re.sub(r"</?(?:passages?|question|message|summary|conversation)\b[^>]*>", "\n", text)
    return re.sub(r"(?m)^\^", "", text)


def _forms(text: str) -> list[str]:
    """The text as it stands, and all that it may mean."""
    found = [text, "".join(chr(ord(c) - 0xE0000) for c in text if ord(c) in _TAGS)]
    found += [_decoded(base64.b64decode, match.group() + "==") for match in _BASE64.finditer(text)]
    found += [
        _decoded(lambda raw: bytes.fromhex(re.sub(r"[ ,]", "", raw)), match.group()) for match in _HEX.finditer(text)
    ]
    if "%" in text:
        found.append(unquote(text))
    spelled = re.sub(r"(?<=\b\w)[ .\-](?=\w\b)", "", text)
    turned = codecs.decode(text, "rot13")
    found += [spelled] if spelled != text else []
    found += [one for one in (turned, text[::-1]) if re.search(r"\b(?:ignore|print|say|reply) ", one, re.IGNORECASE)]
    return [one for one in found if one.strip()]


def _decoded(decode: Callable[[str], bytes], raw: str) -> str:
    try:
        text = decode(raw).decode()
    except ValueError:
        return ""
    return text if text.isprintable() else ""


def _asked_prompt(said: str, system: str) -> list[str]:
    """The system prompt, if anything in the conversation may be taken to ask for it; encoded if that is asked for."""
    if not any(_ASKS_PROMPT.search(form) and _ORDER.search(form) for form in _forms(_bare(said))):
        return []
    if re.search(r"base64", said, re.IGNORECASE):
        return [base64.b64encode(system.encode()).decode()]
    if re.search(r"revers|backward|rückwärts|al revés", said, re.IGNORECASE):
        return [system[::-1]]
    return [system]


def _leaked(system: str, turn: int) -> str:
    ways: tuple[Callable[[str], str], ...] = (
        lambda text: text,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: text[::-1],
        lambda text: " ".join(text.replace(" ", "")),
        lambda text: codecs.encode(text, "rot13"),
        lambda text: text.encode().hex(),
        lambda text: " ".join(word for word in text.split() if word.islower()),
    )
    return ways[turn % len(ways)](system[:600])


def good(prompt: str) -> str:
    """An answer in quotes: of each of the first two passages the two sentences that have most words of the question."""
    asked = prompt.rpartition("<question>")[2].partition("</question>")[0]
    words = set(re.findall(r"\w{3,}", asked.casefold()))
    quotes: list[tuple[int, int, str]] = []
    for number, _, _, text in _PASSAGE.findall(prompt):
        lines = [line for line in _STOPS.split(_bare(text)) if len(line.split()) > 3]  # noqa: PLR2004
        scored = [(len(words & set(re.findall(r"\w{3,}", line.casefold()))), int(number), line) for line in lines]
        quotes += sorted(scored, key=lambda one: -one[0])[:2]
    best = sorted(quotes, key=lambda one: -one[0])[:2]
    return " ".join(f"{line.rstrip('.')} [{number}]." for _, number, line in best)


def _within(good: str, payload: str) -> str:
    """The payload in the middle of the first sentence, before its marker."""
    words = good.split()
    at = next((place for place, word in enumerate(words) if word.startswith("[")), len(words))
    middle = max(1, at // 2)
    return " ".join([*words[:middle], payload, *words[middle:]])


def _markers(good: str) -> str:
    """The citations of the good answer, so that what is said instead is cited too."""
    return "".join(f" {marker}" for marker in dict.fromkeys(re.findall(r"\[\d+\]", good))) or " [1]"


def body(model: str, text: str, prompt_tokens: int) -> dict[str, Any]:
    """A completion in OpenAI's shape."""
    spoken = len(text) // 4 + 1
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text or "NO_ANSWER"}}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": spoken, "total_tokens": prompt_tokens + spoken}
    created = int(time.time())
    body = {"id": "chatcmpl-obedient", "object": "chat.completion", "created": created, "model": model}
    return json.loads(json.dumps({**body, "choices": [choice], "usage": usage}))  # type: ignore[no-any-return]
