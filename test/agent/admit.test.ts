// A gateway's admission of one call (P3): what is refused at once, what a moment's wait may lift,
// and what no header can bring about.

import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Standing } from '../../agent/control/hold.ts';
import { type Admitted, admit } from '../../agent/gateway/admit.ts';
import { GATEWAY_CATCH_UP_MS } from '../../shared/limits.ts';
import {
  PROVENANCE_BYTES_MAX,
  type Provenance,
  provenanceHeader,
  writeProvenance,
} from '../../shared/provenance/profile.ts';
import { priorityOf } from '../fakes/fleet.ts';
import { provenanceOf, standingOf } from '../fakes/standing.ts';
import { SEED } from '../shared/forge.ts';
import { commit, FIRST, newHolder, tenantPuts, testTrust } from '../shared/kit.ts';

const NOW = 1_790_000_000_000;

const held = newHolder(await testTrust());
await commit(held, FIRST);
const first = await standingOf(held, NOW);
await commit(held, priorityOf(7));
const second = await standingOf(held, NOW);
const missing: Standing = { ...first, nodes: () => undefined };

interface Given {
  readonly self?: string;
  readonly header?: string | undefined;
  readonly says?: Partial<Provenance>;
  readonly method?: string;
  readonly url?: string;
  readonly upgrade?: string;
  readonly standing?: Standing | null;
  readonly nowMs?: number;
  /** What happens while it waits: at this many ms the standing is another. */
  readonly later?: readonly (readonly [number, Standing])[];
}

/** Admits on a clock that only waiting moves. */
async function admitted(
  given: Given,
): Promise<{ outcome: Admitted; waitedMs: number; waits: number }> {
  const header = 'header' in given ? given.header : writeProvenance(provenanceOf(given.says));
  const headers = { [provenanceHeader]: header, upgrade: given.upgrade };
  const request = { method: given.method ?? 'GET', url: given.url ?? '/', headers };
  const start = given.nowMs ?? NOW;
  const later = [...(given.later ?? [])];
  let { standing = first } = given;
  let elapsedMs = 0;
  let waits = 0;
  const outcome = await admit(request as unknown as IncomingMessage, {
    self: given.self ?? 'eu1',
    standing: () => standing,
    changed: async (ms) => {
      if (++waits > 1_000) throw new Error('it waits without end');
      expect(ms).toBeGreaterThan(0);
      const [at, next] = later[0] ?? [Number.POSITIVE_INFINITY];
      const due = at <= elapsedMs + ms;
      elapsedMs = due ? Math.max(elapsedMs, at) : elapsedMs + ms;
      if (due && next !== undefined) standing = next;
      if (due) later.shift();
    },
    nowMs: () => start + elapsedMs,
    hasher: nodeCrypto,
  });
  return { outcome, waitedMs: elapsedMs, waits };
}

async function saying(given: Given): Promise<string> {
  const { outcome } = await admitted(given);
  return outcome.kind === 'admitted' ? outcome.admission.op : outcome.code;
}

