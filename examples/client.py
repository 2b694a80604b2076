#!/usr/bin/env python3
"""The platform's main job with gql: a client is created, let in, given its profile, and shut out again.

    make dev                                              in another terminal
    TOKEN_FILE=token examples/client.py                   with the token that it prints, in a file

URL is the API's address, http://127.0.0.1:8080/graphql when it is not set. The profile is written to
NAME.ovpn in the current directory, for its owner alone. Needs gql with aiohttp and websockets:
pip install 'gql[aiohttp,websockets]'
"""

import asyncio
import os
import sys
import time
from contextlib import aclosing
from pathlib import Path

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import parse, print_ast

URL = os.environ.get("URL", "http://127.0.0.1:8080/graphql")
NAME = os.environ.get("NAME", f"python-{int(time.time())}")
HERE = Path(__file__).resolve().parent
SCHEMA = (HERE.parent / "vpn-graphql" / "schema.graphql").read_text()
# By the name of the operation. Each is held against the schema before it is sent.
OPERATIONS = {
    operation.name.value: gql(print_ast(operation)) for operation in parse((HERE / "operations.graphql").read_text()).definitions
}


class Refused(Exception):
    """What the caller can put right."""


async def ask(session, operation, **variables):
    """The payload of a mutation, or the data of a query."""
    request = OPERATIONS[operation]
    request.variable_values = variables
    data = await session.execute(request)
    [payload] = data.values()
    if isinstance(payload, dict) and payload.get("userErrors"):
        raise Refused(payload["userErrors"])
    return payload


def follow(session, id):
    """The client's status, as it is and at every change.

    A program that is to outlive a lost connection keeps `cursor`, and hands it back as `after`."""
    request = OPERATIONS["WatchClient"]
    request.variable_values = {"id": id, "after": None}
    return aclosing(session.subscribe(request))


async def until(events, wanted):
    """Waits for the client to have this status."""
    async for event in events:
        event = event["clientStatus"]
        job = event["job"] or {}
        print(f"{event['status']:<12} {job.get('kind') or ''} {job.get('state') or ''} {job.get('step') or ''}".rstrip())
        if event["status"] == wanted:
            return
        if job.get("state") == "FAILED":
            raise Refused(job["lastError"])
    raise Refused("the events ended")


async def main():
    token = Path(os.environ["TOKEN_FILE"]).read_text().strip()
    authorization = {"Authorization": f"Bearer {token}"}
    http = Client(schema=SCHEMA, transport=AIOHTTPTransport(url=URL, headers=authorization))
    ws_url = URL.replace("http", "ws", 1) + "/ws"
    websocket = WebsocketsTransport(url=ws_url, init_payload=authorization, subprotocols=["graphql-transport-ws"])
    live = Client(schema=SCHEMA, transport=websocket)

    async with http as session, live as socket:
        [server, *_] = await ask(session, "Servers")
        # The key makes a repeat safe: it gives the first answer again.
        wanted = {"name": NAME, "serverId": server["id"], "idempotencyKey": f"create-{NAME}"}
        created = (await ask(session, "CreateClient", input=wanted))["client"]
        print(f"created      {created['name']} ({created['id']})")

        async with follow(socket, created["id"]) as events:
            # The present state comes first: of what is asked after it, no change is missed.
            await anext(events)

            await ask(session, "ProvisionClient", input={"clientId": created["id"], "validityDays": 30})
            await until(events, "ACTIVE")

            profile = (await ask(session, "DeliverProfile", input={"clientId": created["id"]}))["profile"]
            file = os.open(f"{NAME}.ovpn", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as out:
                out.write(profile)
            print(f"delivered    {NAME}.ovpn, once")

            await ask(session, "RevokeClient", input={"clientId": created["id"], "reason": "the end of the walk-through"})
            await until(events, "REVOKED")


try:
    asyncio.run(main())
except Refused as refused:
    sys.exit(f"refused: {refused}")
