import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-ws';

const HTTP_URL = '/graphql';
const WS_URL = `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/graphql/ws`;

/**
 * What GraphiQL calls to run an operation: queries and mutations by HTTP POST, subscriptions over
 * graphql-transport-ws. `onSchema` is told how reading the schema went.
 */
export function createFetcher(token, onSchema) {
  const authorization = token && `Bearer ${token}`;
  const socket = createClient({
    url: WS_URL,
    connectionParams: authorization ? { authorization } : {},
    // A lost connection is shown, not hidden: whoever watches presses play again.
    retryAttempts: 0,
  });

  function fetcher(params, options) {
    if (isSubscription(params, options?.documentAST)) return subscribe(socket, params);
    if (params.operationName !== 'IntrospectionQuery') return post(authorization, params);
    // Asking without a token would only put a refusal into the server's audit log each time the page is opened.
    if (!token) throw failure('Paste an access token at the top of the page to load the schema.');
    return introspect(authorization, params, onSchema);
  }
  fetcher.dispose = () => socket.dispose();
  return fetcher;
}

function isSubscription({ operationName }, document) {
  return document !== undefined && getOperationAST(document, operationName)?.operation === 'subscription';
}

async function post(authorization, { query, variables, operationName }) {
  const response = await fetch(HTTP_URL, {
    method: 'POST',
    headers: {
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
      ...(authorization && { authorization }),
    },
    body: JSON.stringify({ query, variables, operationName: operationName ?? undefined }),
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
  }).catch(() => {
    throw failure('The server could not be reached.');
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw failure(`HTTP ${response.status} ${response.statusText}: ${text.slice(0, 500) || 'empty answer'}`);
  }
}

async function introspect(authorization, params, onSchema) {
  onSchema({ state: 'loading' });
  try {
    const result = await post(authorization, params);
    // Thrown, because to an answer without a schema GraphiQL would ask again in another way.
    if (!result.data?.__schema) throw failure(reason(result));
    onSchema({ state: 'loaded' });
    return result;
  } catch (error) {
    onSchema({ state: 'refused', reason: error.message });
    throw error;
  }
}

function reason({ errors: [error] = [] }) {
  if (!error) return 'the server sent no schema';
  const code = error.extensions?.code;
  return code ? `${error.message} (${code})` : error.message;
}

/** graphql-ws's iterator, with failures that GraphiQL can print. */
function subscribe(socket, { query, variables, operationName }) {
  const events = socket.iterate({ query, variables, operationName: operationName ?? undefined });
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () =>
      events.next().catch((error) => {
        if (Array.isArray(error)) return { done: false, value: { errors: error } };
        throw failure(error instanceof Error ? error.message : closeMessage(error));
      }),
    return: () => events.return(),
    throw: (error) => events.throw(error),
  };
}

function closeMessage({ code, reason: why }) {
  return code ? `The WebSocket was closed: ${code} ${why || 'without a reason'}` : 'The WebSocket failed.';
}

/** GraphiQL prints an error with its stack, which says nothing to whoever uses the page. */
function failure(message) {
  return Object.assign(new Error(message), { stack: undefined });
}