describe('at once', () => {
  const whole = writeProvenance(provenanceOf());
  test.each<readonly [string, Given, string]>([
    ['a read', {}, 'read'],
    ['a write', { method: 'POST' }, 'write'],
    ['a session', { url: '/session/1?a=/b' }, 'session'],
    ['a session by another spelling', { url: '/%73ession' }, 'session'],
    ['an upgrade', { upgrade: 'websocket' }, 'session'],
    ['a host below a wildcard', { says: { host: 'shop.acme.example' } }, 'read'],
    ['a replica', { self: 'us1', says: globex() }, 'read'],

    ['no header', { header: undefined }, 'provenance-missing'],
    ['an empty header', { header: '' }, 'provenance-malformed'],
    ['rubbish', { header: 'eu1' }, 'provenance-malformed'],
    ['two headers', { header: `${whole}, ${whole}` }, 'provenance-malformed'],
    ['a cut header', { header: whole.slice(0, -1) }, 'provenance-malformed'],
    ['a member twice', { header: `${whole}, body=none` }, 'provenance-malformed'],
    ['too long a header', { header: 'x'.repeat(PROVENANCE_BYTES_MAX + 1) }, 'provenance-malformed'],
    ['a target of another form', { url: 'http://other/' }, 'provenance-malformed'],
    ['no target', { url: '*' }, 'provenance-malformed'],
    ['a hidden dot segment', { url: '/a/%2e%2e/session' }, 'provenance-malformed'],

    ['another region', { says: { aud: 'us1' } }, 'wrong-region'],
    ['a host of nobody', { says: { host: 'nobody.example' } }, 'tenant-mismatch'],
    ['a host in capitals', { says: { host: 'ACME.EXAMPLE' } }, 'tenant-mismatch'],
    ['two labels below a wildcard', { says: { host: 'a.b.acme.example' } }, 'tenant-mismatch'],
    ['a host of another', { says: { host: 'globex.example' } }, 'tenant-mismatch'],
    ['an older placement', { says: { epoch: 0n } }, 'stale-route'],
    ['a region outside the scope', { self: 'us1', says: { aud: 'us1' } }, 'gateway-residency'],
    ['a write at a replica', { self: 'us1', says: globexAtEu1(), method: 'PUT' }, 'wrong-region'],
    ['a write away from home', { says: globexAtEu1(), method: 'PUT' }, 'gateway-residency'],
    ['a session away from home', { says: globexAtEu1(), url: '/session' }, 'gateway-residency'],
    ['a read of 300 s', { nowMs: NOW + 300_000 }, 'read'],
    ['an older read', { nowMs: NOW + 300_001 }, 'gateway-expired'],
    ['an older write', { nowMs: NOW + 60_001, method: 'PUT' }, 'gateway-expired'],
    ['a clock put back', { nowMs: NOW - 4_000 }, 'read'],
  ])('%s', async (_, given, expected) => {
    expect(await saying(given)).toBe(expected);
    expect((await admitted(given)).waits).toBe(0);
  });

  // A wildcard covers one label of a name, and a service builds links and cookies from its host.
  test('what is no host name is nobody’s host, whatever a wildcard would cover', async () => {
    const labels = ['x y', '*', 'a/b', 'a:80', 'a"', 'A', 'x.', 'a@b', 'x'.repeat(64)];
    const outcomes: string[] = [];
    for (const label of labels) {
      const host = `${label}.acme.example`;
      outcomes.push(`${label} ${await saying({ says: { host } })}`);
    }
    expect(outcomes).toEqual(labels.map((label) => `${label} tenant-mismatch`));
  });

  test('what is admitted comes from this gateway’s own records', async () => {
    const says = { op: 'session', scope: 'atlantic' } as const;
    const { outcome } = await admitted({ says, method: 'DELETE' });
    expect(outcome).toEqual({
      kind: 'admitted',
      admission: { tenant: 'acme', scope: 'eu', op: 'write', epoch: 1n },
      provenance: provenanceOf(says),
    });
  });

  test('a refusal carries the edge’s decision where it could be read', async () => {
    const { outcome } = await admitted({ says: { aud: 'us1', decision: 'd-7' } });
    expect(outcome).toEqual({ kind: 'refused', code: 'wrong-region', decision: 'd-7' });
    const { outcome: unread } = await admitted({ header: 'x' });
    expect(unread).toEqual({ kind: 'refused', code: 'provenance-malformed', decision: '' });
  });
});

function globex(): Partial<Provenance> {
  return { aud: 'us1', host: 'globex.example', tenant: 'globex', scope: 'atlantic', epoch: 2n };
}

function globexAtEu1(): Partial<Provenance> {
  return { ...globex(), aud: 'eu1' };
}

