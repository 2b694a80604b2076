// Holds the page's examples, and their variables, against the server's schema: ../schema.graphql or the file given.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildSchema, getOperationAST, getVariableValues, parse, validate } from 'graphql';

const examples = join(import.meta.dirname, 'src/examples');
const schema = buildSchema(readFileSync(resolve(process.argv[2] ?? join(import.meta.dirname, '../schema.graphql')), 'utf8'));
const variables = JSON.parse(readFileSync(join(examples, 'variables.json'), 'utf8'));

let wrong = 0;
for (const file of readdirSync(examples).filter((name) => name.endsWith('.graphql')).sort()) {
  const document = parse(readFileSync(join(examples, file), 'utf8'));
  const { name, variableDefinitions } = getOperationAST(document);
  const errors = [...validate(schema, document), ...(getVariableValues(schema, variableDefinitions, variables[name.value] ?? {}).errors ?? [])];
  for (const { message } of errors) console.error(`${file}: ${message}`);
  wrong += errors.length;
}
if (wrong) process.exit(1);
console.log('The examples fit the schema.');
