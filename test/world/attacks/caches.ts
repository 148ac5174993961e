// Attacks on a location's cache: whoever can write there (another Worker of the zone, a bug) puts
// something else under the platform's keys.

import type { EdgeId } from '../demo.ts';
import { EDGES } from '../demo.ts';
import { until } from '../wait.ts';
import { type Bench, flipLast, NOTICE_DEADLINE_MS } from './bench.ts';

const ORIGIN = 'https://state.portolan.invalid/';

interface HeadText {
  v: number;
  commits: { jws: { payload: string; signatures: { signature: string }[] }; manifest: object }[];
  attestations: { payload: string }[];
}

type HeadAttack = readonly [name: string, code: string, tamper: (head: HeadText) => unknown];

const HEAD_ATTACKS: readonly HeadAttack[] = [
  ['nonsense', 'malformed', () => 'nonsense'],
  ['another format', 'version-unsupported', (head) => ({ ...head, v: 7 })],
  [
    'another manifest',
    'digest',
    (head) => {
      for (const commit of head.commits) commit.manifest = { ...commit.manifest, version: '9' };
      return head;
    },
  ],
  [
    'a changed signature',
    'signature',
    (head) => {
      // A cold isolate has not seen these commits, so it must check who signed them.
      for (const { jws } of head.commits) {
        for (const one of jws.signatures) one.signature = flipLast(one.signature);
      }
      return head;
    },
  ],
  ['a commit twice', 'gap', (head) => ({ ...head, commits: [...head.commits, ...head.commits] })],
];

export async function attackCaches(bench: Bench): Promise<void> {
  const edge: EdgeId = 'gru';
  for (const [name, code, tamper] of HEAD_ATTACKS) {
    const head = await readHead(bench);
    await cold(bench, edge, async () => {
      await put(bench, edge, 'head', JSON.stringify(tamper(head)));
    });
    await countedAt(bench, edge, `cache: head: ${name}`, code);
    await bench.unchanged(`cache: head: ${name}`);
  }
  await attackPieces(bench, edge);
}

/** Every piece that the location has cached is replaced; a cold isolate must fetch them again. */
async function attackPieces(bench: Bench, edge: EdgeId): Promise<void> {
  const { manifest } = bench.held.holder.state;
  const keys = [manifest.global, manifest.hosts, manifest.tenants].map(
    (digest) => `piece/${digest}`,
  );
  await cold(bench, edge, async () => {
    for (const key of keys) await put(bench, edge, key, '{"map":"hosts","leaf":[]}');
  });
  await bench.unchanged('cache: pieces');
  await countedAt(bench, edge, 'cache: pieces', 'digest');
}

/** Restarts one location so that its next request finds an isolate without state. */
async function cold(bench: Bench, edge: EdgeId, meanwhile: () => Promise<void>): Promise<void> {
  const { edgeHost } = bench.world;
  await edgeHost.ask({ stop: edge });
  await edgeHost.ask({ start: edge });
  await meanwhile();
}

async function put(bench: Bench, location: EdgeId, key: string, text: string): Promise<void> {
  const headers = { 'cache-control': 'max-age=60' };
  const bodyBase64 = Buffer.from(text).toString('base64');
  const entry = { location, url: `${ORIGIN}${key}`, status: 200, headers, bodyBase64 };
  await bench.world.edgeHost.ask({ cachePut: entry });
}

/** The head as some location has cached it just now. */
async function readHead(bench: Bench): Promise<HeadText> {
  const entry = await until(
    'a cached head',
    async () => {
      for (const location of EDGES) {
        await bench.world.probe(location);
        const found = (await bench.world.edgeHost.ask({
          cacheGet: { location, url: `${ORIGIN}head` },
        })) as { bodyBase64: string } | null;
        if (found !== null && location !== 'gru') return found;
      }
      return null;
    },
    { deadlineMs: NOTICE_DEADLINE_MS },
  );
  return JSON.parse(Buffer.from(entry.bodyBase64, 'base64').toString('utf8')) as HeadText;
}

async function countedAt(bench: Bench, edge: EdgeId, name: string, code: string): Promise<void> {
  await bench.noticed(name, async () => {
    const { counters } = (await bench.world.probe(edge)).edge;
    return (counters[code] ?? 0) > 0;
  });
}
