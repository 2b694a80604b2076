// The page at /graphiql, in Debian's Chromium: what a person does there, and that nobody else is asked for
// anything meanwhile.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { URL: api, TOKEN_FILE, SCREENSHOT, CHROMIUM = '/usr/bin/chromium' } = process.env;
const { origin } = new URL(api);
const token = readFileSync(TOKEN_FILE, 'utf8').trim();

// Nothing of its own: no update, no sign-in, no guess at what might be loaded next.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const PATIENCE = 60_000;

const complaints = [];
const asked = [];
let profile, browser, page;

before(async () => {
  profile = mkdtempSync(join(tmpdir(), 'vpn-browser-'));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: FLAGS,
    viewport: { width: 1400, height: 900 },
  });
  browser.setDefaultTimeout(PATIENCE);
  await browser.exposeFunction('complain', (text) => complaints.push(text));
  await browser.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.complain(`CSP: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  page = await browser.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  browser.on('request', (request) => asked.push(request.url()));
  page.on('websocket', (socket) => asked.push(socket.url()));
});

after(async () => {
  // As it was at the end, or where it went wrong.
  if (SCREENSHOT) await page?.screenshot({ path: SCREENSHOT });
  await browser?.close();
  rmSync(profile, { recursive: true, force: true });
});

/** The data of a query or a mutation, asked for beside the page. */
async function ask(query, variables) {
  const response = await fetch(api, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined);
  return data;
}

const answer = () => page.locator('.result-window');
const run = () => page.getByRole('button', { name: /^Execute query/ }).click();

/** Waits until the answer has this text. The editor shows blanks as such that do not break. */
const answered = (text) => answer().filter({ hasText: text }).waitFor();

test('without a token the page says what to do', async () => {
  const response = await page.goto(`${origin}/graphiql`);
  assert.equal(response.status(), 200);
  await page.getByRole('status').filter({ hasText: 'No token. Paste one' }).waitFor();
});

test('with a token the schema is loaded, and an example runs', async () => {
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Use token' }).click();
  await page.getByRole('status').filter({ hasText: 'Token accepted, schema loaded.' }).waitFor();
  await run();
  await answered('"sandbox"');
});

test('a client is followed live while it is let in', async () => {
  const { servers } = await ask('{ servers { id } }');
  const { createClient } = await ask(
    'mutation($input: CreateClientInput!) { createClient(input: $input) { client { id } userErrors { message } } }',
    { input: { name: `browser-${process.pid}`, serverId: servers[0].id } },
  );
  const { id } = createClient.client;
  await page.getByRole('tab', { name: 'WatchClient' }).click();
  await page.locator('.graphiql-editor-tool .monaco-editor').first().click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(JSON.stringify({ id }));
  // The editor closes by itself what it saw opened.
  await page.keyboard.press('Control+Shift+End');
  await page.keyboard.press('Delete');
  await run();
  await answered('"PENDING"');
  await ask('mutation($id: ID!) { provisionClient(input: { clientId: $id, validityDays: 7 }) { job { id } userErrors { message } } }', { id });
  await answered('"ACTIVE"');
  await answered('"SUCCEEDED"');
});

test('the token is in no address and no lasting storage', async () => {
  const lasting = await page.evaluate(() => JSON.stringify(window.localStorage));
  assert.ok(!lasting.includes(token));
  assert.ok(!asked.some((url) => url.includes(token)));
});

test('nobody else was asked for anything, and nothing was complained about', () => {
  assert.ok(asked.length > 5, 'requests are seen');
  const ours = [origin, origin.replace(/^http/, 'ws')];
  const foreign = asked.filter((url) => !ours.includes(new URL(url).origin) && !/^(blob|data):/.test(url));
  assert.deepEqual(foreign, []);
  assert.ok(asked.some((url) => url.startsWith('ws')), 'the subscription was seen');
  assert.deepEqual(complaints, []);
});
