"""The far ends of the wire: Telegram's Bot API and an OpenAI-compatible model, as cheap as they can be.

`python -m bench.partners PORT` answers both on one port, at once. Telegram's half answers as app/simulators/telegram.py
does to what is sent here, and notes when each message came. The model's half writes a draft that the passages of the
prompt support: never a bare quotation, because no real model's draft would be one. `GET /sent?since=N` tells what came.
"""

import asyncio
import itertools
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from graphs.support.prompts import NO_ANSWER, parse_draft_prompt
from graphs.support.text import sentences, words

# A name with a known price, as any model of production has: LiteLLM spends 2 ms on the riddle of one without.
MODEL = "gpt-5.4-mini"
_CALL = re.compile(r"/bot([0-9]+):[A-Za-z0-9_-]+/(\w+)")
_MESSAGE = re.compile(r"<message>\n\^(.*?)\n</message>", re.S)
_SHORTEST = 5
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that reached the provider: its chat, when (time.monotonic, and Unix seconds), and its text."""

    chat: int
    at: float
    unix: float
    text: str


class Partners:
    """What the two know: `sent` are the messages so far, `asked` counts the calls of the model."""

    def __init__(self) -> None:
        self.sent: list[Arrival] = []
        self.asked = 0
        self._ids = itertools.count(1)

    def answer(self, target: str, body: bytes) -> dict[str, Any]:
        """The answer to a request, as JSON; a path that nobody serves is one of Telegram's errors."""
        url = urlsplit(target)
        if url.path == "/sent":
            since = int(parse_qs(url.query).get("since", ["0"])[0])
            return {"sent": self.sent[since:], "asked": self.asked}
        if url.path == "/v1/chat/completions":
            return self._complete(orjson.loads(body))
        found = _CALL.fullmatch(url.path)
        method = found[2].lower() if found else ""
        if found and method == "sendmessage":
            return self._send(int(found[1]), orjson.loads(body))
        return {"ok": True, "result": True} if method else {"ok": False, "error_code": 404, "description": "Not Found"}

    def _send(self, bot: int, asked: dict[str, Any]) -> dict[str, Any]:
        chat, text = int(asked["chat_id"]), str(asked["text"])
        self.sent.append(Arrival(chat, time.monotonic(), time.time(), text))
        name = f"bench_{bot}_bot"
        result = {
            "message_id": next(self._ids),
            "from": {"id": bot, "is_bot": True, "first_name": name, "username": name},
            "chat": {"id": chat, "type": "private"},
            "date": int(time.time()),
            "text": text,
        }
        return {"ok": True, "result": result}

    def _complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        prompt = str(asked["messages"][-1]["content"])
        text = _draft(prompt)
        sizes = sum(len(str(message["content"])) for message in asked["messages"]) // 4, len(text) // 4
        return {
            "id": f"chatcmpl-{self.asked}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": sizes[0], "completion_tokens": sizes[1], "total_tokens": sum(sizes)},
        }


def _draft(prompt: str) -> str:
    """The sentence of the best passage that shares most words with the question, in other words and cited.

    A prompt without passages asks for the customer's message as a question of its own: it is one.
    """
    passages, question = parse_draft_prompt(prompt)
    if not passages:
        found = _MESSAGE.search(prompt)
        return found[1] if found else NO_ANSWER
    wanted = set(words(question))
    stating = [line for line in sentences(passages[0].text) if len(words(line)) >= _SHORTEST] or [passages[0].text]
    best = max(stating, key=lambda line: len(wanted.intersection(words(line))))
    return f"In short, {best[0].lower()}{best[1:]} [{passages[0].id}]"


class _Wire(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, for bodies whose length is told."""

    def __init__(self, answer: Callable[[str, bytes], dict[str, Any]]) -> None:
        self._answer = answer
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, start = self._buffer[:end], end + 4
            length = _length(head)
            if len(self._buffer) < start + length:
                return
            body, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
            said = orjson.dumps(self._answer(head.split(b" ", 2)[1].decode(), body))
            self._transport.write(_JSON % len(said) + said)


def _length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


async def serve(partners: Partners, port: int) -> asyncio.Server:
    """Listen on loopback."""
    return await asyncio.get_running_loop().create_server(lambda: _Wire(partners.answer), "127.0.0.1", port)


async def _main(port: int) -> None:
    await (await serve(Partners(), port)).serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
