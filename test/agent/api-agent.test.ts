// The listener on a living agent: commits proposed and read, history, attestations, explanations.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { apiPortsOf } from '../../agent/api/agent-ports.ts';
import { commitsSchema } from '../../agent/api/commits.ts';
import { type Api, listenApi } from '../../agent/api/listen.ts';
import { attestationsSchema, historySchema } from '../../agent/api/reads.ts';
import { COMMITS_PER_ANSWER_MAX, HISTORY_ENTRIES_MAX } from '../../agent/limits.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws, type Jws } from '../../shared/control/jws.ts';
import { decisionRecordSchema, recompute } from '../../shared/steering/explain.ts';
import { basisOf } from '../../shared/steering/scene.ts';
import { Fleet, newestOf, priorityOf } from '../fakes/fleet.ts';
import { noTenants } from '../fakes/provisioners.ts';
import { commit, keyNamed, signCommit } from '../shared/kit.ts';
import { type Asked, ask, HOST, idlePorts } from './api-rig.ts';

let fleet: Fleet;
let api: Api;
let logs: object[];

/** Bring commits to the agent while it waits for them, as its own loop would. */
let following: NodeJS.Timeout;

beforeEach(async () => {
  fleet = await Fleet.afloat();
  logs = [];
  const ports = apiPortsOf({
    agent: fleet.agent('eu1'),
    source: fleet.source,
    tenants: noTenants,
    status: () => ({}),
    nowMs: () => fleet.nowMs,
    crypto: nodeCrypto,
    log: (line) => logs.push(line),
  });
  // The fleet's clock stands still; who asks signs by the wall's.
  const wall = { ...idlePorts(), ...ports, nowMs: () => Date.now() };
  api = await listenApi({ host: HOST, port: 0 }, wall);
  following = setInterval(() => void fleet.turn('eu1'), 10);
});
afterEach(() => {
  clearInterval(following);
  api.close();
});

function get(path: string, more: Partial<Asked> = {}) {
  return ask({ port: api.port, path, by: 'alice', ...more });
}

function propose(jws: unknown) {
  const body = JSON.stringify(jws);
  return ask({ port: api.port, method: 'POST', path: '/v1/commits', body });
}

/** The next commit, signed and held by the author, not yet in the source. */
async function next(priority: number): Promise<Jws> {
  await commit(fleet.author, priorityOf(priority));
  return newestOf(fleet.author).jws;
}

describe('proposing', () => {
  test('a signed commit lands once, however often it is sent', async () => {
    const jws = await next(2);
    const { digest } = newestOf(fleet.author);
    for (let i = 0; i < 3; i++) {
      expect(await propose(jws)).toMatchObject({
        status: 201,
        value: { version: '2', envelope: digest },
      });
    }
    expect((await fleet.source.read(2n)).commits).toEqual([jws]);
  });

  test('one after the other meets no gap: the agent has read the first', async () => {
    const both = [await next(2), await next(3)];
    for (const jws of both) expect((await propose(jws)).status).toBe(201);
    expect((await fleet.source.read(2n)).commits).toEqual(both);
  });

  test('whoever was second is told what is there', async () => {
    const rival = await signCommit(fleet.author, priorityOf(9), {}, keyNamed('alice'));
    const first = await fleet.commit(priorityOf(2));
    const got = await propose(rival);
    expect(got).toMatchObject({
      status: 409,
      value: { code: 'conflict', version: '2', commits: [first] },
    });
  });

  test('a commit that receivers would refuse is refused with their code', async () => {
    const stranger = await signCommit(fleet.author, priorityOf(2), {}, keyNamed('mallory'));
    expect(await propose(stranger)).toMatchObject({ status: 422, value: { code: 'key-unknown' } });
    const lied = await signCommit(fleet.author, priorityOf(2), { lamport: 9n });
    expect(await propose(lied)).toMatchObject({ status: 422, value: { code: 'lamport' } });
    expect((await fleet.source.read(2n)).commits).toEqual([]);
  });

  // Reading asks who reads; a commit nobody may sign must not be a way around it.
  test('a stranger learns neither the head nor what is in a place', async () => {
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    for (const version of [1n, 2n, 3n, 9n]) {
      const key = keyNamed('mallory');
      const made = await signCommit(fleet.author, priorityOf(3), { version }, key);
      const startMs = performance.now();
      expect(await propose(made)).toEqual(
        expect.objectContaining({
          status: 422,
          value: { code: 'key-unknown', detail: expect.stringContaining(key.kid) },
        }),
      );
      expect(performance.now() - startMs).toBeLessThan(1_000);
    }
  });

  test('a gap of an operator’s is refused when the agent has waited for itself', async () => {
    clearInterval(following);
    const far = await signCommit(fleet.author, priorityOf(2), { version: 9n });
    expect(await propose(far)).toMatchObject({ status: 422, value: { code: 'gap' } });
  });

  test('a source that cannot be written is said, with when to come again', async () => {
    const jws = await next(2);
    // A turn that sees it first would say it in words of its own.
    clearInterval(following);
    await fleet.turn('eu1');
    fleet.source.broken = 'no leader';
    fleet.source.append = () => fleet.source.read(1n).then(() => 'exists');
    expect(await propose(jws)).toMatchObject({
      status: 503,
      value: { code: 'source-unreadable', detail: 'no leader' },
      headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
    });
  });
});

