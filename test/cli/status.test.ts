// Status: what real agents say, shown side by side; what does not answer is said too.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { status } from '../../agent/cli/commands/status.ts';
import type { Project } from '../../agent/cli/init.ts';
import { STATUS_BYTES_MAX } from '../../agent/cli/limits.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { canonical } from '../../shared/canonical.ts';
import { signJws } from '../../shared/control/jws.ts';
import { receiptKind } from '../../shared/control/receipt.ts';
import { digestOf } from '../../shared/digest.ts';
import { until } from '../world/wait.ts';
import { agentUp as anyAgentUp } from './agent-kit.ts';
import { objectOf, portolan } from './portolan.ts';
import { commit, failureOf, newProject, slower, within } from './project-kit.ts';

const EDGE = 'http://edge.example/.portolan/ingest';

/** An agent of the project after one turn, whose one edge answers so, or does not. */
async function agentUp(project: Project, site: string, answer: string | null): Promise<string> {
  const push = async () => {
    if (answer === null) throw new Error('ECONNREFUSED');
    return answer;
  };
  const { url, told } = await anyAgentUp(project, site, { push, edges: [EDGE], alive: false });
  await until('the push is answered', () => !JSON.stringify(told()).includes('untried'), {
    deadlineMs: 5_000,
  });
  return url;
}

/** A receipt of `weur` for version 1, by the project's own edge key. */
async function receiptOf(project: Project): Promise<unknown> {
  const { cluster } = project.trust;
  const digest = digestOf('some', nodeCrypto);
  const place = { generation: 1n, version: 1n, envelope: digest, manifest: digest };
  const outcome = { kind: 'applied', ...place };
  const said = { kind: 'receipt', cluster, store: 'weur', seq: 7n, previous: null, at: 1, outcome };
  return signJws(receiptKind.typ, said, [await readSigner(project.keys.edge)]);
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
    const flags = { project: project.paths.folder, agent: urls };
    const { exit, text, data } = await status(flags);
    expect(exit).toBe(0);
    const lines = text.split('\n').map((line) => line.replace(/ +/g, ' ').trim());
    expect(lines).toContain('eu1-1 eu1 2 - - eu1');
    expect(lines).toContain('w1-1 w1 2 - - w1');
    expect(lines).toContain(`eu1-1 edge ${EDGE} 1 1 1.2 s -`);
    expect(lines).toContain('eu1-1 store weur 1 1 - - gap');
    expect(lines).toContain('eu1-1 store enam - - - - store-timeout');
    expect(lines).toContain(`w1-1 edge ${EDGE} - - - - ECONNREFUSED`);
    expect(lines).toContain('No receipts of stores.');
    expect(lines).toContain('No alarms.');
    expect(data).toMatchObject({
      agents: [
        { url: urls[0], reached: true, status: { agent: 'eu1-1', head: { version: '2' } } },
        { url: urls[1], reached: true, status: { agent: 'w1-1' } },
      ],
    });
  });

  test('show what stores signed that they applied (C11), not only what edges say', async () => {
    const project = await newProject();
    await commit(project);
    await commit(project, slower);
    const answer = JSON.parse(ANSWER);
    answer.stores[0].receipts = [await receiptOf(project), 'forged'];
    const url = await agentUp(project, 'eu1', canonical(answer));
    const lines = await until(
      'both receipts are judged',
      async () => {
        const { text } = await status({ project: project.paths.folder, agent: [url] });
        const found = text.split('\n').map((line) => line.replace(/ +/g, ' ').trim());
        // As often as it was handed over.
        return found.some((line) => /^eu1-1 malformed \d+$/.test(line)) && found;
      },
      { deadlineMs: 5_000 },
    );
    expect(lines).toContainEqual(expect.stringMatching(/^eu1-1 weur 1 1 \d+\.\d s 7 0$/));
  });

  test('one that does not answer is exit 6, and the others are shown', async () => {
    const project = await newProject();
    await commit(project);
    const urls = [await agentUp(project, 'us1', null), 'http://127.0.0.1:1'];
    const args = within(project, 'status', ...urls.flatMap((url) => ['--agent', url]));
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
    const { paths } = await newProject();
    const agent = [`http://127.0.0.1:${port}`];
    const error = await failureOf(status({ project: paths.folder, agent }));
    expect([error.code, error.exit]).toEqual(['unreachable', 6]);
    expect(error.lines.join()).toContain(reason);
  });
});
