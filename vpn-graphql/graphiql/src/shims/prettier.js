// Stands in for every entry of Prettier that GraphiQL asks for. GraphQL is formatted by Prettier itself. For the JSON
// of the variables Prettier would need all of Babel; jsonc-parser, which is in the page anyway, does it with comments kept.
import { format as edits, applyEdits } from 'jsonc-parser';
import * as graphql from 'prettier/plugins/graphql';

export * from 'prettier/standalone';

export const languages = graphql.languages;

export const parsers = {
  ...graphql.parsers,
  jsonc: {
    astFormat: 'jsonc-text',
    parse: (text) => ({ text: applyEdits(text, edits(text, undefined, { tabSize: 2, insertSpaces: true, eol: '\n' })) }),
    locStart: () => 0,
    locEnd: (node) => node.text.length,
  },
};

const hardline = [{ type: 'line', hard: true, literal: true }, { type: 'break-parent' }];

export const printers = {
  ...graphql.printers,
  'jsonc-text': {
    print: ({ node }) => [...node.text.trimEnd().split('\n').flatMap((line, index) => (index ? [hardline, line] : [line])), hardline],
  },
};
