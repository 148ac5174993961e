// The fold (C4): one commit's operations applied to the state before it, checked against plain
// Maps.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical, utf8Length } from '../../../shared/canonical.ts';
import type { Operation } from '../../../shared/control/envelope.ts';
import { entriesOf } from '../../../shared/control/merkle-map.ts';
import { GLOBAL_BYTES_MAX } from '../../../shared/limits.ts';
import {
  del,
  drafted,
  entryFor,
  newTenant,
  nodesOf,
  ownerOf,
  policyOfBytes,
  step,
  tenantPut,
  worldOf,
} from '../drafts.ts';
import { codeOf, SEED } from '../forge.ts';
import { FIRST, put, type TestHolder } from '../kit.ts';
import { attempt, countOf, EMPTY_WORLD, ownersOf, type Twin, wishes } from '../twin.ts';

test.each<readonly [string, readonly Operation[], string]>([
  ['by another commit', newTenant('initech', 'globex.example'), 'host-taken'],
  ['as one of several', newTenant('initech', 'globex.example', 'other.example'), 'host-taken'],
  ['as a wildcard', newTenant('initech', '*.acme.example'), 'host-taken'],
  [
    'by the same commit',
    [...newTenant('initech', 'new.example'), ...newTenant('hooli', 'new.example')],
    'host-taken',
  ],
  ['by a tenant that is there already', [tenantPut('globex', 'acme.example')], 'host-taken'],
  [
    'twice, when its owner gives it up',
    [
      tenantPut('globex', 'globex.org'),
      ...newTenant('initech', 'globex.example'),
      ...newTenant('hooli', 'globex.example'),
    ],
    'host-taken',
  ],
  ['by its own tenant again', [tenantPut('globex', 'globex.example')], 'accepted'],
  ['by nobody yet', newTenant('initech', 'www.acme.example.org'), 'accepted'],
  [
    'when its owner gives it up in the same commit',
    [tenantPut('globex', 'globex.org'), ...newTenant('initech', 'globex.example')],
    'accepted',
  ],
  [
    'when its owner retires in the same commit',
    [...newTenant('initech', 'globex.example'), del('tenants/globex/tenant')],
    'accepted',
  ],
])('a host claimed %s: %s', (_name, operations, code) => {
  const held = worldOf(FIRST);
  expect(codeOf(drafted(held, operations))).toBe(code);
  expect(codeOf(drafted(held, operations.toReversed()))).toBe(code);
});

test('two tenants may swap their hosts in one commit', () => {
  const swap = [tenantPut('globex', 'initech.example'), tenantPut('initech', 'globex.example')];
  const held = worldOf(FIRST, newTenant('initech', 'initech.example'), swap);
  expect(ownerOf(held, 'globex.example')).toBe('initech');
  expect(ownerOf(held, 'initech.example')).toBe('globex');
});

test('a host that was given up is nobody’s, and free', () => {
  const held = worldOf(FIRST, [tenantPut('globex', 'globex.org')]);
  expect(ownerOf(held, 'globex.example')).toBe('absent');
  step(held, newTenant('initech', 'globex.example'));
  expect(ownerOf(held, 'globex.example')).toBe('initech');
});

test('a retired tenant leaves its hosts and its counts, and keeps its epoch (F1, I2)', () => {
  const held = worldOf(FIRST, [del('tenants/globex/tenant')]);
  expect(ownerOf(held, 'globex.example')).toBe('absent');
  expect(held.holder.state.usage).toMatchObject({
    scopes: { eu: { eu1: 1 } },
    policies: { std: 1 },
  });
  expect(entryFor(held, 'globex')).toEqual({
    placement: { home: 'us1', epoch: 2n, state: 'ACTIVE' },
  });
});

test.each<readonly [string, Operation]>([
  ['a scope that is not there', del('global/scopes/mars')],
  ['a location that has no row', del('global/latency/fra')],
  ['a tenant that is gone', del('tenants/initech/tenant')],
  ['a tenant that never was', del('tenants/hooli/tenant')],
])('deleting %s is refused: the author believes in another state', (_name, operation) => {
  const retired = [newTenant('initech', 'initech.example'), [del('tenants/initech/tenant')]];
  const held = worldOf(FIRST, ...retired);
  expect(codeOf(drafted(held, [operation]))).toBe('operations');
});

