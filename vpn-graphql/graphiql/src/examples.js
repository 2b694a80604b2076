// One tab each, in the order of a client's life. `npm run check:examples` holds them against the server's schema.
import auditLog from './examples/audit-log.graphql';
import createClient from './examples/create-client.graphql';
import deliverProfile from './examples/deliver-profile.graphql';
import overview from './examples/overview.graphql';
import provisionClient from './examples/provision-client.graphql';
import revokeClient from './examples/revoke-client.graphql';
import variables from './examples/variables.json';
import watchClient from './examples/watch-client.graphql';

const tab = (query, values) => ({ query, variables: values && JSON.stringify(values, null, 2) });

export const examples = [
  tab(overview),
  tab(createClient, variables.CreateClient),
  tab(provisionClient, variables.ProvisionClient),
  tab(watchClient, variables.WatchClient),
  tab(deliverProfile, variables.DeliverProfile),
  tab(revokeClient, variables.RevokeClient),
  tab(auditLog),
];
