// Status: what real agents say, shown side by side; what does not answer is said too.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { listenApi } from '../../agent/api/listen.ts';
import { status } from '../../agent/cli/commands/status.ts';
import type { Project } from '../../agent/cli/init.ts';
import { STATUS_BYTES_MAX } from '../../agent/cli/limits.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { Agent } from '../../agent/loop.ts';
import type { Kept } from '../../agent/ports.ts';
import { statusOf } from '../../agent/status.ts';
import { canonical } from '../../shared/canonical.ts';
import { openJoin } from '../../shared/control/join.ts';
import { noTenants } from '../fakes/provisioners.ts';
import { until } from '../world/wait.ts';
import { commit, failureOf, newProject, objectOf, portolan, slower } from './project-kit.ts';

const EDGE = 'http://edge.example/.portolan/ingest';

/** An agent of the project after one turn, answering on a port of its own. */
async function agentUp(project: Project, site: string, answer: string | null): Promise<string> {
  const own = project.agents.find((agent) => agent.site === site);
  if (own === undefined) throw new Error(`no agent of ${site}`);
  const identity = {
    site,
    agent: own.agent,
    assume: 'up' as const,
    targets: [{ url: EDGE, kind: 'edge' as const }],
  };
  const source = new ControlDirectory(project.paths.control);
  const join = await openJoin(await source.join(own.agent), own, project.trust, nodeCrypto);
  if ('code' in join) throw new Error(join.code);
  let kept: Kept | null = null;
  const agent = await Agent.start(identity, project.trust, join, {
    nowMs: () => Date.now(),
    crypto: nodeCrypto,
    signer: await readSigner(own.key),
    source,
    keep: {
      load: async () => kept,
      save: async (next) => {
        kept = next;
      },
    },
    push: async () => {
      if (answer === null) throw new Error('ECONNREFUSED');
      return answer;
    },
    log: () => {},
  });
  if ('code' in agent) throw new Error(agent.code);
  await agent.turn();
  const tell = () => statusOf(agent, identity, null, Date.now());
  await until('the push is answered', () => !JSON.stringify(tell()).includes('untried'), {
    deadlineMs: 5_000,
  });
  const api = await listenApi(
    { host: '127.0.0.1', port: 0 },
    {
      deliver: (delta) => agent.deliver(delta),
      status: tell,
      tenants: noTenants,
      log: () => {},
    },
  );
  onTestFinished(() => api.close());
  return `http://127.0.0.1:${api.port}`;
}

const ANSWER = canonical({
  stores: [
    { id: 'weur', head: { generation: '1', version: '1' }, floor: null, refused: ['gap'] },
    { id: 'enam', floor: null, refused: [], code: 'store-timeout' },
  ],
  edge: { version: '1', ageMs: 1234, verdicts: {}, counters: {} },
});

describe('agents', () => {
  test('are shown side by side, with edges, stores and lags', async () => {
    const project = await newProject();
    await commit(project);
    await commit(project, slower);
    const urls = [await agentUp(project, 'eu1', ANSWER), await agentUp(project, 'w1', null)];
    const { exit, text, data } = await status(urls);
    expect(exit).toBe(0);
    const lines = text.split('\n').map((line) => line.replace(/ +/g, ' ').trim());
    expect(lines).toContain('eu1-1 eu1 2 - - eu1');
    expect(lines).toContain('w1-1 w1 2 - - w1');
    expect(lines).toContain(`eu1-1 edge ${EDGE} 1 1 1.2 s -`);
    expect(lines).toContain('eu1-1 store weur 1 1 - - gap');
    expect(lines).toContain('eu1-1 store enam - - - - store-timeout');
    expect(lines).toContain(`w1-1 edge ${EDGE} - - - - ECONNREFUSED`);
    expect(lines).toContain('No alarms.');
    expect(data).toMatchObject({
      agents: [
        { url: urls[0], reached: true, status: { agent: 'eu1-1', head: { version: '2' } } },
        { url: urls[1], reached: true, status: { agent: 'w1-1' } },
      ],
    });
  });

  test('one that does not answer is exit 6, and the others are shown', async () => {
    const project = await newProject();
    await commit(project);
    const urls = [await agentUp(project, 'us1', null), 'http://127.0.0.1:1'];
    const args = ['status', ...urls.flatMap((url) => ['--agent', url])];
    const [words, object] = await Promise.all([portolan(args), portolan([...args, '--json'])]);
    expect(words.exit).toBe(6);
    expect(words.stdout).toContain('us1-1');
    expect(words.stderr).toContain('unreachable: 1 of 2 agents do not answer');
    expect(words.stderr).toContain('http://127.0.0.1:1: ');
    expect(object.exit).toBe(6);
    expect(objectOf(object)).toMatchObject({
      ok: false,
      error: {
        code: 'unreachable',
        agents: [{ reached: true }, { reached: false, reason: expect.any(String) }],
      },
    });
  });

  const answers: readonly (readonly [string, (response: ServerResponse) => void, string])[] = [
    ['is no status', (response) => response.end('{"site":"eu1"}'), 'answered no status'],
    ['is no JSON', (response) => response.end('<html>'), 'answered no status'],
    ['is an error', (response) => response.writeHead(500).end('{}'), 'answered 500'],
    [
      'leads elsewhere',
      (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'redirect',
    ],
    [
      'is too large',
      (response) => response.end(' '.repeat(STATUS_BYTES_MAX + 1)),
      'the answer is too large',
    ],
  ];
  test.each(answers)('an answer that %s is not believed', async (_, answer, reason) => {
    const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const error = await failureOf(status([`http://127.0.0.1:${port}`]));
    expect([error.code, error.exit]).toEqual(['unreachable', 6]);
    expect(error.lines.join()).toContain(reason);
  });
});
