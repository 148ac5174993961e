import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emptyMap,
  type MapNode,
  MissingNodeError,
  nodeDigest,
  prove,
} from '../../../shared/control/merkle-map.ts';
import { updateMap } from '../../../shared/control/merkle-update.ts';
import type { Digest } from '../../../shared/digest.ts';
import { MAP_LEAF_ENTRIES_MAX } from '../../../shared/limits.ts';
import { crypto } from '../kit.ts';
import { type Changes, DEEP_KEYS, MapStore, twinNodes, twinRoot } from '../map-store.ts';

const ones = (keys: readonly string[]) => new Map(keys.map((key) => [key, 1]));
const none = (keys: readonly string[]) => new Map(keys.map((key) => [key, undefined]));
const plain = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`);

/** 'leaf of 3' or 'branch of 5'. */
function shapeOf(store: MapStore, digest: Digest = store.root): string {
  const node = store.held.get(digest);
  if (node === undefined) return 'missing';
  if ('leaf' in node) return `leaf of ${node.leaf.length}`;
  return `branch of ${Object.keys(node.branch).length}`;
}

function expectTwin(store: MapStore, entries: Changes): void {
  const twin = twinNodes(store.map, entries);
  expect(store.root).toBe(twinRoot(store.map, entries));
  expect(new Set(store.held.keys())).toEqual(new Set(twin.keys()));
}

describe('leaf and branch', () => {
  test('the empty map is an empty leaf, named by its digest', () => {
    const store = new MapStore('hosts');
    expect(store.root).toBe(nodeDigest({ map: 'hosts', leaf: [] }, crypto));
    expect(store.root).toBe('bO2OJJDC5YLh9TXTl0NglIP2rF5VUM4IL6Y6gn2VsUw');
    expectTwin(store, new Map());
  });

  test('the most entries are one leaf, one more is a branch, one less is the leaf again', () => {
    const store = new MapStore('hosts', ones(plain(MAP_LEAF_ENTRIES_MAX)));
    const before = store.root;
    expect(shapeOf(store)).toBe('leaf of 8');
    store.apply(ones(['k8']));
    expect(shapeOf(store)).toBe('branch of 9');
    expectTwin(store, ones(plain(9)));
    store.apply(none(['k8']));
    expect(shapeOf(store)).toBe('leaf of 8');
    expect(store.root).toBe(before);
    expectTwin(store, ones(plain(8)));
  });

  test('nine entries that share 3 bytes of their hashes lie under four branches', () => {
    for (const key of DEEP_KEYS) {
      expect(crypto.sha256(new TextEncoder().encode(key)).toHex()).toMatch(/^d5d571/);
    }
    const store = new MapStore('tenants', ones(DEEP_KEYS.slice(0, 8)));
    expect(shapeOf(store)).toBe('leaf of 8');
    store.apply(ones(DEEP_KEYS.slice(8)));
    expect(store.held.size).toBe(4 + 9);
    expectTwin(store, ones(DEEP_KEYS));
    store.apply(ones(['k0', 'k78', 'k65341']));
    expectTwin(store, ones([...DEEP_KEYS, 'k0', 'k78', 'k65341']));
    store.apply(none(DEEP_KEYS.slice(0, 1)));
    expectTwin(store, ones([...DEEP_KEYS.slice(1), 'k0', 'k78', 'k65341']));
    store.apply(none(DEEP_KEYS));
    expectTwin(store, ones(['k0', 'k78', 'k65341']));
    store.apply(none(['k0', 'k78', 'k65341']));
    expectTwin(store, new Map());
  });

  test('a pair that shares its first 2 bytes is told apart', () => {
    const store = new MapStore('hosts', ones([...plain(20), 'k48', 'k308']));
    store.apply(new Map([['k48', 2]]));
    expectTwin(store, new Map([...ones([...plain(20), 'k308']), ['k48', 2]]));
  });

  test('one update deletes everything under a branch and fills another', () => {
    const store = new MapStore('hosts', ones(plain(40)));
    store.apply(new Map([...none(plain(40)), ...ones(DEEP_KEYS)]));
    expectTwin(store, ones(DEEP_KEYS));
  });

  test('two entries a leaf apart collapse across an unchanged branch beside them', () => {
    const entries = ones([...DEEP_KEYS, 'k0']);
    const store = new MapStore('hosts', entries);
    store.apply(none(['k0']));
    expectTwin(store, ones(DEEP_KEYS));
  });
});

describe('what an update writes', () => {
  test('nothing, for no change', () => {
    for (const count of [0, 3, 8, 9, 60]) {
      const store = new MapStore('hosts', ones(plain(count)));
      const same = store.update(new Map([...ones(plain(count)), ['absent', undefined]]));
      expect(same).toEqual({ root: store.root, puts: new Map(), retired: [] });
      expect(store.update(new Map())).toEqual({ root: store.root, puts: new Map(), retired: [] });
    }
  });

  test('the nodes on the way and no other, for one change among many', () => {
    const store = new MapStore('hosts', ones([...plain(500), ...DEEP_KEYS]));
    const way = (key: string) => prove(store.root, key, store.nodes, crypto)?.length;
    for (const key of [...plain(20), ...DEEP_KEYS]) {
      const update = store.update(new Map([[key, 2]]));
      expect(update.puts.size).toBe(way(key));
      expect(update.retired).toHaveLength(way(key) ?? 0);
    }
  });

  test('null is a value, undefined deletes', () => {
    const store = new MapStore('hosts', new Map([['a', null]]));
    expectTwin(store, new Map([['a', null]]));
    store.apply(new Map([['a', undefined]]));
    expectTwin(store, new Map());
  });

  test('the map given is left as it was', () => {
    const store = new MapStore('hosts', ones(plain(30)));
    const before = JSON.stringify([...store.held]);
    store.update(new Map([...none(plain(25)), ['new', 1]]));
    expect(JSON.stringify([...store.held])).toBe(before);
  });

  test('the same entries have another root in another map', () => {
    for (const count of [0, 1, 9]) {
      const [hosts, tenants] = (['hosts', 'tenants'] as const).map(
        (map) => new MapStore(map, ones(plain(count))),
      );
      expect(hosts?.root).not.toBe(tenants?.root);
    }
  });
});

describe('a node that is not at hand', () => {
  test('the root is missed by its digest', () => {
    const root = nodeDigest(emptyMap('hosts'), crypto);
    const update = () => updateMap('hosts', root, ones(['a']), () => undefined, crypto);
    expect(update).toThrow(MissingNodeError);
    expect(update).toThrow(root);
  });

  test('law: without a node, an update throws or comes to the same root', () => {
    const full = new MapStore('hosts', ones([...plain(40), ...DEEP_KEYS]));
    const digests = [...full.held.keys()];
    fc.assert(
      fc.property(changes(), fc.constantFrom(...digests), (made, gone) => {
        const nodes = (digest: Digest) => (digest === gone ? undefined : full.nodes(digest));
        const expected = full.update(made);
        try {
          const update = updateMap('hosts', full.root, made, nodes, crypto);
          expect(update.root).toBe(expected.root);
          expect(update.retired).not.toContain(gone);
        } catch (error) {
          if (!(error instanceof MissingNodeError)) throw error;
          expect(error.digest).toBe(gone);
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});

/** Few keys, so that edits meet; some that share a long prefix, some odd ones. */
function keys(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...plain(30)) },
    { weight: 4, arbitrary: fc.constantFrom(...DEEP_KEYS, 'k65341', 'k125302', 'k78', 'k696') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        '__proto__',
        'constructor',
        'z\u00fcrich',
        '\ufb33',
        '\ud83d\ude02',
      ),
    },
  );
}

function changes(): fc.Arbitrary<Map<string, unknown>> {
  const value = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 3, arbitrary: fc.constantFrom<unknown>(1, 2, 'text', null, { a: [true] }) },
  );
  return fc.array(fc.tuple(keys(), value), { maxLength: 12 }).map((list) => new Map(list));
}

function after(entries: Changes, made: Changes): Map<string, unknown> {
  const next = new Map(entries);
  for (const [key, value] of made) {
    if (value === undefined) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

test('law: any puts and deletes, in any grouping, come to the tree of the set', () => {
  fc.assert(
    fc.property(fc.array(changes(), { maxLength: 8 }), (batches) => {
      const store = new MapStore('tenants');
      let entries: Changes = new Map();
      for (const batch of batches) {
        const before = new Set(store.held.keys());
        const update = store.apply(batch);
        entries = after(entries, batch);
        // Throwing away what was retired left exactly the nodes of the new tree,
        expectTwin(store, entries);
        // and puts and retired are exactly the difference.
        const now = new Set(twinNodes('tenants', entries).keys());
        expect(new Set(update.puts.keys())).toEqual(now.difference(before));
        expect(new Set(update.retired)).toEqual(before.difference(now));
        expect(update.retired).toHaveLength(new Set(update.retired).size);
      }
    }),
    { seed: 2, numRuns: 120 },
  );
});

test('law: order and grouping do not show', () => {
  fc.assert(
    fc.property(changes(), changes(), (one, two) => {
      const disjoint = new Map([...two].filter(([key]) => !one.has(key)));
      const start = ones([...plain(15), ...DEEP_KEYS]);
      const roots = [
        [one, disjoint],
        [disjoint, one],
        [new Map([...disjoint, ...one])],
        [...one, ...disjoint].map((entry) => new Map([entry])),
      ].map((batches) => {
        const store = new MapStore('hosts', start);
        for (const batch of batches) store.apply(batch);
        return store.root;
      });
      expect(new Set(roots).size).toBe(1);
    }),
    { seed: 3, numRuns: 60 },
  );
});

test('law: a node that is put has its digest, 8 entries or fewer, and the name of the map', () => {
  fc.assert(
    fc.property(changes(), (made) => {
      const store = new MapStore('tenants', ones([...plain(30), ...DEEP_KEYS]));
      for (const [digest, node] of store.update(made).puts) {
        expect(nodeDigest(node, crypto)).toBe(digest);
        expect(node.map).toBe('tenants');
        expect(sizeOf(node)).toBeLessThanOrEqual('leaf' in node ? MAP_LEAF_ENTRIES_MAX : 256);
      }
    }),
    { seed: 4, numRuns: 100 },
  );
});

function sizeOf(node: MapNode): number {
  return 'leaf' in node ? node.leaf.length : Object.keys(node.branch).length;
}
