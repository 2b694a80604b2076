// GraphQL over Server-Sent Events in distinct connections mode, with the client that most programs use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-sse';
import { ask, authorization, knownFetch, newClient, provision, URL_, WATCH } from './api.js';

const client = (options = {}) => createClient({ url: URL_, headers: { authorization }, retryAttempts: 0, ...options });

async function all(events) {
  const seen = [];
  for await (const event of events) seen.push(event);
  return seen;
}

async function until(events, wanted) {
  const seen = [];
  for await (const { data, errors } of events) {
    assert.equal(errors, undefined);
    seen.push(data.clientStatus);
    if (wanted(data.clientStatus)) return seen;
  }
  assert.fail('the events ended');
}

test('a query and a mutation give one event, and complete', async () => {
  assert.deepEqual(await all(client().iterate({ query: '{ viewer { role } }' })), [{ data: { viewer: { role: 'OPERATOR' } } }]);
  const query = 'mutation { revokeClient(input: { clientId: "none", reason: "a test" }) { userErrors { code } } }';
  const [{ data }, ...more] = await all(client().iterate({ query }));
  assert.deepEqual([data.revokeClient.userErrors[0].code, more], ['NOT_FOUND', []]);
});

test('a client is watched until it is active, and what was missed is told again', async () => {
  const id = await newClient('sse');
  const events = client().iterate({ query: WATCH, variables: { id } });
  const { value } = await events.next();
  assert.equal(value.data.clientStatus.status, 'PENDING');
  await provision(id);
  const first = await until(events, ({ status }) => status === 'ACTIVE');
  const after = value.data.clientStatus.cursor;
  assert.deepEqual(await until(client().iterate({ query: WATCH, variables: { id, after } }), ({ status }) => status === 'ACTIVE'), first);
});

test('what is refused in the middle comes as errors, and what is refused before is no stream', async () => {
  const [{ errors }, ...more] = await all(client().iterate({ query: WATCH, variables: { id: 'none' } }));
  assert.deepEqual([errors[0].extensions.code, more], ['BAD_USER_INPUT', []]);
  await assert.rejects(() => client().iterate({ query: '{' }).next(), ({ response }) => response.status === 400);
  await assert.rejects(() => client({ headers: {} }).iterate({ query: '{ viewer { role } }' }).next(), ({ response }) => response.status === 401);
});

test('a subscription can be asked for with GET, and nothing may keep its events back', async () => {
  const id = await newClient('sse-get');
  const url = `${URL_}?${new URLSearchParams({ query: WATCH, variables: JSON.stringify({ id }) })}`;
  const abort = new AbortController();
  const response = await knownFetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  assert.equal(response.headers.get('content-encoding'), null);
  abort.abort();
});

test('many can watch side by side', async () => {
  const id = await newClient('sse-many');
  const watching = Array.from({ length: 20 }, () => client().iterate({ query: WATCH, variables: { id } }));
  await Promise.all(watching.map((events) => events.next()));
  await provision(id);
  const seen = await Promise.all(watching.map((events) => until(events, ({ status }) => status === 'ACTIVE')));
  for (const events of seen) assert.deepEqual(events, seen[0]);
  assert.equal((await ask('query($id: ID!) { client(id: $id) { status } }', { id })).client.status, 'ACTIVE');
});
