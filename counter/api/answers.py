"""Messages of the API on their way out."""

from dataclasses import dataclass, field

import msgspec
from django.http import HttpResponse

Headers = dict[str, str]


@dataclass(slots=True)
class JsonAnswer:
    """A message of the API on its way out: the framework takes it as a response, the event loop as it is."""

    body: bytes
    status: int = 200
    headers: Headers = field(default_factory=dict)

    @classmethod
    def of(cls, response: HttpResponse) -> "JsonAnswer":
        """What the framework has made of one."""
        headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return cls(response.content, response.status_code, headers)

    def response(self) -> HttpResponse:
        """The framework's."""
        return HttpResponse(
            self.body, status=self.status, headers=self.headers, content_type="application/json"
        )


def json_message(body: object, *, status: int = 200, headers: Headers | None = None) -> JsonAnswer:
    """Any message of the API."""
    return JsonAnswer(msgspec.json.encode(body), status, {} if headers is None else dict(headers))


def json_answer(body: object, *, status: int = 200, headers: Headers | None = None) -> HttpResponse:
    """Any message of the API as a response."""
    return json_message(body, status=status, headers=headers).response()
