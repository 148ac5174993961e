// The gateway's own decision (P3): a literal table for every code, then two laws. Whatever an edge
// writes, nothing is admitted to a region outside the tenant's scope, and no write away from home.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TenantLookup } from '../../../shared/admission/tenant.ts';
import type { Link } from '../../../shared/control/chain.ts';
import { EMPTY_GLOBAL, type Global, type Policy } from '../../../shared/control/record.ts';
import { admitCall, type GatewayDecision } from '../../../shared/provenance/admit.ts';
import type { Provenance } from '../../../shared/provenance/profile.ts';
import { gatewayStatus } from '../../../shared/provenance/refusal.ts';
import { SEED } from '../forge.ts';

const POLICY: Policy = {
  replicaReads: true,
  mode: 'enforce',
  hardAgeS: { write: 60, read: 300, revocation: 60 },
  slowStartS: 60,
  sessionPaths: ['/cart'],
};

const GLOBAL: Global = {
  ...EMPTY_GLOBAL,
  scopes: {
    eu: { regions: ['eu1'], ingress: 'any' },
    atlantic: { regions: ['eu1', 'us1'], ingress: 'any' },
  },
  policies: { std: POLICY, home: { ...POLICY, replicaReads: false } },
};

const LINK = { generation: 2n, version: 5n } as Link;

type State = 'ACTIVE' | 'DRAINING' | 'FENCED' | 'PROMOTING';

interface Own {
  readonly scope?: string;
  readonly policy?: string;
  readonly home?: string;
  readonly state?: State;
  readonly epoch?: bigint;
}

function own({
  scope = 'eu',
  policy = 'std',
  home = 'eu1',
  state = 'ACTIVE',
  epoch = 65n,
}: Own = {}) {
  const tenant = { hosts: ['acme.example'], scope, policy, priority: 1 };
  return { kind: 'known', id: 'acme', tenant, placement: { home, epoch, state } } as const;
}

function call(changes: Partial<Provenance> = {}): Provenance {
  return {
    host: 'acme.example',
    aud: 'eu1',
    tenant: 'acme',
    scope: 'eu',
    op: 'write',
    generation: 2n,
    version: 5n,
    commitIndex: 5n,
    lamport: 5n,
    epoch: 65n,
    decision: 'd-1',
    hop: 1,
    body: 'none',
    ...changes,
  };
}

interface Case {
  readonly says?: Partial<Provenance>;
  readonly method?: string;
  readonly path?: string;
  readonly upgrade?: boolean;
  readonly self?: string;
  readonly tenant?: TenantLookup;
  readonly global?: Global;
  readonly ageMs?: number;
  readonly behind?: boolean;
}

function decided(one: Case): GatewayDecision {
  const { method = 'PUT', path = '/', upgrade = false, self = 'eu1', ageMs = 0 } = one;
  const { tenant = own(), global = GLOBAL, behind = false } = one;
  const scene = { self, link: LINK, global, tenant, ageMs, behind };
  return admitCall(call(one.says), { method, path, upgrade }, scene);
}

function withoutService(found: TenantLookup): TenantLookup {
  return found.kind === 'known'
    ? { ...found, tenant: { ...found.tenant, suspended: true } }
    : found;
}

function said(one: Case): string {
  const decision = decided(one);
  return decision.kind === 'admitted' ? decision.admission.op : decision.code;
}

const atUs1 = { self: 'us1', says: { aud: 'us1' } };
const abroad = own({ scope: 'atlantic' });
const suspended = withoutService(own());
const missing = { kind: 'missing', map: 'hosts', digest: 'x' } as unknown as TenantLookup;