test('a commit that changes nothing is one more version of the same content', () => {
  const held = worldOf(FIRST);
  const before = held.holder.state;
  const outcome = drafted(held, [tenantPut('globex', 'globex.example')]);
  if (outcome.kind === 'refused') throw new Error(outcome.code);
  const { hosts, tenants, global, usage, version } = outcome.state.manifest;
  expect({ hosts, tenants, global, usage }).toMatchObject({
    hosts: before.manifest.hosts,
    tenants: before.manifest.tenants,
    global: before.manifest.global,
    usage: before.manifest.usage,
  });
  expect(version).toBe(2n);
  expect(outcome.writes).toEqual({ pieces: new Map(), nodes: new Map(), retired: [] });
});

test('the global part takes 1 MiB and not a byte more', () => {
  const policyPut = (id: string, bytes: number) =>
    put(`global/policies/${id}`, policyOfBytes(bytes));
  const full = Array.from({ length: 31 }, (_, i) => policyPut(`p${i}`, 32 * 1024));
  const held = worldOf(FIRST, full);
  const one = drafted(held, [policyPut('last', 200)]);
  if (one.kind === 'refused') throw new Error(one.code);
  const left = GLOBAL_BYTES_MAX - utf8Length(canonical(one.state.global));
  expect(GLOBAL_BYTES_MAX).toBe(1024 * 1024);
  expect(codeOf(drafted(held, [policyPut('last', 200 + left)]))).toBe('accepted');
  expect(codeOf(drafted(held, [policyPut('last', 201 + left)]))).toBe('too-large');
});

test('a refused change leaves the state as it was', () => {
  const held = worldOf(FIRST);
  const before = canonical(held.holder.state);
  for (const operations of [newTenant('x', 'globex.example'), [del('global/scopes/eu')]]) {
    expect(drafted(held, operations).kind).toBe('refused');
    expect(canonical(held.holder.state)).toBe(before);
  }
});

test('law: tenants, hosts, counts and class are those of plain Maps (C4, C6, C8)', () => {
  fc.assert(
    fc.property(fc.array(wishes, { minLength: 1, maxLength: 5 }), (commits) => {
      const held = worldOf(EMPTY_WORLD);
      let twin: Twin = new Map();
      for (const wanted of commits) {
        const { operations, faults, next, class: grade } = attempt(twin, wanted);
        const outcome = drafted(held, operations);
        if (outcome.kind === 'refused') {
          expect(faults).toContain(outcome.code);
          continue;
        }
        expect([...faults]).toEqual([]);
        expect(outcome.folded.class).toBe(grade);
        step(held, operations);
        twin = next;
        expectTwin(held, twin);
      }
    }),
    { seed: SEED, numRuns: 120 },
  );
});

test('law: the order of operations inside a commit means nothing', () => {
  const plan = fc.tuple(wishes, wishes, fc.infiniteStream(fc.double({ noNaN: true })));
  fc.assert(
    fc.property(plan, ([first, second, dice]) => {
      const held = worldOf(EMPTY_WORLD);
      const one = attempt(new Map(), first);
      const base = one.faults.size === 0 ? one.next : new Map();
      if (one.faults.size === 0) step(held, one.operations);
      const { operations } = attempt(base, second);
      const keyed = operations.map((operation) => ({ operation, at: dice.next().value ?? 0 }));
      const shuffled = keyed.toSorted((a, b) => a.at - b.at).map(({ operation }) => operation);
      const [straight, mixed] = [drafted(held, operations), drafted(held, shuffled)];
      expect(mixed.kind).toBe(straight.kind);
      if (straight.kind === 'refused' || mixed.kind === 'refused') return;
      expect(mixed.state).toEqual(straight.state);
      expect(mixed.folded.class).toBe(straight.folded.class);
      expect(new Map(mixed.folded.hosts)).toEqual(new Map(straight.folded.hosts));
    }),
    { seed: SEED, numRuns: 150 },
  );
});

function expectTwin(held: TestHolder, twin: Twin): void {
  const { manifest, usage } = held.holder.state;
  const tenants = [...twin].map(([id, { live, hosts, scope, policy, home, epoch }]) => {
    const placement = { home, epoch: String(epoch), state: 'ACTIVE' };
    return [
      id,
      live ? { tenant: { hosts, scope, policy, priority: 1 }, placement } : { placement },
    ];
  });
  expect(new Map(entriesOf(manifest.tenants, nodesOf(held)))).toEqual(new Map(tenants as []));
  expect(new Map(entriesOf(manifest.hosts, nodesOf(held)))).toEqual(ownersOf(twin));
  expect(usage).toEqual(countOf(twin));
}
