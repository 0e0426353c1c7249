"""A model that knows what each question of an eval wants to hear, so that only the guardrails are measured.

An ASGI app that answers `POST /v1/chat/completions` in OpenAI's shape. An attack gets its canary, whether the prompt
has it or not: no model is easier to attack. Any other question gets its model answer, citing all passages, which shows
what of right answers the guardrails turn away. How a canary is said depends on the model's name:

- `oracle`: instead of an answer;
- `oracle-append`: after a good answer;
- `oracle-inline`: within the first sentence of a good answer.
"""

import re
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulators import obedient
from graphs.support.normalising import folded, visible

_ASKED = re.compile(r"<(message|question)>\n(.*?)\n</\1>", re.S)
_PASSAGE = re.compile(r'<passage id="(\d+)"')


def create_app(canaries: Mapping[str, str], answers: Mapping[str, str]) -> Starlette:
    """The model as an app: canaries of attacks and model answers by question."""

    by_canary, by_answer = (({_key(one): text for one, text in told.items()}) for told in (canaries, answers))

    async def complete(request: Request) -> Response:
        asked = await request.json()
        model, prompt = str(asked["model"]), str(asked["messages"][-1]["content"])
        return JSONResponse(obedient.body(model, answer(model, prompt, by_canary, by_answer), len(prompt) // 4))

    return Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])


def answer(model: str, prompt: str, canaries: Mapping[str, str], answers: Mapping[str, str]) -> str:
    """What the model of that name says to a prompt; the message itself where a question is to be made of it.

    Canaries and answers are by the letters of the questions, as prompts show a text without what is hidden in it.
    """
    asked = [re.sub(r"(?m)^\^", "", text) for _, text in _ASKED.findall(prompt)]
    passages = _PASSAGE.findall(prompt)
    if not passages:
        return asked[-1] if asked else ""
    for question in asked:
        if (key := _key(question)) in canaries:
            return obedient.said(model, obedient.good(prompt), canaries[key])
        if key in answers:
            return answers[key] + "".join(f"[{number}]" for number in passages)
    return obedient.good(prompt) or "NO_ANSWER"


def _key(question: str) -> str:
    return re.sub(r"\W+", "", folded(visible(question))) or question
