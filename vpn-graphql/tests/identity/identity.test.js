// People come with the tokens of an identity provider which knows nothing of us.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startIssuer } from './issuer.js';
import { startPlatform } from './platform.js';

let issuer;
let platform;

before(async () => {
  issuer = await startIssuer();
  platform = await startPlatform([
    `oidc_issuer = "${issuer.issuer}"`,
    'oidc_audience = "vpn"',
    'oidc_role_claim = "groups"',
    'oidc_roles = "vpn-admins=admin, vpn-operators=operator"',
  ]);
});

after(async () => {
  await platform?.stop();
  await issuer?.stop();
});

async function viewer(token) {
  const response = await fetch(platform.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: '{ viewer { principal role } }' }),
  });
  return { status: response.status, ...(await response.json()) };
}

const refused = async (token) => {
  const answer = await viewer(token);
  assert.equal(answer.status, 401);
  assert.equal(answer.errors[0].extensions.code, 'UNAUTHENTICATED');
};

test('its tokens admit, whatever signs them, under their name and with the role that their groups give', async () => {
  for (const alg of ['ES256', 'EdDSA', 'RS256']) {
    const answer = await viewer(await issuer.token(`robot-${alg}`));
    assert.deepEqual(answer.data?.viewer, { principal: `robot-${alg}`, role: 'OPERATOR' }, JSON.stringify(answer));
  }
});

test('a token for somebody else, or without a group that we know, or that is none, is refused', async () => {
  for (const client of ['stranger', 'visitor', 'opaque']) await refused(await issuer.token(client));
});

test('a token that somebody changed is refused', async () => {
  const [header, claims, signature] = (await issuer.token('robot-ES256')).split('.');
  const more = JSON.parse(Buffer.from(claims, 'base64url'));
  more.groups = ['vpn-admins'];
  const forged = Buffer.from(JSON.stringify(more)).toString('base64url');
  await refused(`${header}.${forged}.${signature}`);
});