describe('reading commits', () => {
  test('from the chain, and none beyond it, also while the source is down', async () => {
    const [first] = (await fleet.source.read(1n)).commits;
    fleet.source.broken = 'no leader';
    expect(commitsSchema.parse((await get('/v1/commits')).value)).toMatchObject({
      head: { version: 1n },
      commits: [first],
      next: null,
    });
    expect((await get('/v1/commits?from=2')).value).toMatchObject({ commits: [], next: null });
  });

  test('no more than a page at once, and where to go on', async () => {
    const many = COMMITS_PER_ANSWER_MAX + 1;
    for (let version = 2n; version <= many; version++) {
      await fleet.commit(priorityOf(Number(version % 7n)));
    }
    await fleet.turn('eu1');
    const page = commitsSchema.parse((await get('/v1/commits?from=1')).value);
    expect([page.commits.length, page.next]).toEqual([COMMITS_PER_ANSWER_MAX, BigInt(many)]);
    const rest = commitsSchema.parse((await get(`/v1/commits?from=${page.next}`)).value);
    expect([rest.commits.length, rest.next]).toEqual([1, null]);
    const fitting = commitsSchema.parse((await get('/v1/commits?from=2')).value);
    expect([fitting.commits.length, fitting.next]).toEqual([COMMITS_PER_ANSWER_MAX, null]);
  });
});

describe('history', () => {
  test('is newest first, with what is active and which sites stand behind it', async () => {
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    const { commits } = historySchema.parse((await get('/v1/history')).value);
    expect(commits).toMatchObject([
      { version: 2n, author: 'alice', state: 'pending', attestedBy: ['eu1'], operations: 1 },
      { version: 1n, author: 'alice', state: 'active', attestedBy: ['eu1', 'us1', 'w1'] },
    ]);
    const one = historySchema.parse((await get('/v1/history?limit=1')).value);
    expect(one.commits.map(({ version }) => version)).toEqual([2n]);
    expect((await get(`/v1/history?limit=${HISTORY_ENTRIES_MAX + 1}`)).status).toBe(200);
  });
});

describe('attestations', () => {
  test('are the newest valid word of each agent, signed, and in short by site', async () => {
    const told = attestationsSchema.parse((await get('/v1/attestations')).value);
    expect(told.attestations).toHaveLength(3);
    expect(Object.keys(told.sites)).toEqual(['eu1', 'us1', 'w1']);
    expect(told.sites['us1']).toMatchObject([{ agent: 'us1-1', mode: 'live', version: 1n }]);
  });
});

describe('explain', () => {
  const inquiry = { host: 'ACME.example', method: 'GET', path: '/a', lat: 50, lon: 8 };

  function explain(question: object) {
    const body = JSON.stringify(question);
    return get('/v1/explain', { method: 'POST', body });
  }

  test('answers with a record that comes out the same when it is made again', async () => {
    const got = await explain({ ...inquiry, client: '192.0.2.7', country: 'DE', colo: 'FRA' });
    const record = decisionRecordSchema.parse(got.value);
    expect(record).toMatchObject({
      facts: { host: 'acme.example', client: '192.0.2.0/24', colo: 'fra', at: [50, 8] },
      decision: { outcome: { kind: 'forward', region: 'eu1' } },
    });
    const standing = fleet.agent('eu1').standing;
    if (standing === null) throw new Error('nothing stands');
    const { link, global, nodes, holder } = standing;
    const tenant = lookUpTenant('acme.example', link.manifest, nodes, nodeCrypto);
    if (tenant.kind === 'missing') throw new Error('a node is missing');
    const basis = basisOf(link, { ...holder, nowMs: fleet.nowMs });
    expect(recompute(record, { basis, global, tenant }).kind).toBe('same');
  });

  test('says no to an unknown host in the words of a decision', async () => {
    const got = await explain({ ...inquiry, host: 'nobody.example' });
    expect(got.value).toMatchObject({
      decision: { outcome: { kind: 'refuse', code: 'tenant-unknown' } },
    });
  });

  test('takes no query and no path that servers read in two ways', async () => {
    for (const path of ['/a?b', '/a#b', '/%2e%2e/b', '/a\\b']) {
      expect(await explain({ ...inquiry, path })).toMatchObject({
        status: 400,
        value: { code: 'path-malformed' },
      });
    }
  });
});

describe('trust and joins', () => {
  test('are told as they are held, and none beyond that', async () => {
    fleet.source.trust = async () => ({ b: 2 });
    fleet.source.join = async (agent?: string) => (agent === 'eu1-1' ? { c: 3 } : null);
    expect((await get('/v1/trust')).value).toEqual({ trust: [fleet.trust.jws], next: null });
    expect((await get('/v1/trust?from=2')).value).toEqual({ trust: [], next: null });
    expect((await get('/v1/joins/eu1-1')).value).toEqual({ join: { c: 3 } });
    expect(await get('/v1/joins/eu1-2')).toMatchObject({
      status: 404,
      value: { code: 'not-found' },
    });
  });
});

test('what is told of a commit is what was signed', async () => {
  const { commits } = commitsSchema.parse((await get('/v1/commits')).value);
  const decoded = decodeJws(commits[0], envelopeKind, nodeCrypto);
  expect('claimed' in decoded && decoded.digest).toBe(newestOf(fleet.author).digest);
});
