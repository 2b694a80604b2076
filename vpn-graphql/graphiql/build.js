// Builds the page into dist/ (or the directory given): .gz files only, with the same bytes on every machine.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { gzipAsync } from '@gfx/zopfli';
import { build } from 'esbuild';
import { iconFont } from './build/icons.js';
import { replace } from './build/replace.js';
import { thirdParty } from './build/third-party.js';

const root = import.meta.dirname;
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

/** Where the server serves dist/; the page itself is at this path without the slash at the end. */
const BASE = '/graphiql/';

const PAGE = 'src/main.jsx';
const WORKERS = {
  editor: 'node_modules/monaco-editor/esm/vs/editor/editor.worker.js',
  graphql: 'node_modules/monaco-graphql/esm/graphql.worker.js',
  json: 'node_modules/monaco-editor/esm/vs/language/json/json.worker.js',
};

/** The page and its workers in one go, so that they share what they have in common. */
function bundle(icons) {
  const iconLoader = {
    name: 'icons',
    setup: ({ onLoad }) => onLoad({ filter: /codicon\.ttf$/ }, () => ({ contents: icons, loader: 'file' })),
  };
  return build({
    absWorkingDir: root,
    entryPoints: { page: PAGE, ...WORKERS },
    outdir: 'out',
    entryNames: 'assets/[name]-[hash]',
    chunkNames: 'assets/shared-[hash]',
    assetNames: 'assets/icons-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2023',
    minify: true,
    legalComments: 'none',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    loader: { '.graphql': 'text' },
    plugins: [iconLoader, replace(root)],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
}

/** The page with the addresses of its files; shared ones are named too, so that the browser asks for all at once. */
async function html({ outputs }) {
  const url = (path) => path.replace(/^out\//, BASE);
  const entry = (source) => Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === source);
  const [script, { cssBundle, imports }] = entry(PAGE);
  const shared = imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => path);
  const tags = [
    `<link rel="stylesheet" href="${url(cssBundle)}">`,
    ...shared.map((path) => `<link rel="modulepreload" href="${url(path)}">`),
    ...Object.entries(WORKERS).map(([name, source]) => `<meta name="worker:${name}" content="${url(entry(source)[0])}">`),
    `<script type="module" src="${url(script)}"></script>`,
  ];
  return (await readFile(join(root, 'src/index.html'), 'utf8')).replace('<!-- assets -->', tags.join('\n'));
}

/** Zopfli and not zlib: smaller, no time in the header, and no processor- or version-dependent output. */
async function write(name, contents) {
  const path = join(dist, `${name}.gz`);
  const packed = await gzipAsync(Buffer.from(contents), { numiterations: 15 });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, packed);
  console.log(`${String(packed.length).padStart(8)}  ${name}.gz`);
  return packed.length;
}

// Twice: only the first bundle tells which icons the second one needs.
const inputs = Object.keys((await bundle(Buffer.alloc(0))).metafile.inputs).sort();
const { outputFiles, metafile } = await bundle(await iconFont(root, inputs));

const files = outputFiles.map(({ path, contents }) => [path.replaceAll('\\', '/').replace(/^.*\/out\//, ''), contents]);
files.push(['index.html', await html(metafile)], ['THIRD-PARTY.txt', await thirdParty(root, inputs)]);

await rm(dist, { recursive: true, force: true });
let total = 0;
for (const [name, contents] of files.sort(([a], [b]) => (a < b ? -1 : 1))) total += await write(name, contents);
console.log(`${String(total).padStart(8)}  in all`);
