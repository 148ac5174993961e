// The real process: it says when it is ready, ends when it is told to, and does not start, or go
// on, where it may not.

import { once } from 'node:events';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AgentFolder, type AgentProcess, jwkOf } from '../fakes/agent-process.ts';
import { LOOPBACK, makeAuthority } from '../world/certificates.ts';
import { until } from '../world/wait.ts';
import { ask } from './api-rig.ts';

const SOON = { deadlineMs: 10_000 };
/** What a process may take to end: the timeout of a push, and some. */
const END = { deadlineMs: 3_000 };
const TEST_MS = 20_000;

let folder: AgentFolder;
let started: AgentProcess[];
beforeEach(async () => {
  folder = await AgentFolder.make();
  started = [];
});
afterEach(async () => {
  await Promise.all(started.map((agent) => agent.kill()));
  await folder.remove();
});

function start(config?: string): AgentProcess {
  const agent = folder.start(config);
  started.push(agent);
  return agent;
}

/** The exit of a process that should end by now; it fails where it goes on. */
async function exitOf(agent: AgentProcess): Promise<readonly [number | null, string | null]> {
  let exit: readonly [number | null, string | null] | null = null;
  void agent.ended.then((ended) => {
    exit = ended;
  });
  return until('the process ends', () => exit, END);
}

async function gateway(service = 'http://127.0.0.1:9') {
  const { cert, key } = await (await makeAuthority()).issue(LOOPBACK);
  await writeFile(folder.at('tls.pem'), cert);
  await writeFile(folder.at('tls.key'), key);
  const listen = { host: '127.0.0.1', port: 0 };
  return { gateway: { listen, tls: { cert: 'tls.pem', key: 'tls.key' }, service } };
}

const fatals = ({ log }: AgentProcess) => log.filter(({ level }) => level === 60);

