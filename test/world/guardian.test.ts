// Whatever ends a launcher, nothing that its world started is left: no process and no port.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Child, type Children, startGuardian } from './children.ts';
import { GRACE_MS } from './guardian.ts';
import { isAlive, until } from './wait.ts';

// Longer than the deadlines within: what was waited for should be the message on a slow machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** A child with a child of its own that holds a port. `STUBBORN` ones do not end when asked. */
const PARENT = `
  const { spawn } = require('node:child_process');
  const stdio = ['ignore', 'pipe', 'ignore'];
  const grandchild = spawn(process.execPath, ['-e', process.env.GRANDCHILD], { stdio });
  if (process.env.STUBBORN) process.on('SIGTERM', () => {});
  grandchild.stdout.once('data', (port) => console.log(JSON.stringify(
    { ready: { pids: [process.pid, grandchild.pid], port: Number(port) } })));
`;
const GRANDCHILD = `
  if (process.env.STUBBORN) process.on('SIGTERM', () => {});
  const server = require('node:net').createServer();
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

type Family = { readonly pids: readonly number[]; readonly port: number };

/**
 * The launcher of these tests: a world with one family, told on stdout, and no handler of any
 * signal.
 */
const LAUNCHER = `
  import { startGuardian } from ${JSON.stringify(new URL('./children.ts', import.meta.url))};
  const children = await startGuardian(process.env.FOLDER);
  const child = await children.start({
    name: 'parent',
    command: process.execPath,
    args: ['-e', process.env.PARENT],
    env: { GRANDCHILD: process.env.GRANDCHILD },
  });
  console.log(JSON.stringify({ guardian: children.pid, ...child.ready }));
`;

test.each([
  ['is killed with SIGKILL', (pid: number) => process.kill(pid, 'SIGKILL')],
  ['gets Ctrl-C with its process group', (pid: number) => process.kill(-pid, 'SIGINT')],
  ['loses its terminal', (pid: number) => process.kill(-pid, 'SIGHUP')],
  ['is killed with its process group', (pid: number) => process.kill(-pid, 'SIGKILL')],
])('nothing is left when the launcher %s', async (_, strike) => {
  const launcher = launch();
  const [line] = await once(createInterface({ input: launcher.stdout }), 'line');
  const world = JSON.parse(line) as Family & { guardian: number };
  expect(world.pids.every(isAlive)).toBe(true);
  expect(await answers(world.port)).toBe(true);
  strike(launcher.pid as number);
  await isGone(world);
  await until('the guardian to end', () => !isAlive(world.guardian), { deadlineMs: 5000 });
});

test('a child that ignores SIGTERM is killed after the grace', async () => {
  const children = await guardian();
  const { child, family } = await startFamily(children, { STUBBORN: '1' });
  const started = performance.now();
  expect(await child.stop()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(performance.now() - started).toBeGreaterThan(GRACE_MS - 50);
  await isGone(family);
});

test('a stopped child is ended with its world', async () => {
  const children = await guardian();
  const { child, family } = await startFamily(children);
  await child.signal('SIGSTOP');
  await children.stopAll();
  expect(await child.exited).toEqual({ code: null, signal: 'SIGTERM' });
  await isGone(family);
});

test('a stopped child that ignores SIGTERM is killed with its world', async () => {
  const children = await guardian();
  const { child, family } = await startFamily(children, { STUBBORN: '1' });
  await child.signal('SIGSTOP');
  await children.stopAll();
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  await isGone(family);
});

test('a child that crashes takes what it started along, and its name is free again', async () => {
  const children = await guardian();
  const first = await startFamily(children);
  process.kill(first.child.pid, 'SIGKILL'); // it alone, unlike a signal by the guardian
  expect(await first.child.exited).toEqual({ code: null, signal: 'SIGKILL' });
  await isGone(first.family);
  const second = await startFamily(children);
  expect(second.family.pids.every(isAlive)).toBe(true);
});

test('a child that ends before it is ready is refused with the end of its log', async () => {
  const children = await guardian();
  const start = children.start(node('broken', 'console.error("no such key"); process.exit(3)'));
  await expect(start).rejects.toThrow(/ended before.*\(code 3[\s\S]*no such key/);
});

test('a child that does not become ready in time is refused and ended', async () => {
  const children = await guardian();
  const silent = { ...node('silent', 'setInterval(() => {}, 1000)'), deadlineMs: 200 };
  await expect(children.start(silent)).rejects.toThrow(/no readiness within 200 ms/);
  await expect(children.start(silent)).rejects.toThrow(/no readiness/); // its name is free again
});

test('a command that does not exist is refused', async () => {
  const children = await guardian();
  const start = children.start({ name: 'none', command: '/nonexistent', args: [] });
  await expect(start).rejects.toThrow(/ENOENT/);
});

test('a child answers commands, and its error is the caller’s', async () => {
  const children = await guardian();
  const child = await children.start(
    node(
      'echo',
      `console.log('{"ready": {}}');
      require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { ask, say } = JSON.parse(line);
        const told = say ? { value: say } : { error: 'nothing to say' };
        console.log(JSON.stringify({ answer: ask, ...told }));
      });`,
    ),
  );
  expect(await Promise.all([child.ask({ say: 'a' }), child.ask({ say: 'b' })])).toEqual(['a', 'b']);
  await expect(child.ask({})).rejects.toThrow('echo: nothing to say');
  await child.stop();
  await expect(child.ask({ say: 'c' })).rejects.toThrow('echo is not running');
});

test('children inherit nothing of the environment but the few names that are listed', async () => {
  process.env['PORTOLAN_TEST_SECRET'] = 'x';
  onTestFinished(() => {
    delete process.env['PORTOLAN_TEST_SECRET'];
  });
  const children = await guardian();
  const tell = 'console.log(JSON.stringify({ ready: { names: Object.keys(process.env) } }))';
  const { ready } = await children.start(node('env', tell));
  expect(ready['names']).not.toContain('PORTOLAN_TEST_SECRET');
  expect(ready['names']).toContain('TMPDIR');
});

function launch(): ChildProcess & { stdout: NonNullable<ChildProcess['stdout']> } {
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', LAUNCHER], {
    detached: true, // a process group of its own, as a shell gives a command
    env: { ...process.env, FOLDER: folder(), PARENT, GRANDCHILD },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void launcher.kill('SIGKILL'));
  return launcher as ReturnType<typeof launch>;
}

async function guardian(): Promise<Children> {
  const children = await startGuardian(folder());
  onTestFinished(() => children.stopAll());
  return children;
}

async function startFamily(
  children: Children,
  env: Record<string, string> = {},
): Promise<{ child: Child; family: Family }> {
  const order = { ...node('parent', PARENT), env: { GRANDCHILD, ...env } };
  const child = await children.start(order);
  return { child, family: child.ready as Family };
}

function node(name: string, script: string) {
  return { name, command: process.execPath, args: ['-e', script] };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'portolan-guardian-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function isGone(family: Family): Promise<void> {
  const deadlineMs = GRACE_MS + 3000;
  for (const pid of family.pids) {
    await until(`process ${pid} to end`, () => !isAlive(pid), { deadlineMs });
  }
  // Not at once: a process counts as ended while the last of its threads still closes its files.
  await until('its port to close', async () => !(await answers(family.port)), { deadlineMs });
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
