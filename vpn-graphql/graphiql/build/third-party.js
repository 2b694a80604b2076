// The licences of everything in the bundle, in one text: packages with the same licence text share it.
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const LICENCE = /^(licen[cs]e|copying|notice|third-?party-?notices)([.-].*)?$/i;
const RULE = `\n${'='.repeat(80)}\n\n`;

/** `inputs` are the bundled files, as paths from `root`. */
export async function thirdParty(root, inputs) {
  const packages = new Set(inputs.map(packageDir).filter(Boolean));
  const byText = new Map();
  for (const dir of [...packages].sort()) {
    const { name, version, license, author } = JSON.parse(await readFile(join(root, dir, 'package.json'), 'utf8'));
    const text = (await texts(join(root, dir))) || `${license}. The package has no licence file. ${authorLine(author)}`.trim();
    byText.set(text, [...(byText.get(text) ?? []), `${name} ${version} (${license})`]);
  }
  const parts = [...byText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`);
  return ['GraphiQL, as served by vpn-graphql, contains the following packages.\n', ...parts].join(RULE);
}

function packageDir(input) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

async function texts(dir) {
  const names = (await readdir(dir)).filter((name) => LICENCE.test(name)).sort();
  const all = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')));
  return all.map((text) => text.replaceAll('\r\n', '\n').trim()).join('\n\n');
}

function authorLine(author) {
  const name = typeof author === 'string' ? author : author?.name;
  return name ? `Author: ${name}.` : '';
}
