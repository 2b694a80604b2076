// `vpn-graphql serve` on a free port of loopback, over an SQLite and a Redis of its own, which has a socket for a port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = process.env.SERVER;

/** The first line that matches of what it says; fails with all of it when it ends before. */
async function told(child, from, pattern) {
  let output = '';
  for await (const line of createInterface({ input: from })) {
    output += `${line}\n`;
    const found = line.match(pattern);
    if (found) {
      from.resume();
      return found;
    }
  }
  throw new Error(`${child.spawnfile} ended:\n${output}`);
}

async function stopped(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** Starts it all; `oidc` are the lines of its configuration about the issuer. */
export async function startPlatform(oidc) {
  const home = await mkdtemp(join(tmpdir(), 'vpn-identity-'));
  const socket = join(home, 'redis');
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', home]);
  const children = [redis];
  const stop = async () => {
    for (const child of children.reverse()) await stopped(child);
    await rm(home, { recursive: true });
  };
  try {
    await told(redis, redis.stdout, /ready to accept connections/i);
    const config = join(home, 'config.toml');
    const lines = [
      `database_url = "sqlite://${home}/platform.db"`,
      `redis_url = "redis+unix://${socket}"`,
      `profile_key = "${'5e'.repeat(32)}"`,
      'listen = "127.0.0.1:0"',
      ...oidc,
    ];
    await writeFile(config, lines.join('\n'), { mode: 0o600 });
    const run = (command, errors) => spawn(PROGRAM, [command, '--config', config], { stdio: ['ignore', 'inherit', errors] });
    const [status] = await once(run('migrate', 'inherit'), 'exit');
    if (status !== 0) throw new Error(`vpn-graphql migrate ended with ${status}`);
    const server = run('serve', 'pipe');
    children.push(server);
    const [, address] = await told(server, server.stderr, /listening.*?(127\.0\.0\.1:\d+)/);
    return { url: `http://${address}/graphql`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
