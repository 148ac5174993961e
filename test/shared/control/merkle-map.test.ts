import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, canonicalBytes, utf8 } from '../../../shared/canonical.ts';
import {
  checkProof,
  entriesOf,
  find,
  type MapNode,
  MissingNodeError,
  nodeDigest,
  prove,
  readNode,
} from '../../../shared/control/merkle-map.ts';
import { type Digest, digestBytes } from '../../../shared/digest.ts';
import { crypto } from '../kit.ts';
import { type Changes, DEEP_KEYS, MapStore } from '../map-store.ts';

const plain = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`);
const valued = (keys: readonly string[]) => new Map(keys.map((key) => [key, { of: key }]));
const ODD = ['', '__proto__', 'constructor', '\ud83d\ude02'];

const entries = valued([...plain(60), ...DEEP_KEYS, ...ODD]);
const store = new MapStore('tenants', entries);
const ABSENT = ['k60', 'k61', 'k65341', 'k78', 'absent', 'toString', 'k9675332 ', 'K1'];

/** 'present {...}', 'absent', 'missing' or the code of a refusal. */
function say(found: ReturnType<typeof find> | ReturnType<typeof checkProof>): string {
  if ('code' in found) return found.code;
  return found.kind === 'present' ? `present ${canonical(found.value)}` : found.kind;
}

function truth(key: string, of: Changes = entries): string {
  return of.has(key) ? `present ${canonical(of.get(key))}` : 'absent';
}

function proofOf(key: string, of: MapStore = store): readonly MapNode[] {
  const proof = prove(of.root, key, of.nodes, crypto);
  if (proof === null) throw new Error(`no proof of ${key}`);
  return proof;
}

describe('finding', () => {
  test.each([0, 1, 8, 9, 60])('of %i entries each is found, others are absent', (count) => {
    const small = new MapStore('hosts', valued(plain(count)));
    for (const key of [...plain(count), ...ABSENT]) {
      const found = find(small.root, key, small.nodes, crypto);
      expect(say(found)).toBe(truth(key, valued(plain(count))));
    }
  });

  test('keys that share a prefix, and keys that objects inherit, are told apart', () => {
    for (const key of [...entries.keys(), ...ABSENT]) {
      expect(say(find(store.root, key, store.nodes, crypto))).toBe(truth(key));
    }
  });

  test('a node that is not at hand is asked for, one after the other', () => {
    const key = DEEP_KEYS[0] ?? '';
    const have = new Map<Digest, MapNode>();
    const asked: Digest[] = [];
    for (;;) {
      const found = find(store.root, key, (digest) => have.get(digest), crypto);
      if (found.kind !== 'missing') {
        expect(say(found)).toBe(truth(key));
        break;
      }
      asked.push(found.digest);
      const node = store.nodes(found.digest);
      if (node !== undefined) have.set(found.digest, node);
    }
    expect(asked).toHaveLength(5);
    expect(asked[0]).toBe(store.root);
  });

  test('all entries are listed, each once', () => {
    const listed = [...entriesOf(store.root, store.nodes)];
    expect(listed).toHaveLength(entries.size);
    expect(new Map(listed)).toEqual(entries);
    expect(() => [...entriesOf(store.root, () => undefined)]).toThrow(MissingNodeError);
  });
});

describe('proofs', () => {
  test('presence and absence are proven, root first', () => {
    for (const key of [...entries.keys(), ...ABSENT]) {
      const proof = proofOf(key);
      expect(proof[0]).toBe(store.nodes(store.root));
      expect(say(checkProof(store.root, key, proof, crypto))).toBe(truth(key));
    }
  });

  test('absence is proven by the empty map', () => {
    const empty = new MapStore('hosts');
    expect(say(checkProof(empty.root, 'a', proofOf('a', empty), crypto))).toBe('absent');
  });

  test('there is no proof without all nodes of the way', () => {
    expect(prove(store.root, 'k0', () => undefined, crypto)).toBeNull();
    const root = store.nodes(store.root);
    const rootOnly = (digest: Digest) => (digest === store.root ? root : undefined);
    expect(prove(store.root, 'k0', rootOnly, crypto)).toBeNull();
  });

  test('nothing proves nothing, and a proof under another root neither', () => {
    expect(say(checkProof(store.root, 'k0', [], crypto))).toBe('digest');
    const other = new MapStore('tenants', valued(plain(59)));
    expect(say(checkProof(other.root, 'k0', proofOf('k0'), crypto))).toBe('digest');
    expect(say(checkProof(store.root, 'k0', proofOf('k0', other), crypto))).toBe('digest');
  });

  test('law: a proof of one key says the truth about another or nothing', () => {
    const key = fc.constantFrom(...entries.keys(), ...ABSENT);
    fc.assert(
      fc.property(key, key, (proven, asked) => {
        const said = say(checkProof(store.root, asked, proofOf(proven), crypto));
        expect([truth(asked), 'digest']).toContain(said);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  // Attack: a store that answers with the tenant, home or scope it would like.
  test('law: a changed, missing or swapped node is refused', () => {
    const key = fc.constantFrom(...entries.keys(), ...ABSENT);
    const strange = new MapStore('tenants', new Map([...entries.keys()].map((name) => [name, 1])));
    const foreign = new MapStore('hosts', entries);
    const changes: readonly ((node: MapNode, at: number) => readonly MapNode[])[] = [
      () => [],
      (node, at) => [changed(node, at)],
      (node) => [{ ...node, map: node.map === 'hosts' ? 'tenants' : 'hosts' }],
      () => [...strange.held.values()],
      () => [...foreign.held.values()],
      (node) => [JSON.parse(JSON.stringify(node).replace('{', '{"more":1,'))],
    ];
    fc.assert(
      fc.property(key, fc.nat(), fc.nat(), fc.constantFrom(...changes), (asked, i, at, change) => {
        const proof = [...proofOf(asked)];
        const where = i % proof.length;
        const node = proof[where];
        if (node !== undefined) proof.splice(where, 1, ...change(node, at));
        expect(say(checkProof(store.root, asked, proof, crypto))).toBe('digest');
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  // JSON.parse makes `__proto__` an ordinary member; a digest that leaves it out would let a proof
  // carry a value that nobody signed.
  test.each([
    ['a node', '{"leaf"'],
    ['a value', '{"of":"k0"}'],
  ])('a member __proto__ added to %s is refused', (_, place) => {
    const hostile = place.replace('{', '{"__proto__":{"home":"us1"},');
    const proof = proofOf('k0').map((node) => {
      return JSON.parse(canonical(node).replace(place, hostile));
    });
    expect(JSON.stringify(proof)).toContain('us1');
    expect(say(checkProof(store.root, 'k0', proof, crypto))).toBe('digest');
  });

  test('what is no node at all is refused, not thrown', () => {
    for (const junk of [
      null,
      'x',
      1,
      [],
      {},
      { map: 'tenants' },
      { map: 'tenants', leaf: '\ud800' },
    ]) {
      const proof = [...proofOf('k0').slice(1), junk as unknown as MapNode];
      expect(say(checkProof(store.root, 'k0', proof, crypto))).toBe('digest');
    }
  });

  test('the order of the nodes, and nodes beside the way, change nothing', () => {
    const proof = [...store.held.values(), ...proofOf('k0')].reverse();
    expect(say(checkProof(store.root, 'k0', proof, crypto))).toBe(truth('k0'));
  });
});

/** The node with one entry or child changed. */
function changed(node: MapNode, at: number): MapNode {
  if ('branch' in node) {
    const steps = Object.keys(node.branch);
    const [one, other] = [steps[at % steps.length] ?? '', steps[(at + 1) % steps.length] ?? ''];
    const { [one]: child, ...rest } = node.branch;
    if (at % 3 === 0 || one === other) return { ...node, branch: rest };
    if (at % 3 === 1) return { ...node, branch: { ...rest, [moved(one)]: child as Digest } };
    const swapped = { [one]: rest[other] ?? digestBytes(utf8('x'), crypto), [other]: child };
    return { ...node, branch: { ...rest, ...swapped } as Record<string, Digest> };
  }
  if (node.leaf.length === 0) return { ...node, leaf: [['new', 1]] };
  const i = at % node.leaf.length;
  const edits = [
    node.leaf.toSpliced(i, 1),
    node.leaf.toSpliced(i, 1, [node.leaf[i]?.[0] ?? '', 'forged']),
    node.leaf.toSpliced(i, 1, ['forged', node.leaf[i]?.[1]]),
    [...node.leaf, ['forged', 1] as const],
  ];
  return { ...node, leaf: edits[at % 4] ?? [] };
}

function moved(step: string): string {
  return ((Number.parseInt(step, 16) + 1) % 256).toString(16).padStart(2, '0');
}

describe('reading a node', () => {
  const D = 'A'.repeat(43);
  const read = (text: string, map: 'hosts' | 'tenants' = 'tenants') => {
    const bytes = utf8(text);
    const node = readNode(bytes, digestBytes(bytes, crypto), map, crypto);
    return 'code' in node ? node.code : 'read';
  };

  test('every node of a map is read back from its canonical bytes', () => {
    for (const [digest, node] of store.held) {
      expect(readNode(canonicalBytes(node), digest, 'tenants', crypto)).toEqual(node);
    }
  });

  test('other bytes than the digest names are refused', () => {
    const bytes = canonicalBytes(store.nodes(store.root));
    const other = digestBytes(utf8('other'), crypto);
    expect(readNode(bytes, other, 'tenants', crypto)).toHaveProperty('code', 'digest');
    expect(readNode(bytes.with(40, 0), store.root, 'tenants', crypto)).toHaveProperty(
      'code',
      'digest',
    );
    expect(readNode(new Uint8Array(), store.root, 'tenants', crypto)).toHaveProperty(
      'code',
      'digest',
    );
  });

  // Attack: the host map answered where a tenant's record was asked for, or the other way about.
  test('a node of one map never stands in the other', () => {
    for (const map of ['hosts', 'tenants'] as const) {
      const other = map === 'hosts' ? 'tenants' : 'hosts';
      for (const count of [0, 1, 60]) {
        const held = new MapStore(map, valued(plain(count)));
        for (const [digest, node] of held.held) {
          const refused = readNode(canonicalBytes(node), digest, other, crypto);
          expect(refused).toHaveProperty('code', 'malformed');
        }
      }
    }
  });

  const leafOf = (count: number) =>
    canonical({ leaf: plain(count).map((key) => [key, 1]), map: 'tenants' });

  test('a leaf of 8 is read, one of 9 is not', () => {
    expect([read(leafOf(0)), read(leafOf(8)), read(leafOf(9))]).toEqual([
      'read',
      'read',
      'malformed',
    ]);
  });

  test.each([
    `{"branch":{"0f":"${D}"},"map":"tenants"}`,
    '{"leaf":[["a",null]],"map":"tenants"}',
    '{"leaf":[["a",[["b"]]]],"map":"tenants"}',
  ])('%s is read', (text) => {
    expect(read(text)).toBe('read');
  });

  test.each([
    ['a member more', '{"leaf":[],"map":"tenants","more":1}'],
    ['leaf and branch', `{"branch":{"0f":"${D}"},"leaf":[],"map":"tenants"}`],
    ['__proto__', '{"__proto__":{},"leaf":[],"map":"tenants"}'],
    ['__proto__ for the map', '{"__proto__":{"map":"tenants"},"leaf":[]}'],
    ['no map', '{"leaf":[]}'],
    ['another map', '{"leaf":[],"map":"others"}'],
    ['neither leaf nor branch', '{"map":"tenants","tree":[]}'],
    ['null', 'null'],
    ['text', '"tenants"'],
    ['an array', '[["leaf",[]],["map","tenants"]]'],
    ['a leaf that is an object', '{"leaf":{},"map":"tenants"}'],
    ['a leaf that is null', '{"leaf":null,"map":"tenants"}'],
    ['an entry of one', '{"leaf":[["a"]],"map":"tenants"}'],
    ['an entry of three', '{"leaf":[["a",1,2]],"map":"tenants"}'],
    ['an entry that is an object', '{"leaf":[{"0":"a","1":1}],"map":"tenants"}'],
    ['an entry that is text', '{"leaf":["ab"],"map":"tenants"}'],
    ['a key that is a number', '{"leaf":[[1,1]],"map":"tenants"}'],
    ['a branch that is null', '{"branch":null,"map":"tenants"}'],
    ['a branch that is an array', `{"branch":["${D}"],"map":"tenants"}`],
    ['a step of one digit', `{"branch":{"f":"${D}"},"map":"tenants"}`],
    ['a step of three digits', `{"branch":{"0ff":"${D}"},"map":"tenants"}`],
    ['a step in capitals', `{"branch":{"0F":"${D}"},"map":"tenants"}`],
    ['a step that is no hex', `{"branch":{"0g":"${D}"},"map":"tenants"}`],
    ['a step with a newline', `{"branch":{"0f\\n":"${D}"},"map":"tenants"}`],
    ['a step __proto__', `{"branch":{"__proto__":"${D}"},"map":"tenants"}`],
    ['a digest that is short', `{"branch":{"0f":"${D.slice(1)}"},"map":"tenants"}`],
    ['a digest with trailing bits', `{"branch":{"0f":"${D.slice(1)}B"},"map":"tenants"}`],
    ['a digest that is no text', '{"branch":{"0f":null},"map":"tenants"}'],
    ['a space', '{"leaf":[], "map":"tenants"}'],
    ['another order', '{"map":"tenants","leaf":[]}'],
    ['no JSON', 'leaf'],
  ])('a node with %s is malformed', (_, text) => {
    expect(read(text)).toBe('malformed');
  });
});

// The tree of a set is one tree. An author whose root is that of another is caught by those who
// fold again; a reader with a proof sees a few nodes only, and cannot tell.
describe('a node that no tree has', () => {
  test('is what the digest says and can be found, which the fold must exclude', () => {
    const twice: MapNode = {
      map: 'tenants',
      leaf: [
        ['a', 1],
        ['a', 2],
      ],
    };
    const root = nodeDigest(twice, crypto);
    expect(say(checkProof(root, 'a', [twice], crypto))).toBe('present 1');
  });
});