describe('one call', () => {
  test.each<readonly [string, Case, string]>([
    ['a write at home', {}, 'write'],
    ['a read at home', { method: 'GET' }, 'read'],
    ['a read of the head alone', { method: 'HEAD' }, 'read'],
    ['a question about methods', { method: 'OPTIONS' }, 'read'],
    ['a method that nobody knows', { method: 'QUERY' }, 'write'],
    ['a method in small letters', { method: 'get' }, 'write'],
    ['a session path', { method: 'GET', path: '/cart/1' }, 'session'],
    ['a path beside it', { method: 'GET', path: '/cartoons' }, 'read'],
    ['an upgrade', { method: 'GET', upgrade: true }, 'session'],
    ['a read at a replica', { ...atUs1, method: 'GET', tenant: abroad }, 'read'],

    ['a call for another region', { says: { aud: 'us1' } }, 'wrong-region'],
    ['a call for no region', { says: { aud: 'EU1' } }, 'wrong-region'],

    ['a call of a later version', { says: { version: 6n } }, 'gateway-behind'],
    ['a call of a later generation', { says: { generation: 3n, version: 1n } }, 'gateway-behind'],
    ['a call of an older version', { says: { version: 4n } }, 'write'],
    ['a call of an older generation', { says: { generation: 1n, version: 99n } }, 'write'],

    ['a piece that is not at hand', { tenant: missing }, 'gateway-no-state'],
    ['a scope that is not there', { tenant: own({ scope: 'moon' }) }, 'gateway-no-state'],
    ['a policy that is not there', { tenant: own({ policy: 'none' }) }, 'gateway-no-state'],

    ['a host of nobody', { tenant: { kind: 'unknown' } }, 'tenant-mismatch'],
    ['a host of another tenant', { says: { tenant: 'globex' } }, 'tenant-mismatch'],

    ['a write on state of 60 s', { ageMs: 60_000 }, 'write'],
    ['a write on older state', { ageMs: 60_001 }, 'gateway-expired'],
    ['a session on older state', { path: '/cart', ageMs: 60_001 }, 'gateway-expired'],
    ['a read on state of 300 s', { method: 'GET', ageMs: 300_000 }, 'read'],
    ['a read on older state', { method: 'GET', ageMs: 300_001 }, 'gateway-expired'],

    ['a read past 60 s, behind', { method: 'GET', behind: true, ageMs: 60_001 }, 'gateway-expired'],
    ['a read at 60 s, behind', { method: 'GET', behind: true, ageMs: 60_000 }, 'read'],
    ['a call of a suspended tenant', { tenant: suspended }, 'gateway-suspended'],
    ['a read of one on old state', { tenant: suspended, ageMs: 600_000 }, 'gateway-suspended'],

    ['a call of the last placement', { says: { epoch: 1n } }, 'stale-route'],
    ['a call of the next placement', { says: { epoch: 66n } }, 'gateway-stale'],

    ['a region outside the scope', { ...atUs1 }, 'gateway-residency'],
    ['a read outside the scope', { ...atUs1, method: 'GET' }, 'gateway-residency'],
    ['a write at a replica', { ...atUs1, tenant: abroad }, 'gateway-residency'],
    ['a session at a replica', { ...atUs1, path: '/cart', tenant: abroad }, 'gateway-residency'],
    [
      'a read where replicas do not serve',
      { ...atUs1, method: 'GET', tenant: own({ scope: 'atlantic', policy: 'home' }) },
      'gateway-residency',
    ],
    ['a read while it moves', { method: 'GET', tenant: own({ state: 'DRAINING' }) }, 'read'],
    ['a write while it drains', { tenant: own({ state: 'DRAINING' }) }, 'gateway-residency'],
    ['a write while it is fenced', { tenant: own({ state: 'FENCED' }) }, 'gateway-residency'],
    ['a write while it is promoted', { tenant: own({ state: 'PROMOTING' }) }, 'gateway-residency'],
    [
      'a home outside its own scope',
      { ...atUs1, tenant: own({ home: 'us1' }) },
      'gateway-residency',
    ],
  ])('%s', (_, one, expected) => {
    expect(said(one)).toBe(expected);
  });

  test('what is admitted is what our own records say, not what the edge wrote', () => {
    const says = { op: 'read', scope: 'atlantic', commitIndex: 999n, lamport: 0n } as const;
    const admission = { tenant: 'acme', scope: 'eu', op: 'write', epoch: 65n };
    expect(decided({ says })).toEqual({ kind: 'admitted', admission });
  });

  test('every code has a status that says who may try again', () => {
    expect(gatewayStatus).toEqual({
      'provenance-missing': 403,
      'provenance-malformed': 400,
      'wrong-region': 421,
      'gateway-no-state': 503,
      'gateway-behind': 503,
      'gateway-expired': 503,
      'tenant-mismatch': 421,
      'stale-route': 409,
      'gateway-suspended': 403,
      'gateway-stale': 503,
      'gateway-residency': 403,
    });
  });
});

describe('whatever the edge says', () => {
  const region = fc.constantFrom('eu1', 'us1', 'ap1');
  const small = fc.bigInt({ min: 0n, max: 4n });
  const cases = fc.record({
    self: region,
    aud: region,
    home: region,
    scope: fc.constantFrom('one', 'two'),
    one: fc.uniqueArray(region, { minLength: 1 }),
    two: fc.uniqueArray(region, { minLength: 1 }),
    saysScope: fc.constantFrom('one', 'two'),
    op: fc.constantFrom('read' as const, 'write' as const, 'session' as const),
    policy: fc.constantFrom('std', 'home'),
    state: fc.constantFrom<State>('ACTIVE', 'DRAINING', 'FENCED', 'PROMOTING'),
    epoch: small,
    saysEpoch: small,
    version: fc.bigInt({ min: 3n, max: 6n }),
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'get'),
    path: fc.constantFrom('/', '/cart', '/cart/1', '/cartoons'),
    upgrade: fc.boolean(),
    ageMs: fc.constantFrom(0, 59_999, 60_001, 299_999, 300_001),
  });

  test('only a region of the scope serves, and only the active home writes (I14, S3)', () => {
    let admitted = 0;
    fc.assert(
      fc.property(cases, (one) => {
        const { self, home, state, epoch, ageMs } = one;
        const scopes = {
          one: { regions: one.one.sort(), ingress: 'any' as const },
          two: { regions: one.two.sort(), ingress: 'any' as const },
        };
        const decision = decided({
          self,
          ageMs,
          method: one.method,
          path: one.path,
          upgrade: one.upgrade,
          global: { ...GLOBAL, scopes },
          tenant: own({ scope: one.scope, policy: one.policy, home, state, epoch }),
          says: {
            aud: one.aud,
            epoch: one.saysEpoch,
            op: one.op,
            scope: one.saysScope,
            version: one.version,
          },
        });
        // The rules again, as a list of what must hold, in no order.
        const safe = ['GET', 'HEAD'].includes(one.method);
        const isRead = safe && !one.upgrade && !['/cart', '/cart/1'].includes(one.path);
        const may =
          one.aud === self &&
          one.version <= 5n &&
          one.saysEpoch === epoch &&
          scopes[one.scope as 'one' | 'two'].regions.includes(self) &&
          ageMs <= (isRead ? 300_000 : 60_000) &&
          (isRead ? self === home || one.policy === 'std' : self === home && state === 'ACTIVE');
        expect(decision.kind).toBe(may ? 'admitted' : 'refused');
        if (decision.kind === 'admitted') admitted++;
      }),
      { seed: SEED, numRuns: 3_000 },
    );
    expect(admitted).toBeGreaterThan(10);
  });
});
