// Monaco's icon font has more than 500 icons. The page gets those that the bundled files name.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import subsetFont from 'subset-font';

const LIBRARY = 'node_modules/monaco-editor/esm/vs/base/common/codiconsLibrary.js';
const FONT = 'node_modules/monaco-editor/esm/vs/base/browser/ui/codicons/codicon/codicon.ttf';

/** The font with the icons that one of `inputs` (paths from `root`) names in any of the ways Monaco has. */
export async function iconFont(root, inputs) {
  const codes = await library(root);
  const used = new Set();
  for (const input of inputs.filter((path) => /\.(m?js|css)$/.test(path) && path !== LIBRARY)) {
    const text = await readFile(join(root, input), 'utf8');
    const names = text.matchAll(/\bCodicon\.(\w+)|codicon-([a-z0-9-]+)|\$\(([a-z0-9-]+)[)~]|['"]([a-z0-9-]+)['"]/g);
    for (const [, member, style, label, id] of names) {
      const code = codes.get(member ?? style ?? label ?? id);
      if (code !== undefined) used.add(code);
    }
  }
  if (used.size < 50) throw new Error(`only ${used.size} icons found: has Monaco changed how it names them?`);
  const text = String.fromCodePoint(...[...used].sort((a, b) => a - b));
  return subsetFont(await readFile(join(root, FONT)), text, { targetFormat: 'truetype' });
}

/** Code points by name (`chevron-down`) and by member (`chevronDown`). */
async function library(root) {
  const codes = new Map();
  for (const [, member, id, code] of (await readFile(join(root, LIBRARY), 'utf8')).matchAll(/(\w+): register\('([a-z0-9-]+)', (0x[0-9a-f]+|\d+)\)/g)) {
    codes.set(member, Number(code)).set(id, Number(code));
  }
  if (codes.size === 0) throw new Error('no icons found: has Monaco changed its list?');
  return codes;
}
