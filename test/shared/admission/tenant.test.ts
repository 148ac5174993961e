// Whose request it is (S1, S2): by the exact host, else by the wildcard of its parent; and that
// nobody else's is proven, not guessed (C8).

import { expect, test } from 'vitest';
import { lookUpId, lookUpTenant, wildcardOf } from '../../../shared/admission/tenant.ts';
import type { NodeSource } from '../../../shared/control/merkle-map.ts';
import type { Digest } from '../../../shared/digest.ts';
import { del, newTenant, nodesOf, step, worldOf } from '../drafts.ts';
import { crypto, FIRST } from '../kit.ts';

test.each([
  ['shop.example.org', '*.example.org'],
  ['a.b.example.org', '*.b.example.org'],
  ['example.org', null],
  ['org', null],
  ['', null],
  ['.example.org', null],
  ['*.example.org', '*.example.org'],
])('the wildcard over %j is %j', (host, wildcard) => {
  expect(wildcardOf(host)).toBe(wildcard);
});

const held = worldOf(
  FIRST,
  newTenant('initech', '*.eu.acme.example', 'api.acme.example'),
  newTenant('hooli', 'hooli.example'),
  [del('tenants/hooli/tenant')],
);
const { manifest } = held.holder.state;
const nodes = nodesOf(held);

function tenantOf(host: string, source: NodeSource = nodes): string | null {
  const found = lookUpTenant(host, manifest, source, crypto);
  return found.kind === 'known' ? found.id : found.kind === 'unknown' ? null : found.map;
}

test.each([
  ['acme.example', 'acme'],
  ['www.acme.example', 'acme'],
  ['x.acme.example', 'acme'],
  // The exact name is stronger than the wildcard.
  ['api.acme.example', 'initech'],
  // A wildcard covers one label.
  ['eu.acme.example', 'acme'],
  ['x.eu.acme.example', 'initech'],
  ['x.us.acme.example', null],
  ['x.y.eu.acme.example', null],
  ['v1.api.acme.example', null],
  ['globex.example', 'globex'],
  ['www.globex.example', null],
  ['initech.example', null],
  ['example', null],
  ['acme.example.', null],
  ['ACME.example', null],
  ['acme.example:443', null],
  ['xacme.example', null],
  ['', null],
  ['constructor', null],
  ['__proto__', null],
])('host %j is of %j', (host, tenant) => {
  expect(tenantOf(host)).toBe(tenant);
});

test('a wildcard is a rule, not a host that can be asked for', () => {
  expect(tenantOf('*.acme.example')).toBe(null);
});

test('the host of a tenant that is retired is nobody’s', () => {
  expect(tenantOf('hooli.example')).toBe(null);
});

test('what is found is the tenant with its placement', () => {
  expect(lookUpTenant('globex.example', manifest, nodes, crypto)).toEqual({
    kind: 'known',
    id: 'globex',
    tenant: { hosts: ['globex.example'], scope: 'atlantic', policy: 'std', priority: 1 },
    placement: { home: 'us1', epoch: 2n, state: 'ACTIVE' },
  });
});

test.each([
  ['acme', 'known'],
  ['hooli', 'unknown'],
  ['nobody', 'unknown'],
  ['', 'unknown'],
])('by id, %j is %s', (id, kind) => {
  expect(lookUpId(id, manifest, nodes, crypto).kind).toBe(kind);
});

// An isolate starts with no node: each answer names the next it needs, and doubt is never a tenant.
test.each(['www.acme.example', 'globex.example', 'nobody.example'])(
  'with nothing at hand, %s is found node by node',
  (host) => {
    const loaded = new Map<Digest, ReturnType<NodeSource>>();
    const source: NodeSource = (digest) => loaded.get(digest);
    const asked: string[] = [];
    let found = lookUpTenant(host, manifest, source, crypto);
    while (found.kind === 'missing') {
      asked.push(found.map);
      expect(loaded.has(found.digest)).toBe(false);
      loaded.set(found.digest, nodes(found.digest));
      found = lookUpTenant(host, manifest, source, crypto);
    }
    expect(found).toEqual(lookUpTenant(host, manifest, nodes, crypto));
    expect(asked).toEqual(found.kind === 'known' ? ['hosts', 'tenants'] : ['hosts']);
  },
);

test('a host answer under an older manifest is that of the older state', () => {
  const later = worldOf(FIRST);
  const before = later.holder.state.manifest;
  step(later, [del('tenants/acme/tenant')]);
  const now = later.holder.state.manifest;
  const kinds = [before, now].map((one) =>
    lookUpTenant('acme.example', one, nodesOf(later), crypto),
  );
  expect(kinds.map(({ kind }) => kind)).toEqual(['known', 'unknown']);
});
