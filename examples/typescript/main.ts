// The platform's main job, typed: a client is created, let in, given its profile, and shut out again.
//
//   make dev                                              in another terminal
//   npm ci && npm run build && TOKEN_FILE=token npm start  with the token that it prints, in a file
//
// URL is the API's address, http://127.0.0.1:8080/graphql when it is not set. The profile is written to
// NAME.ovpn in the current directory, for its owner alone.
import { readFileSync, writeFileSync } from 'node:fs';
import { print } from 'graphql';
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import {
  CreateClientDocument,
  DeliverProfileDocument,
  ProvisionClientDocument,
  RevokeClientDocument,
  ServersDocument,
  WatchClientDocument,
  type WatchClientSubscription,
} from './generated.js';

const url = process.env['URL'] ?? 'http://127.0.0.1:8080/graphql';
const name = process.env['NAME'] ?? `typescript-${Date.now()}`;
const authorization = `Bearer ${readFileSync(process.env['TOKEN_FILE'] ?? 'token', 'utf8').trim()}`;

/** Runs a query or a mutation. */
async function ask<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query: print(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] };
  if (!data || errors) throw new Error(errors?.map(({ message }) => message).join('; ') ?? `HTTP ${response.status}`);
  return data;
}

/** What a mutation gives, unless there is something that we can put right. */
function done<Payload extends { userErrors: readonly { code: string; message: string }[] }>(payload: Payload): Payload {
  const [error] = payload.userErrors;
  if (error) throw new Error(`${error.code}: ${error.message}`);
  return payload;
}

type Event = WatchClientSubscription['clientStatus'];

const socket = createClient({ url: `${url.replace(/^http/, 'ws')}/ws`, webSocketImpl: WebSocket, connectionParams: { authorization } });

/** The client's status, as it is and at every change. */
async function* follow(id: string): AsyncGenerator<Event, void> {
  const events = socket.iterate<WatchClientSubscription>({ query: print(WatchClientDocument), variables: { id } });
  for await (const { data, errors } of events) {
    if (!data || errors) throw new Error(errors?.map(({ message }) => message).join('; ') ?? 'no data');
    yield data.clientStatus;
  }
}

/** Waits for the client to have this status. Leaves the events open, as `for await` would not. */
async function until(events: AsyncGenerator<Event, void>, wanted: Event['status']): Promise<void> {
  for (let next = await events.next(); !next.done; next = await events.next()) {
    const { status, job } = next.value;
    console.log([status.padEnd(12), job?.kind, job?.state, job?.step].filter(Boolean).join(' ').trimEnd());
    if (status === wanted) return;
    if (job?.state === 'FAILED') throw new Error(`${job.lastError?.code}: ${job.lastError?.message}`);
  }
  throw new Error('the events ended');
}

const { servers } = await ask(ServersDocument, {});
const [server] = servers;
if (!server) throw new Error('there is no VPN server yet');

// The key makes a repeat safe: it gives the first answer again.
const created = await ask(CreateClientDocument, { input: { name, serverId: server.id, idempotencyKey: `create-${name}` } });
const client = done(created.createClient).client;
if (!client) throw new Error('no client');
console.log(`created      ${client.name} (${client.id})`);

// The present state comes first: of what is asked after it, no change is missed.
const events = follow(client.id);
await events.next();

done((await ask(ProvisionClientDocument, { input: { clientId: client.id, validityDays: 30 } })).provisionClient);
await until(events, 'ACTIVE');

const { profile } = done((await ask(DeliverProfileDocument, { input: { clientId: client.id } })).deliverProfile);
writeFileSync(`${name}.ovpn`, profile ?? '', { mode: 0o600, flag: 'wx' });
console.log(`delivered    ${name}.ovpn, once`);

done((await ask(RevokeClientDocument, { input: { clientId: client.id, reason: 'the end of the walk-through' } })).revokeClient);
await until(events, 'REVOKED');
await socket.dispose();