describe('a process that runs', () => {
  test(
    'says where it listens, attests what it read, and tells its status',
    async () => {
      await folder.configure(await gateway());
      const agent = start();
      const ready = await agent.ready;
      expect(ready).toEqual({ api: expect.any(Number), gateway: expect.any(Number) });
      const status = await until(
        'it has attested',
        async () => {
          const told = await agent.status();
          return (told['sitesHeard'] as string[]).length > 0 && told;
        },
        SOON,
      );
      expect(status).toMatchObject({
        site: 'eu1',
        head: { version: '1' },
        active: null,
        sitesHeard: ['eu1'],
        alarms: {},
        requests: {},
      });
      const kept = JSON.parse(await readFile(folder.at('state', 'keep.json'), 'utf8'));
      expect(kept).toMatchObject({ version: '1', generation: '1' });
    },
    TEST_MS,
  );

  // Its standard input is still open then: a terminal's, a pipe's.
  test(
    'ends on SIGTERM and on SIGINT with exit 0',
    async () => {
      const agents = [start(), start()] as const;
      for (const { ready } of agents) await ready;
      agents[0].child.kill('SIGTERM');
      agents[1].child.kill('SIGINT');
      expect(await Promise.all(agents.map(exitOf))).toEqual([
        [0, null],
        [0, null],
      ]);
      expect(agents.flatMap(fatals)).toEqual([]);
    },
    TEST_MS,
  );

  test(
    'ends when its standard input closes: whoever started it is gone',
    async () => {
      const agent = start();
      await agent.ready;
      agent.child.stdin?.end();
      expect(await exitOf(agent)).toEqual([0, null]);
    },
    TEST_MS,
  );

  test(
    'goes on where its standard input is /dev/null, as in a container',
    async () => {
      const agent = folder.start(undefined, 'ignore');
      started.push(agent);
      await agent.ready;
      agent.child.kill('SIGHUP');
      await agent.logged(({ event }) => event === 'reloaded');
      expect(agent.child.exitCode).toBeNull();
      agent.child.kill('SIGTERM');
      expect(await exitOf(agent)).toEqual([0, null]);
    },
    TEST_MS,
  );

  test(
    'ends though a target hangs and a client holds a connection',
    async () => {
      const hangs = net.createServer(() => {}).listen(0, '127.0.0.1');
      await once(hangs, 'listening');
      const { port } = hangs.address() as AddressInfo;
      await folder.configure({ peers: [`http://127.0.0.1:${port}/v1/delta`] });
      const agent = start();
      const pushed = once(hangs, 'connection');
      const { api } = await agent.ready;
      await pushed;
      const client = net.connect(api, '127.0.0.1').on('error', () => {});
      await once(client.resume(), 'connect');
      await agent.status();
      agent.child.stdin?.end();
      try {
        expect(await exitOf(agent)).toEqual([0, null]);
      } finally {
        hangs.close();
        client.destroy();
      }
    },
    TEST_MS,
  );

  test(
    'answers over TLS to who shows a certificate or signs, and to nobody else',
    async () => {
      const authority = await makeAuthority();
      const { cert, key } = await authority.issue(LOOPBACK);
      await writeFile(folder.at('api.pem'), cert);
      await writeFile(folder.at('api.key'), key);
      await writeFile(folder.at('clients.pem'), authority.caPem);
      const tls = { cert: 'api.pem', key: 'api.key', clientCa: 'clients.pem' };
      await folder.configure({ api: { host: '127.0.0.1', port: 0, tls } });
      const agent = start();
      const { api: port } = await agent.ready;
      const path = '/v1/status';
      const ca = authority.caPem;
      const own = await authority.issueClient('operator');
      const certified = await ask({ port, path, tls: { ca, ...own } });
      expect(certified).toMatchObject({ status: 200, value: { agent: 'eu1-1' } });
      expect((await ask({ port, path, tls: { ca }, by: 'alice' })).status).toBe(200);
      expect((await ask({ port, path, tls: { ca } })).status).toBe(401);
      expect((await ask({ port, path, by: 'alice' })).status).toBe(0);
    },
    TEST_MS,
  );

  // A connection check of a load balancer is one: opened, nothing said, held.
  test(
    'ends though a client of its gateway is still in its handshake',
    async () => {
      await folder.configure(await gateway());
      const agent = start();
      const { gateway: port } = await agent.ready;
      const client = net.connect(port ?? 0, '127.0.0.1').on('error', () => {});
      await once(client.resume(), 'connect');
      await agent.status();
      agent.child.stdin?.end();
      try {
        expect(await exitOf(agent)).toEqual([0, null]);
      } finally {
        client.destroy();
      }
    },
    TEST_MS,
  );

  test(
    'takes other targets on SIGHUP, and keeps the old ones where the file is bad',
    async () => {
      const urls = async () => {
        const { targets } = await agent.status();
        return (targets as { url: string; kind: string }[]).map(
          ({ url, kind }) => `${kind} ${url}`,
        );
      };
      await folder.configure({ peers: ['http://127.0.0.1:9/a'] });
      const agent = start();
      await agent.ready;
      expect(await urls()).toEqual(['peer http://127.0.0.1:9/a']);
      await folder.configure({ peers: ['http://127.0.0.1:9/b'], ingest: ['http://127.0.0.1:9/c'] });
      agent.child.kill('SIGHUP');
      await agent.logged(({ event }) => event === 'reloaded');
      expect(await urls()).toEqual(['edge http://127.0.0.1:9/c', 'peer http://127.0.0.1:9/b']);
      await folder.configure({ peers: ['nowhere'] });
      agent.child.kill('SIGHUP');
      const { error } = await agent.logged(({ alarm }) => alarm === 'config');
      expect(error).toMatch(/peers\.0: an http\(s\) URL/);
      expect(await urls()).toEqual(['edge http://127.0.0.1:9/c', 'peer http://127.0.0.1:9/b']);
    },
    TEST_MS,
  );

  // What it must not forget cannot be written: it may not attest, and a supervisor must see it end.
  test(
    'ends with exit 1 when its keep cannot be written',
    async () => {
      await symlink(folder.at('nowhere', 'deep'), folder.at('gone'));
      await folder.configure({ keep: 'gone/keep.json', ...(await gateway()) });
      const agent = start();
      await agent.ready;
      await agent.logged(({ level }) => level === 60);
      expect(await exitOf(agent)).toEqual([1, null]);
    },
    TEST_MS,
  );
});

