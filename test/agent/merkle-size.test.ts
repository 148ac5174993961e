// One change at 100,000 tenants rewrites under 64 KiB: measured over the canonical text of the
// nodes that an update writes, which is what a store keeps and an edge fetches.

import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { canonical, utf8Length } from '../../shared/canonical.ts';
import {
  emptyMap,
  type MapName,
  type MapNode,
  nodeDigest,
} from '../../shared/control/merkle-map.ts';
import { type MapUpdate, updateMap } from '../../shared/control/merkle-update.ts';
import type { Digest } from '../../shared/digest.ts';

const TENANTS = 100_000;
const BOUND_BYTES = 64 * 1024;
const SAMPLES = 200;

type Changes = ReadonlyMap<string, unknown>;

/** A tenant as the fold stores it, about 250 bytes. */
function entryOf(id: string, priority: number): unknown {
  return {
    placement: { epoch: '65', home: 'eu-frankfurt-1', state: 'ACTIVE' },
    tenant: {
      hosts: hostsOf(id),
      policy: 'standard-with-replica-reads',
      priority,
      scope: 'european-union',
    },
  };
}

function hostsOf(id: string): readonly string[] {
  return [`app.${id}.customers.example`, `www.${id}.customers.example`];
}

const idOf = (i: number) => `tenant-${i}`;

class Kept {
  readonly #map: MapName;
  readonly #nodes = new Map<Digest, MapNode>();
  #root: Digest;

  constructor(map: MapName) {
    const empty = emptyMap(map);
    this.#map = map;
    this.#root = nodeDigest(empty, nodeCrypto);
    this.#nodes.set(this.#root, empty);
  }

  update(changes: Changes): MapUpdate {
    return updateMap(
      this.#map,
      this.#root,
      changes,
      (digest) => this.#nodes.get(digest),
      nodeCrypto,
    );
  }

  fill(changes: Changes): void {
    const { root, puts } = this.update(changes);
    for (const [digest, node] of puts) this.#nodes.set(digest, node);
    this.#root = root;
  }

  /** Bytes of canonical text that the change would write. */
  bytesOf(changes: Changes): number {
    const texts = [...this.update(changes).puts.values()].map((node) =>
      utf8Length(canonical(node)),
    );
    return texts.reduce((sum, bytes) => sum + bytes, 0);
  }
}

function filled(): { readonly tenants: Kept; readonly hosts: Kept } {
  const ids = Array.from({ length: TENANTS }, (_, i) => idOf(i));
  const [tenants, hosts] = [new Kept('tenants'), new Kept('hosts')];
  tenants.fill(new Map(ids.map((id) => [id, entryOf(id, 1)])));
  hosts.fill(new Map(ids.flatMap((id) => hostsOf(id).map((host) => [host, id] as const))));
  return { tenants, hosts };
}

interface Measured {
  readonly mean: number;
  readonly most: number;
}

function measured(bytesOf: (i: number) => number): Measured {
  const all = Array.from({ length: SAMPLES }, (_, i) => bytesOf(i));
  const sum = all.reduce((total, bytes) => total + bytes, 0);
  return { mean: Math.round(sum / SAMPLES), most: Math.max(...all) };
}

function report(what: string, { mean, most }: Measured): void {
  console.info(`at ${TENANTS} tenants ${what} rewrites ${mean} bytes, at most ${most}`);
}

describe('one change at 100,000 tenants', { timeout: 60_000 }, () => {
  const { tenants, hosts } = filled();
  const spread = (i: number) => idOf((i * 499) % TENANTS);
  const created = (i: number, count: number) => {
    const id = idOf(TENANTS + i);
    const names = Array.from({ length: count }, (_, n) => `h${n}.${id}.customers.example`);
    const entry = new Map([[id, entryOf(id, 1)]]);
    return tenants.bytesOf(entry) + hosts.bytesOf(new Map(names.map((host) => [host, id])));
  };

  test('an entry is about 250 bytes', () => {
    const bytes = utf8Length(canonical(entryOf(idOf(12_345), 1)));
    expect(bytes).toBeGreaterThan(230);
    expect(bytes).toBeLessThan(270);
  });

  test('the put of a tenant rewrites under 64 KiB', () => {
    const put = measured((i) => tenants.bytesOf(new Map([[spread(i), entryOf(spread(i), 2)]])));
    report('the put of a tenant', put);
    expect(put.most).toBeLessThan(BOUND_BYTES);
  });

  test('the creation of a tenant with two hosts rewrites under 64 KiB', () => {
    const creation = measured((i) => created(i, 2));
    report('the creation of a tenant with two hosts', creation);
    expect(creation.most).toBeLessThan(BOUND_BYTES);
  });

  // Each host lies in a branch of its own: hosts are what a change costs. Shown, not bounded.
  test('more hosts cost more', () => {
    for (const count of [1, 3, 4]) {
      report(
        `a creation with ${count} hosts`,
        measured((i) => created(i, count)),
      );
    }
    const replaced = measured((i) => {
      const id = spread(i);
      const gone = hostsOf(id).map((host) => [host, undefined] as const);
      const come = hostsOf(id).map((host) => [`new.${host}`, id] as const);
      const entry = tenants.bytesOf(new Map([[id, entryOf(id, 2)]]));
      return entry + hosts.bytesOf(new Map<string, unknown>([...gone, ...come]));
    });
    report('the put of a tenant with two other hosts', replaced);
    expect(replaced.mean).toBeLessThan(2 * BOUND_BYTES);
  });
});
