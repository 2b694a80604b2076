// GraphQL over HTTP: every audit of graphql-http, those of a SHOULD included.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { knownFetch, URL_ } from './api.js';

const audits = serverAudits({ url: URL_, fetchFn: knownFetch });

test('there are as many audits as there were', () => assert.equal(audits.length, 61));

for (const { id, name, fn } of audits) {
  test(`${id} ${name}`, async () => {
    const { status, reason } = await fn();
    assert.equal(status, 'ok', reason);
  });
}
