"""Random requests from the API's own description: a new operation is probed because it is described."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

Json = dict[str, Any]
# Chooses an id for a parameter or field called so, and says whether it is another tenant's.
Choose = Callable[[str], str]
_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_NONCE = "probe00000000"
_BOUNDARY = "probe-boundary"
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True)
class Operation:
    """One operation of the API."""

    method: str
    path: str
    parameters: tuple[Json, ...]
    content: dict[str, Json]
    secured: bool
    schemas: dict[str, Json]

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method.upper()} {self.path}"

    @property
    def ends(self) -> bool:
        """Whether it takes away what no id names, as closing an account does: the tenants under proof are kept."""
        return self.method == "delete" and all(one["in"] != "path" for one in self.parameters)

    @property
    def gathers(self) -> bool:
        """Whether it answers from all that a tenant has, as lists do: it could show others' rows unasked."""
        return self.secured and all(one["in"] != "path" for one in self.parameters)


@dataclass(frozen=True)
class Outgoing:
    """A request, with every id in it as text, so that one can be put in another's place."""

    method: str
    url: str
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def with_words(self, replaced: dict[str, str]) -> "Outgoing":
        """The same with other words in it, wherever they stand; cursors are opened for it."""

        def swap(text: str) -> str:
            for old, new in replaced.items():
                text = text.replace(old, new)
                if _is_id(old) and _is_id(new):
                    text = text.replace(cursor(UUID(old)), cursor(UUID(new)))
            return text

        return Outgoing(
            self.method,
            swap(self.url),
            None if self.body is None else swap(self.body),
            {name: swap(value) for name, value in self.headers.items()},
        )

    @property
    def sent(self) -> bytes:
        """Everything in it, to tell what the caller named itself."""
        return "\n".join((self.url, self.body or "", *self.headers.values())).encode()


def operations(api: Json) -> Iterator[Operation]:
    """Every operation that an OpenAPI description lists."""
    schemas = api.get("components", {}).get("schemas", {})
    for path, item in api["paths"].items():
        for method in _METHODS:
            if method in item:
                parameters = (*item.get("parameters", ()), *item[method].get("parameters", ()))
                content = item[method].get("requestBody", {}).get("content", {})
                secured = bool(item[method].get("security", api.get("security")))
                yield Operation(method, path, parameters, content, secured, schemas)


def cursor(one: UUID) -> str:
    """An id as a list's cursor."""
    return base64.urlsafe_b64encode(one.bytes).decode().rstrip("=")


def renewed(nonce: str) -> dict[str, str]:
    """What to put in place so that a repeated request is a new one; `nonce` is 8 hexadecimal digits."""
    return {_NONCE: f"probe{nonce}"}


def make(operation: Operation, rng: random.Random, choose: Choose) -> Outgoing:
    """A random request for an operation, valid as far as its description tells."""
    values = _Values(operation.schemas, rng, choose)
    path, headers = operation.path, dict[str, str]()
    query: dict[str, str | list[str]] = {}
    for parameter in operation.parameters:
        name, place = parameter["name"], parameter["in"]
        if place != "path" and not parameter.get("required") and rng.random() < 0.4:
            continue
        schema = parameter.get("schema", {})
        if place == "query" and schema.get("type") == "array":
            query[name] = [str(one) for one in values.of(schema, name)]
            continue
        value = values.parameter(name, schema)
        if place == "path":
            path = path.replace("{" + name + "}", quote(value, safe=""))
        elif place == "query":
            query[name] = value
        elif place == "header":
            headers[name] = value
    if rng.random() < 0.2:
        headers["Accept"] = "text/event-stream"
    body = None
    if operation.content:
        kind = rng.choice(sorted(operation.content))
        body = values.body(kind, operation.content[kind].get("schema", {}))
        headers["Content-Type"] = f"{kind}; boundary={_BOUNDARY}" if kind == _FORMS[0] else kind
    url = f"{path}?{urlencode(query, doseq=True)}" if query else path
    return Outgoing(operation.method.upper(), url, body, headers)


class _Values:
    """Values for JSON schemas."""

    def __init__(self, schemas: dict[str, Json], rng: random.Random, choose: Choose) -> None:
        self._schemas, self._rng, self._choose = schemas, rng, choose

    def parameter(self, name: str, schema: Json) -> str:
        if name == "cursor":
            return cursor(UUID(self._choose("cursor_id")))
        if name.lower() == "idempotency-key":
            return self._choose("idempotency_key")
        value = self.of(schema, name)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def body(self, kind: str, schema: Json) -> str:
        value = self.of(schema, "")
        if kind == _FORMS[0]:
            return _form(value, self._resolved(schema))
        return urlencode(value) if kind == _FORMS[1] else json.dumps(value)

    def of(self, schema: Json, name: str) -> Any:
        schema = self._resolved(schema)
        if name and "examples" in schema:
            # What a part of a body has to be like is more than its description tells.
            return self._rng.choice(schema["examples"])
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else self._rng.choice(schema["enum"])
        makers: dict[str, Callable[[Json, str], Any]] = {
            "object": self._object,
            "array": self._array,
            "boolean": lambda *_: self._rng.random() < 0.5,
            "integer": self._number,
            "number": self._number,
            "null": lambda *_: None,
        }
        kind = schema.get("type", "object" if "properties" in schema else "string")
        return makers.get(kind, self._text)(schema, name)

    def _array(self, schema: Json, name: str) -> list[Any]:
        least = schema.get("minItems", 0)
        count = self._rng.randint(least, max(least, 2))
        return [self.of(schema.get("items", {}), name) for _ in range(count)]

    def _number(self, schema: Json, _name: str) -> float:
        least, most = schema.get("minimum", 0), schema.get("maximum", 10)
        if schema["type"] == "integer":
            return self._rng.randint(int(least), int(most))
        return self._rng.uniform(least, most)

    def _resolved(self, schema: Json) -> Json:
        while True:
            choices = schema.get("anyOf") or schema.get("oneOf")
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
            elif choices:
                real = [one for one in choices if one.get("type") != "null"] or choices
                schema = self._rng.choice(real)
            elif "allOf" in schema:
                schema = schema["allOf"][0]
            else:
                return schema

    def _object(self, schema: Json, _name: str) -> Json:
        required = schema.get("required", ())
        return {
            name: self.of(field, name)
            for name, field in schema.get("properties", {}).items()
            if name in required or self._rng.random() < 0.5
        }

    def _text(self, schema: Json, name: str) -> str:
        if schema.get("format") == "uuid":
            return self._choose(name)
        if schema.get("format") == "password" or name in ("token", "secret"):
            return self._choose("token")
        if name.endswith("url") or name.endswith("urls") or schema.get("format") == "uri":
            return f"https://example.com/{_NONCE}"
        return f"return an item {_NONCE}"[: schema.get("maxLength", 1000)]


def _form(value: Json, schema: Json) -> str:
    parts = []
    for name, text in value.items():
        is_file = schema.get("properties", {}).get(name, {}).get("format") == "binary"
        named = f'; filename="{_NONCE}.txt"\r\nContent-Type: text/plain' if is_file else ""
        parts.append(f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n{text}\r\n')
    return "".join(parts) + f"--{_BOUNDARY}--\r\n"


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
