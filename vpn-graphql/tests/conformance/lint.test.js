// schema.graphql against the rules of @graphql-eslint.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ESLint } from 'eslint';
import { SCHEMA } from './eslint.config.js';

test('schema.graphql keeps the rules of schema-recommended and schema-relay', async () => {
  const eslint = new ESLint({ cwd: import.meta.dirname });
  const [{ messages }] = await eslint.lintText(readFileSync(SCHEMA, 'utf8'), { filePath: 'schema.graphql' });
  assert.deepEqual(messages.map(({ line, message, ruleId }) => `${line}: ${message} (${ruleId})`), []);
});
