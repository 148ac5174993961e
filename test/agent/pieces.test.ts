// Pieces in memory: what any version from the active one to the head needs is there, whatever the
// order in which commits come and versions become active; what nothing needs is let go.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pieces } from '../../agent/control/pieces.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import type { Admitted } from '../../shared/control/holder.ts';
import {
  admitCommit,
  emptyHolder,
  screenCommit,
  verifyCommit,
} from '../../shared/control/holder.ts';
import type { Manifest } from '../../shared/control/manifest.ts';
import { digestNamed, SEED } from '../shared/forge.ts';
import { commit, crypto, FIRST, newHolder, put, tenantPuts, testTrust } from '../shared/kit.ts';

const trust = await testTrust();
const genesis = emptyHolder(trust, crypto);

/** State `kind` of the world: four of them, so that content comes back again and again. */
function world(kind: number): readonly Operation[] {
  const hosts = ['*.acme.example', 'acme.example'];
  const ingress = kind % 2 === 0 ? 'any' : { countries: ['DE'] };
  return [
    put('tenants/acme/tenant', { hosts, scope: 'eu', policy: 'std', priority: kind }),
    put('global/scopes/spare', { regions: ['eu1'], ingress }),
  ];
}

/** FIRST with enough tenants for branches, then states as `kinds` says. */
async function history(kinds: readonly number[]): Promise<readonly Admitted[]> {
  const author = newHolder(trust);
  await commit(author, FIRST);
  const ids = Array.from({ length: 40 }, (_, i) => `t${i}`);
  const tenants = ids.map((id) =>
    tenantPuts(id, { hosts: [`${id}.example`], scope: 'eu', home: 'eu1' }),
  );
  await commit(author, tenants.flat());
  for (const kind of kinds) await commit(author, world(kind));
  const pieces = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
  const all: Admitted[] = [];
  let { holder } = genesis;
  for (const jws of author.commits) {
    const screened = screenCommit(holder, jws, 0, crypto);
    if (screened.kind !== 'new') throw new Error('a new commit');
    const verified = await verifyCommit(screened.decoded, trust, crypto);
    if ('code' in verified) throw new Error(verified.code);
    const admitted = admitCommit(holder, verified, pieces.nodes, crypto);
    if (admitted.kind === 'refused') throw new Error(admitted.code);
    pieces.store(admitted);
    ({ holder } = admitted);
    all.push(admitted);
  }
  return all;
}

const KINDS = [0, 1, 2, 3, 2, 1, 0, 0, 1, 3, 0, 2, 1, 1, 0, 3];
const all = await history(KINDS.filter((kind, i) => kind !== KINDS[i - 1]));

/** What a gateway reads at a version; null where any piece is missing. */
function read(pieces: Pieces, manifest: Manifest): unknown {
  const global = pieces.global(manifest.global);
  const found = lookUpTenant('acme.example', manifest, pieces.nodes, crypto);
  const other = lookUpTenant('t7.example', manifest, pieces.nodes, crypto);
  if (global === null || found.kind === 'missing' || other.kind === 'missing') return null;
  return { global, found, other };
}

/** The same, where nothing was ever let go. */
const everything = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
for (const admitted of all) everything.store(admitted);

describe('pieces', () => {
  test('before the first commit there are those of the empty state', () => {
    const pieces = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
    const { manifest } = genesis.holder.state;
    expect(pieces.global(manifest.global)).toEqual(genesis.holder.state.global);
    expect(lookUpTenant('a.example', manifest, pieces.nodes, crypto)).toEqual({ kind: 'unknown' });
    expect(pieces.global(digestNamed('elsewhere'))).toBeNull();
  });

  test('each version is read as it was written', () => {
    for (const { link, holder } of all) {
      expect(everything.global(link.manifest.global)).toEqual(holder.state.global);
      expect(read(everything, link.manifest)).not.toBeNull();
    }
  });

  test('what only older versions used is let go when a version becomes active', () => {
    const pieces = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
    const [first, second] = all;
    if (first === undefined || second === undefined) throw new Error('two commits');
    pieces.store(first);
    pieces.store(second);
    pieces.prune(1n);
    expect(pieces.nodes(genesis.holder.state.manifest.tenants)).toBeUndefined();
    expect(pieces.nodes(first.link.manifest.tenants)).toBeDefined();
    pieces.prune(2n);
    expect(pieces.nodes(first.link.manifest.tenants)).toBeUndefined();
    expect(read(pieces, second.link.manifest)).not.toBeNull();
  });

  // Commits come, versions become active, never past the head and never back.
  const steps = fc.array(
    fc.oneof(fc.constant('store' as const), fc.double({ min: 0, max: 1, noNaN: true })),
    {
      minLength: 5,
      maxLength: 60,
    },
  );
  test('from the active version to the head, every version can be read', () => {
    fc.assert(
      fc.property(steps, (order) => {
        const pieces = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
        let head = 0;
        let active = 0;
        for (const step of order) {
          const next = all[head];
          if (step !== 'store') {
            active += Math.round((head - active) * step);
            pieces.prune(BigInt(active));
          } else if (next !== undefined) {
            pieces.store(next);
            head++;
          }
          for (const { link } of all.slice(Math.max(0, active - 1), head)) {
            expect(read(pieces, link.manifest)).toEqual(read(everything, link.manifest));
          }
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test('at the head and active, nothing but the head’s pieces is held', () => {
    const pieces = new Pieces(genesis.writes, genesis.holder.state.manifest.global);
    const seen = new Set([...genesis.writes.nodes.keys()]);
    for (const admitted of all) {
      pieces.store(admitted);
      for (const digest of admitted.writes.nodes.keys()) seen.add(digest);
      pieces.prune(admitted.link.version);
    }
    const last = all.at(-1)?.link.manifest;
    if (last === undefined) throw new Error('a head');
    const held = [...seen].filter((digest) => pieces.nodes(digest) !== undefined);
    // Reachable from the two roots, counted by hand.
    const reachable = new Set<string>();
    const queue = [last.hosts, last.tenants];
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      reachable.add(digest);
      const node = everything.nodes(digest);
      if (node !== undefined && 'branch' in node) queue.push(...Object.values(node.branch));
    }
    expect(new Set(held)).toEqual(reachable);
  });
});
