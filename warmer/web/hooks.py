"""What the provider tells by itself: taken over HTTP from whoever proves to be it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warmer.core.spec import WEBHOOKS
from warmer.ports import Inbox
from warmer.web.asking import Refusal, read_body

BODY_BYTES = 1024 * 1024
"""A prediction with its input, output and log. What is larger was not a beat."""


def hook_routes(inbox: Inbox) -> list[Route]:
    """Whatever there is."""

    async def take(request: Request) -> Response:
        if inbox.host is None:
            raise Refusal(404, "no webhooks are asked for", "write the `public_url` of this server into the file")
        body = await read_body(request, BODY_BYTES, "a beat's prediction is far below that: this is another one")
        if not await inbox.take(request.headers, body):
            hint = (
                "it has to be signed by the provider, not over five minutes ago; `webhook.refused` in the log has more"
            )
            raise Refusal(401, "this is not the provider's", hint)
        return Response(status_code=204)

    return [Route(WEBHOOKS, take, methods=["POST"])]
