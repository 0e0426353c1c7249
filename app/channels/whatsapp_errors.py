"""What WhatsApp's error codes mean, in the answer to a send and in a later status.

Source: shared reference, section 5.3.
"""

from app.channels.base import Outcome, SendResult
from app.channels.calls import Reply
from app.channels.meta_graph import error_of, refused, undocumented
from app.channels.reading import as_list, as_object, as_text

_SUCCESS = range(200, 300)
_SERVER_ERRORS = range(500, 600)
_PAIR_RATE = 131056
# About one message in six seconds to one customer.
_PAIR_WAIT_SECONDS = 6.0

_RECONNECT = frozenset({0, 190, 3, 10, *range(200, 300), 131005})
_RETRY = frozenset({_PAIR_RATE, 130429, 4, 80007, 131048, 131064, 131000, 131016, 131057, 2})


def outcome_of(code: int) -> Outcome:
    """What a refusal with a code means for the message: everything else than rates and tokens stays refused."""
    if code in _RECONNECT:
        return "reconnect"
    return "retry" if code in _RETRY else "fatal"


def result_of(reply: Reply) -> SendResult:
    """How a send ended (DESIGN, promise 1); 200 says that it was accepted, and its end comes as a status."""
    if reply.status in _SUCCESS and reply.body is not None and "error" not in reply.body:
        message_id = as_text(as_object((as_list(reply.body.get("messages")) or [None])[0]).get("id"))
        return SendResult("ok", message_id) if message_id else SendResult("unknown", code="no_message_id")
    error = error_of(reply)
    if error is None or reply.status in _SERVER_ERRORS:
        return undocumented(reply)
    outcome = outcome_of(error[0])
    result = refused(reply, outcome)
    if error[0] == _PAIR_RATE and (result.retry_after or 0) < _PAIR_WAIT_SECONDS:
        return SendResult("retry", retry_after=_PAIR_WAIT_SECONDS, code=result.code)
    return result
