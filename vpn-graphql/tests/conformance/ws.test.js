// graphql-transport-ws, with the client that most programs use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { authorization, newClient, provision, WATCH, WS_URL } from './api.js';

function client(options = {}) {
  return createClient({ url: WS_URL, webSocketImpl: WebSocket, connectionParams: { authorization }, retryAttempts: 0, ...options });
}

/** The events up to the one that is wanted. */
async function until(events, wanted) {
  const seen = [];
  for await (const { data, errors } of events) {
    assert.equal(errors, undefined);
    seen.push(data.clientStatus);
    if (wanted(data.clientStatus)) return seen;
  }
  assert.fail('the events ended');
}

test('a query and a mutation run over the socket', async () => {
  const socket = client();
  for await (const { data } of socket.iterate({ query: '{ viewer { role } }' })) assert.deepEqual(data, { viewer: { role: 'OPERATOR' } });
  const query = 'mutation { revokeClient(input: { clientId: "none", reason: "a test" }) { userErrors { code } } }';
  for await (const { data } of socket.iterate({ query })) assert.equal(data.revokeClient.userErrors[0].code, 'NOT_FOUND');
  await socket.dispose();
});

test('a client is watched until it is active, and what was missed is told again', async () => {
  const socket = client();
  const id = await newClient('ws');
  const events = socket.iterate({ query: WATCH, variables: { id } });
  const { value } = await events.next();
  assert.equal(value.data.clientStatus.status, 'PENDING');
  await provision(id);
  const first = await until(events, ({ status }) => status === 'ACTIVE');
  const again = await until(socket.iterate({ query: WATCH, variables: { id, after: value.data.clientStatus.cursor } }), ({ status }) => status === 'ACTIVE');
  assert.deepEqual(again, first);
  await socket.dispose();
});

test('subscriptions share a socket, and one that ends leaves the others alone', async () => {
  const socket = client();
  const id = await newClient('ws-shared');
  const [one, two] = [1, 2].map(() => socket.iterate({ query: WATCH, variables: { id } }));
  await Promise.all([one.next(), two.next()]);
  await one.return();
  await provision(id);
  assert.equal((await two.next()).value.data.clientStatus.job.state, 'QUEUED');
  await socket.dispose();
});

test('what is refused before it runs comes as errors', async () => {
  const socket = client();
  await assert.rejects(
    () => socket.iterate({ query: 'subscription { nothing }' }).next(),
    ([error]) => error.extensions.code === 'GRAPHQL_VALIDATION_FAILED',
  );
  await assert.rejects(
    () => socket.iterate({ query: WATCH, variables: { id: 'none' } }).next(),
    ([error]) => error.extensions.code === 'BAD_USER_INPUT',
  );
  await socket.dispose();
});

test('without a token the socket is closed with 4403', async () => {
  const socket = client({ connectionParams: {} });
  await assert.rejects(() => socket.iterate({ query: '{ viewer { role } }' }).next(), ({ code, reason }) => code === 4403 && reason === 'Forbidden');
});
