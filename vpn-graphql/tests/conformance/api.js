// The server that is tested, and one client of it.
import { readFileSync } from 'node:fs';

/** Such as http://127.0.0.1:8080/graphql. */
export const URL_ = process.env.URL;
export const WS_URL = `${URL_.replace(/^http/, 'ws')}/ws`;
const token = readFileSync(process.env.TOKEN_FILE, 'utf8').trim();
export const authorization = `Bearer ${token}`;

/** `fetch`, as somebody whom the server knows. */
export function knownFetch(url, options = {}) {
  const headers = new Headers(options.headers);
  headers.set('authorization', authorization);
  return fetch(url, { ...options, headers });
}

/** The data of a query or a mutation. */
export async function ask(query, variables) {
  const response = await knownFetch(URL_, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** The id of a new client. */
export async function newClient(name) {
  const { servers } = await ask('{ servers { id } }');
  const { createClient } = await ask(
    'mutation($input: CreateClientInput!) { createClient(input: $input) { client { id } userErrors { message } } }',
    { input: { name: `${name}-${process.pid}`, serverId: servers[0].id } },
  );
  return createClient.client.id;
}

export const provision = (clientId) =>
  ask('mutation($id: ID!) { provisionClient(input: { clientId: $id, validityDays: 7 }) { job { id } userErrors { message } } }', { id: clientId });

export const WATCH = `subscription($id: ID!, $after: String) {
  clientStatus(id: $id, after: $after) { cursor status job { state step } }
}`;
