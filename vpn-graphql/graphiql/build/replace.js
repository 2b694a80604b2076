// Leaves out of the bundle what the page cannot reach. Every rule must match, so that an upgrade cannot pass one by unseen.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const VS = 'monaco-editor/esm/vs/';

/** Modules that are imported but never used here, and all that hangs on them: no diff is shown or computed. */
const EMPTY = {
  [`${VS}editor/browser/widget/diffEditor/diffEditorWidget.js`]: 'export class DiffEditorWidget {}',
  [`${VS}editor/browser/widget/multiDiffEditor/multiDiffEditorWidget.js`]: 'export class MultiDiffEditorWidget {}',
  [`${VS}editor/common/diff/linesDiffComputers.js`]: 'export const linesDiffComputers = {};',
};

/** Only the Unicode highlighter, which is not in the page, reads this table of look-alike characters. */
const STRINGS = `${VS}base/common/strings.js`;
const LOOK_ALIKES = /JSON\.parse\('\{\\"_common\\":[^']*'\)/g;

/** Packages and entries of which something smaller does the work. */
const INSTEAD = [
  [/^framer-motion$/, 'src/shims/framer-motion.jsx'],
  [/^prettier\/(standalone|parser-graphql|parser-babel|plugins\/estree|plugins\/graphql)$/, 'src/shims/prettier.js'],
  [/^(monaco-graphql\/esm|\.)\/monaco-editor(\.js)?$/, 'src/monaco.js'],
];

/** React 19 has this built in. */
const COMPILER_RUNTIME = /^react-compiler-runtime$/;

/**
 * What these files load on demand the page needs at once, and every import on demand costs files of its own.
 * Prettier stays on demand.
 */
const EAGER = /(@graphiql\/react\/dist|monaco-graphql\/esm|monaco-editor\/esm\/vs\/(language\/json|basic-languages\/graphql))\/.*\.js$/;
const ON_DEMAND = /\bimport\((["'])(?!prettier)([^"']+)\1\)/g;

export function replace(root) {
  const packages = join(root, 'node_modules');
  const expected = new Set([...Object.keys(EMPTY), STRINGS, ...INSTEAD.map(([filter]) => String(filter)), String(COMPILER_RUNTIME)]);
  const matched = (rule) => expected.delete(rule);

  return {
    name: 'replace',
    setup(build) {
      for (const [filter, path] of INSTEAD) {
        build.onResolve({ filter }, ({ importer }) => {
          const instead = join(root, path);
          if (importer === instead) return undefined;
          matched(String(filter));
          return { path: instead };
        });
      }
      build.onResolve({ filter: COMPILER_RUNTIME }, ({ kind, resolveDir }) => {
        matched(String(COMPILER_RUNTIME));
        return build.resolve('react/compiler-runtime', { kind, resolveDir });
      });
      build.onLoad({ filter: /monaco-editor.*\.js$|@graphiql.*\.js$|monaco-graphql.*\.js$/ }, async ({ path }) => {
        const name = path.slice(packages.length + 1).replaceAll('\\', '/');
        if (name in EMPTY) {
          matched(name);
          return { contents: EMPTY[name] };
        }
        if (name === STRINGS) {
          const contents = (await readFile(path, 'utf8')).replace(LOOK_ALIKES, () => {
            matched(STRINGS);
            return '{ _common: [], _default: [] }';
          });
          return { contents };
        }
        if (EAGER.test(name)) return { contents: eager(await readFile(path, 'utf8')) };
        return undefined;
      });
      build.onEnd(({ errors }) => {
        if (errors.length || expected.size === 0) return undefined;
        return { errors: [...expected].map((rule) => ({ text: `nothing matched the rule ${rule} of build/replace.js` })) };
      });
    },
  };
}

function eager(text) {
  const imports = [];
  const body = text.replace(ON_DEMAND, (_all, _quote, path) => {
    imports.push(`import * as eager${imports.length} from ${JSON.stringify(path)};\n`);
    return `Promise.resolve(eager${imports.length - 1})`;
  });
  return imports.join('') + body;
}
