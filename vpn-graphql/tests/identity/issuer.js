// A certified OpenID Connect provider, `oidc-provider`, on a free port of loopback.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

/** What each application may ask for: its groups, whom its token is for, and what signs it, if anything does. */
const CLIENTS = {
  ...Object.fromEntries(
    ['ES256', 'EdDSA', 'RS256'].map((alg) => [`robot-${alg}`, { groups: ['vpn-operators'], audience: 'vpn', alg }]),
  ),
  visitor: { groups: ['everybody'], audience: 'vpn', alg: 'ES256' },
  stranger: { groups: ['vpn-operators'], audience: 'wiki', alg: 'ES256' },
  opaque: { groups: ['vpn-operators'], audience: 'vpn' },
};
const SECRET = randomUUID();

function signingKey(alg) {
  const kinds = { ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519'], RS256: ['rsa', { modulusLength: 2048 }] };
  const { privateKey } = generateKeyPairSync(...kinds[alg]);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
}

function provider(issuer) {
  return new Provider(issuer, {
    jwks: { keys: ['ES256', 'EdDSA', 'RS256'].map(signingKey) },
    clients: Object.keys(CLIENTS).map((client_id) => ({
      client_id,
      client_secret: SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://vpn.example.org',
        getResourceServerInfo: (_, __, { clientId }) => {
          const { audience, alg } = CLIENTS[clientId];
          const kind = alg ? { accessTokenFormat: 'jwt', jwt: { sign: { alg } } } : { accessTokenFormat: 'opaque' };
          return { scope: '', audience, accessTokenTTL: 60, ...kind };
        },
      },
    },
    extraTokenClaims: (_, { clientId }) => ({ groups: CLIENTS[clientId].groups }),
  });
}

/** Starts one. */
export async function startIssuer() {
  let handle;
  const server = createServer((request, response) => handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = provider(issuer).callback();
  return {
    issuer,
    /** The token that it gives to this client. */
    async token(client) {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${client}:${SECRET}`)}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(JSON.stringify(answer));
      return answer.access_token;
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