describe('a process that does not start', () => {
  test.each<readonly [string, (at: AgentFolder) => unknown, RegExp]>([
    ['the gateway is open to all', openToAll, /gateway\.listen\.host/],
    [
      'the key is another agent’s',
      (at) => key(at, jwkOf('agent us1-1')),
      /is not the key of eu1\/eu1-1/,
    ],
    ['the key is none', (at) => key(at, 'secret'), /no private Ed25519 JWK/],
    ['the trust document is none', (at) => trusting(at, '{}'), /malformed/],
    ['its join is no join', ownJoin, /malformed/],
    ['its keep is damaged', damaged, /JSON/],
  ])(
    'because %s ends with exit 1 and one line that says so',
    async (_, spoil, says) => {
      await spoil(folder);
      const agent = start();
      expect(await exitOf(agent)).toEqual([1, null]);
      expect(fatals(agent)).toHaveLength(1);
      expect(fatals(agent)[0]).toMatchObject({ error: expect.stringMatching(says) });
      expect(JSON.stringify(agent.log)).not.toContain(JSON.parse(jwkOf('agent eu1-1')).d);
    },
    TEST_MS,
  );

  test(
    'because its port is taken ends with exit 1, whatever it opened before',
    async () => {
      const taken = net.createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      await folder.configure({ api: { host: '127.0.0.1', port }, ...(await gateway()) });
      const agent = start();
      try {
        await agent.logged(({ level }) => level === 60);
        expect(fatals(agent)[0]).toMatchObject({ error: expect.stringMatching(/EADDRINUSE/) });
        expect(await exitOf(agent)).toEqual([1, null]);
      } finally {
        taken.close();
      }
    },
    TEST_MS,
  );
});

// Attack: who may write to the source stops a new agent (I16). What an operator put beside the
// agent itself is another thing: that it is none is his mistake.
test(
  'a new agent starts without its join where that is none in the source, and says so',
  async () => {
    await joining(folder, '{"payload":"","signatures":[]}');
    const agent = start();
    expect(await agent.ready).toMatchObject({ gateway: null });
    expect(await agent.logged(({ alarm }) => alarm !== undefined)).toMatchObject({
      alarm: 'malformed',
      detail: expect.stringContaining('join'),
    });
    await agent.logged(({ alarm }) => alarm === 'not-attested');
  },
  TEST_MS,
);

// C10: the keep says more than a join. Attack: a join spoiled in a shared directory, so that no
// agent comes back from a restart.
test(
  'an agent with a keep starts, whatever lies where its join was',
  async () => {
    const first = start();
    await until('it has attested', () => readFile(folder.at('state', 'keep.json')), SOON);
    await first.kill();
    await joining(folder, '{"payload":"","signatures":[]}');
    const second = start();
    expect(await second.ready).toMatchObject({ gateway: null });
  },
  TEST_MS,
);

function key(at: AgentFolder, text: string): Promise<void> {
  return writeFile(at.at('keys', 'eu1-1.jwk'), text);
}

function trusting(at: AgentFolder, text: string): Promise<void> {
  return writeFile(at.at('trust.json'), text);
}

function joining(at: AgentFolder, text: string): Promise<void> {
  return writeFile(at.at('control', 'joins', 'eu1-1.json'), text);
}

async function ownJoin(at: AgentFolder): Promise<void> {
  await writeFile(at.at('join.json'), '{"payload":"","signatures":[]}');
  await at.configure({ join: 'join.json' });
}

async function damaged(at: AgentFolder): Promise<void> {
  await at.configure({ keep: 'keep.json' });
  await writeFile(at.at('keep.json'), '{"seq":"1",');
}

async function openToAll(at: AgentFolder): Promise<void> {
  const open = await gateway();
  open.gateway.listen.host = '0.0.0.0';
  await at.configure(open);
}
