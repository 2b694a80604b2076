// Makes generated.ts: the types of ../operations.graphql, from the server's schema.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codegen } from '@graphql-codegen/core';
import * as documentNode from '@graphql-codegen/typed-document-node';
import * as operations from '@graphql-codegen/typescript-operations';
import { parse } from 'graphql';

const read = (variable, file) => readFileSync(process.env[variable] ?? join(import.meta.dirname, file), 'utf8');
const filename = join(import.meta.dirname, 'generated.ts');
const text = await codegen({
  filename,
  schema: parse(read('SCHEMA', '../../vpn-graphql/schema.graphql')),
  documents: [{ location: 'operations.graphql', document: parse(read('OPERATIONS', '../operations.graphql')) }],
  config: { useTypeImports: true, enumsAsTypes: true, strictScalars: true, scalars: { DateTime: 'string', JSON: 'unknown' } },
  pluginMap: { operations, documentNode },
  plugins: [{ operations: {} }, { documentNode: {} }],
});
writeFileSync(filename, text);