describe('after a wait', () => {
  const newer = { version: 2n };
  test.each<readonly [string, Given, string, number]>([
    ['it catches up', { says: newer, later: [[120, second]] }, 'read', 120],
    ['it catches up at the last moment', { says: newer, later: [[250, second]] }, 'read', 250],
    ['it does not', { says: newer }, 'gateway-behind', GATEWAY_CATCH_UP_MS],
    ['too late', { says: newer, later: [[251, second]] }, 'gateway-behind', GATEWAY_CATCH_UP_MS],
    ['it starts', { standing: null, later: [[10, first]] }, 'read', 10],
    ['it does not start', { standing: null }, 'gateway-no-state', GATEWAY_CATCH_UP_MS],
    ['it finds a piece', { standing: missing, later: [[5, first]] }, 'read', 5],
    ['it changes to no avail', { says: newer, later: [[9, first]] }, 'gateway-behind', 250],
    ['a later placement is unknown', { says: { epoch: 66n } }, 'gateway-stale', 250],
    ['it learns that it may not', { says: { ...newer, aud: 'us1' } }, 'wrong-region', 0],
  ])('%s', async (_, given, expected, waitedMs) => {
    expect(await saying(given)).toBe(expected);
    expect((await admitted(given)).waitedMs).toBe(waitedMs);
  });

  test('what it learned while it waited decides, though it refuses', async () => {
    const author = newHolder(held.holder.trust);
    await commit(author, FIRST);
    await commit(author, [{ op: 'delete', key: 'tenants/acme/tenant' }]);
    const gone = await standingOf(author, NOW);
    const given: Given = { says: { version: 2n }, later: [[50, gone]] };
    expect(await saying(given)).toBe('tenant-mismatch');
  });

  test('a host moved to another tenant is refused by whoever knows it', async () => {
    const author = newHolder(held.holder.trust);
    await commit(author, FIRST);
    const hosts = ['acme.example'];
    await commit(author, [
      { op: 'delete', key: 'tenants/acme/tenant' },
      ...tenantPuts('umbrella', { hosts, scope: 'eu', home: 'eu1' }),
    ]);
    const standing = await standingOf(author, NOW);
    expect(await saying({ standing })).toBe('tenant-mismatch');
  });
});

describe('whatever the header', () => {
  const small = fc.bigInt({ min: 0n, max: 3n });
  const rarely = <T>(lie: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: lie });
  const lies = fc.record({
    host: rarely(fc.constantFrom('acme.example', 'a.acme.example', 'globex.example', 'x.example')),
    aud: rarely(fc.constantFrom('eu1', 'us1', 'w1', 'ap1')),
    tenant: rarely(fc.constantFrom('acme', 'globex', 'nobody')),
    scope: rarely(fc.constantFrom('eu', 'atlantic')),
    op: rarely(fc.constantFrom('read', 'write', 'session')),
    generation: rarely(small),
    version: rarely(small),
    epoch: rarely(small),
  });
  const calls = fc
    .record({
      tenant: fc.constantFrom('acme', 'globex'),
      lies,
      self: fc.constantFrom('eu1', 'us1', 'w1', 'ap1'),
      method: fc.constantFrom('GET', 'PUT'),
      url: fc.constantFrom('/', '/session', '/session/2?x', '/sessions'),
      nowMs: fc.constantFrom(NOW, NOW + 59_000, NOW + 61_000, NOW + 301_000),
    })
    .map(({ tenant, lies: told, ...call }) => {
      const honest = { ...(tenant === 'acme' ? {} : globex()), aud: call.self };
      const lied = Object.entries(told).filter(([, lie]) => lie !== undefined);
      const says = provenanceOf({ ...honest, ...Object.fromEntries(lied) });
      return { ...call, says };
    });
  // The two tenants of the first commit, as a person reads them.
  const tenants = {
    acme: { regions: ['eu1'], home: 'eu1' },
    globex: { regions: ['eu1', 'us1'], home: 'us1' },
  } as const;

  test('nothing is admitted outside the scope, no write or session away from home', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(calls, async (given) => {
        const { outcome } = await admitted(given);
        if (outcome.kind === 'refused') {
          seen.add(outcome.code);
          return;
        }
        const { op, tenant } = outcome.admission;
        seen.add(op);
        const { regions, home } = tenants[tenant as 'acme' | 'globex'];
        expect(regions).toContain(given.self);
        if (op !== 'read') expect(given.self).toBe(home);
        expect(given.says.host.endsWith(`${tenant}.example`)).toBe(true);
      }),
      { seed: SEED, numRuns: 4_000 },
    );
    expect([...seen].sort()).toEqual([
      'gateway-behind',
      'gateway-expired',
      'gateway-residency',
      'gateway-stale',
      'read',
      'session',
      'stale-route',
      'tenant-mismatch',
      'write',
      'wrong-region',
    ]);
  });
});
