// What is logged of a decision, and that a record is enough to come to it again (S10).

import { describe, expect, test } from 'vitest';
import { View } from '../../edge/control/view.ts';
import type { EdgeEnv } from '../../edge/env.ts';
import { handle } from '../../edge/steering/handle.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import {
  type DecisionRecord,
  decisionRecordSchema,
  recompute,
} from '../../shared/steering/explain.ts';
import { basisOf } from '../../shared/steering/scene.ts';
import { crypto, put, tenantPuts, testTrust } from '../shared/kit.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { NOW, Origin } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(
  trust,
  [put('global/latency/nrt', { eu1: 210, us1: 150 })],
  [
    put('global/scopes/german', { regions: ['eu1'], ingress: { countries: ['DE'] } }),
    ...tenantPuts('local', { hosts: ['local.example'], scope: 'german', home: 'eu1' }),
  ],
);
const fresh = await origin.freshHead(NOW);

interface Asked {
  readonly url: string;
  readonly method?: string;
  readonly cf?: object;
  /** Age of the state, ms. */
  readonly ageMs?: number;
}

/** The lines that one request leaves, in an isolate that has everything it needs. */
async function linesOf(logDecisions: EdgeEnv['DECISION_LOG'], asked: Asked): Promise<object[]> {
  const store = new FakeStore('weur', origin, fresh);
  const ports = fakePorts([store], { logDecisions });
  const view = new View(trust, crypto);
  const { url, method = 'GET', cf = {}, ageMs = 0 } = asked;
  const request = () => new Request(url, { method, cf: cf as IncomingRequestCfProperties });
  await ports.clock.run(handle(request(), view, { ...ports, logDecisions: 'none' }));
  ports.clock.nowMs = NOW + ageMs;
  store.broken = 'rejects';
  await ports.clock.run(handle(request(), view, ports));
  return JSON.parse(JSON.stringify(ports.lines));
}

const CF = { country: 'FR', colo: 'CDG', latitude: '48.9', longitude: '2.4' };

const FORWARDED: readonly Asked[] = [
  { url: 'https://acme.example/', cf: CF },
  { url: 'https://globex.example/', cf: CF },
  { url: 'https://globex.example/', method: 'POST', cf: CF },
  { url: 'https://globex.example/session/1', cf: CF, ageMs: 14_000 },
  { url: 'https://globex.example/', cf: { colo: 'NRT' } },
  { url: 'https://globex.example/', cf: {}, ageMs: 1_234 },
  { url: 'https://globex.example/', cf: CF, ageMs: 200_000 },
];

const REFUSED: readonly (readonly [string, Asked])[] = [
  ['tenant-unknown', { url: 'https://nobody.example/', cf: CF }],
  ['ingress-country', { url: 'https://local.example/', cf: CF }],
  ['country-unknown', { url: 'https://local.example/' }],
  ['state-expired', { url: 'https://acme.example/', method: 'PUT', cf: CF, ageMs: 60_001 }],
];

const UNDECIDED: readonly (readonly [string, Asked])[] = [
  ['path-malformed', { url: 'https://acme.example/a%00' }],
  ['request-malformed', { url: `https://${'long.'.repeat(60)}example/` }],
];

describe('DECISION_LOG', () => {
  test.each(FORWARDED)('all: what is forwarded is logged ($method $url $ageMs)', async (asked) => {
    expect(await linesOf('all', asked)).toMatchObject([{ kind: 'decision' }]);
  });

  test.each(FORWARDED)('refused: what is forwarded is not ($method $url $ageMs)', async (asked) => {
    expect(await linesOf('refused', asked)).toEqual([]);
  });

  test.each(REFUSED)('all, refused: %s is logged; none: nothing is', async (code, asked) => {
    const line = { kind: 'decision', decision: { outcome: { kind: 'refuse', code } } };
    expect(await linesOf('all', asked)).toMatchObject([line]);
    expect(await linesOf('refused', asked)).toMatchObject([line]);
    expect(await linesOf('none', asked)).toEqual([]);
  });

  test.each(UNDECIDED)('all, refused: %s is named beside its id', async (code, asked) => {
    const line = { code, id: '07'.repeat(16) };
    expect(await linesOf('all', asked)).toMatchObject([line]);
    expect(await linesOf('refused', asked)).toMatchObject([line]);
    expect(await linesOf('none', asked)).toEqual([]);
  });

  test('a value that is none of the three logs nothing', async () => {
    const [asked] = FORWARDED;
    const odd = undefined as unknown as 'none';
    expect(asked && (await linesOf(odd, asked))).toEqual([]);
  });
});

describe('a record', () => {
  /** The state that anyone folds from the commits, for the host of a record. */
  function stateFor({ facts }: DecisionRecord, from: Origin) {
    const { state, chain, book } = from.held.holder;
    const link = chain.at(-1);
    const nodes = (digest: string) => from.held.nodes.get(digest as never);
    const tenant = lookUpTenant(facts.host, state.manifest, nodes, crypto);
    if (link === undefined || tenant.kind === 'missing') throw new Error('the state is whole');
    const basis = basisOf(link, { chain, book, trust, nowMs: NOW });
    return { basis, global: state.global, tenant };
  }

  const all = [...FORWARDED, ...REFUSED.map(([, asked]) => asked)];

  test.each(all)('comes to the same decision again ($method $url $ageMs)', async (asked) => {
    const [line] = await linesOf('all', asked);
    const record = decisionRecordSchema.parse(line);
    expect(recompute(record, stateFor(record, origin)).kind).toBe('same');
  });

  test.each(all)('comes to another on another state ($method $url $ageMs)', async (asked) => {
    const earlier = await Origin.start(trust, [put('global/latency/nrt', { eu1: 210, us1: 150 })]);
    const [line] = await linesOf('all', asked);
    const record = decisionRecordSchema.parse(line);
    expect(recompute(record, stateFor(record, earlier)).kind).toBe('different');
  });

  test('names no address of a client, only its network', async () => {
    const store = new FakeStore('weur', origin, fresh);
    const ports = fakePorts([store], { logDecisions: 'all' });
    const headers = { 'cf-connecting-ip': '192.0.2.77', authorization: 'Bearer secret' };
    const request = new Request('https://acme.example/a?token=secret', { headers });
    await ports.clock.run(handle(request, new View(trust, crypto), ports));
    expect(JSON.stringify(ports.lines)).toContain('192.0.2.0/24');
    expect(JSON.stringify(ports.lines)).not.toMatch(/192\.0\.2\.77|secret/);
  });
});
