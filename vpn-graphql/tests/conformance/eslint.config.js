// How schema.graphql is to be written: https://the-guild.dev/graphql/eslint/rules
import { resolve } from 'node:path';
import plugin, { parser } from '@graphql-eslint/eslint-plugin';

export const SCHEMA = process.env.SCHEMA ?? resolve(import.meta.dirname, '../../schema.graphql');

export default [
  {
    files: ['**/*.graphql'],
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: SCHEMA } } },
    plugins: { '@graphql-eslint': plugin },
    rules: {
      ...plugin.configs['flat/schema-recommended'].rules,
      ...plugin.configs['flat/schema-relay'].rules,
      // async-graphql writes descriptions of one line in line, longer ones as blocks.
      '@graphql-eslint/description-style': 'off',
      // A list that is short by nature, such as that of user errors, needs no pages.
      '@graphql-eslint/relay-edge-types': [
        'error',
        { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
      ],
      // Only what can be fetched again has an id. The others are parts of it, what mutations give, and events.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            types: [
              'AuditTree',
              'Certificate',
              'ErasableValue',
              'Health',
              'HealthCheck',
              'HealthWarning',
              'HostStatus',
              'JobError',
              'PageInfo',
              'ProvisionTerms',
              'QueueHealth',
              'RevocationEvidence',
              'ServerContact',
              'ServerDifference',
              'ServerDrift',
              'UserError',
              'Viewer',
              'VpnSession',
            ],
            suffixes: ['Connection', 'Edge', 'Event', 'Payload'],
          },
        },
      ],
    },
  },
];
