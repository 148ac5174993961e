// Following etcd by a scripted watch: what it tells is every event once, in order, whole revisions
// only, however the stream is cut, fragmented, repeated or compacted.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Tail, type Tiding } from '../../agent/control/tail.ts';
import {
  type Etcd,
  EtcdError,
  type Watch,
  type WatchEvent,
  type WatchFrame,
} from '../../agent/etcd-port.ts';

/** One stream: its frames, by the revision from which it was asked for. */
type Stream = (from: bigint) => readonly WatchFrame[];

const ENDED: WatchFrame = { kind: 'ended', reason: 'cut' };

/** The keys of each revision, beginning with 1. */
type History = readonly (readonly string[])[];

function eventsOf(history: History, from: bigint): readonly WatchEvent[] {
  return history.flatMap((keys, i) => {
    const modRevision = BigInt(i + 1);
    if (modRevision < from) return [];
    return keys.map((key) => ({ kind: 'delete' as const, key, modRevision }));
  });
}

/** What was told, how often it paused, what went wrong; `revision` is that of the store. */
async function follow(
  streams: readonly Stream[],
  revision: bigint,
  since: bigint | null = 0n,
  range: () => Promise<void> = async () => {},
) {
  const told: Tiding[] = [];
  const troubles: string[] = [];
  let pauses = 0;
  let opened = 0;
  const tail = new Tail('p/', since, {
    etcd: {
      range: async () => {
        await range();
        return { revision, term: 1n, kvs: [], more: false };
      },
      watch: (_: string, from: bigint) => {
        const frames = streams[opened++]?.(from) ?? [];
        if (opened > streams.length) tail.close();
        return new Scripted(frames);
      },
    } as unknown as Etcd,
    tell: (tiding) => told.push(tiding),
    trouble: (reason) => troubles.push(reason),
    pause: async () => {
      pauses += 1;
      if (pauses > 1_000) tail.close();
    },
  });
  await tail.run();
  return { told, troubles, pauses, opened, revision: tail.revision };
}

class Scripted implements Watch {
  readonly #frames: WatchFrame[];

  constructor(frames: readonly WatchFrame[]) {
    this.#frames = [...frames];
  }

  async next(): Promise<WatchFrame> {
    return this.#frames.shift() ?? ENDED;
  }

  close(): void {
    this.#frames.length = 0;
  }
}

function frame(events: readonly WatchEvent[], more = false): WatchFrame {
  return { kind: 'events', events, more };
}

/** `4: a b`: the revision and its keys. */
function linesOf(told: readonly Tiding[]): readonly string[] {
  return told.map((tiding) => {
    if (tiding.kind === 'from') return `from ${tiding.revision}${tiding.lost ? ' lost' : ''}`;
    return `${tiding.revision}: ${tiding.events.map(({ key }) => key).join(' ')}`;
  });
}

const HISTORY: History = [['a', 'b'], ['c'], ['a', 'd', 'e']];
const WHOLE = ['1: a b', '2: c', '3: a d e'];
const [A1, B1, C2, A3, D3, E3] = eventsOf(HISTORY, 1n) as [
  WatchEvent,
  WatchEvent,
  WatchEvent,
  WatchEvent,
  WatchEvent,
  WatchEvent,
];

describe('one stream', () => {
  test.each<readonly [string, readonly WatchFrame[], readonly string[]]>([
    ['all at once', [frame([A1, B1, C2, A3, D3, E3])], WHOLE],
    ['fragments', [frame([A1], true), frame([B1, C2, A3], true), frame([D3, E3])], WHOLE],
    ['a fragment that never ends', [frame([A1, B1, C2, A3, D3], true)], ['1: a b', '2: c']],
    ['a revision told again', [frame([A1, B1]), frame([A1, B1, C2]), frame([A3, D3, E3])], WHOLE],
    ['a part told again', [frame([A1, B1, C2, A3], true), frame([A3, D3, E3])], WHOLE],
    ['signs of life between', [frame([A1, B1]), { kind: 'alive' }, frame([C2])], WHOLE.slice(0, 2)],
  ])('%s', async (_, frames, expected) => {
    expect(linesOf((await follow([() => frames], 3n)).told)).toEqual(expected);
  });

  test('the one after begins behind the last whole revision', async () => {
    const froms: bigint[] = [];
    const streams = [
      () => [frame([A1, B1, C2]), frame([A3], true)],
      (from: bigint) => {
        froms.push(from);
        return [frame([A3, D3, E3])];
      },
    ];
    expect(linesOf((await follow(streams, 3n)).told)).toEqual(WHOLE);
    expect(froms).toEqual([3n]);
  });

  test('one whose order is wrong is left, and nothing of it is told out of order', async () => {
    const streams = [() => [frame([C2, A1, B1])], () => [frame([A1, B1, C2, A3, D3, E3])]];
    const { told, troubles } = await follow(streams, 3n);
    expect(linesOf(told)).toEqual(WHOLE);
    expect(troubles.join()).toContain('order');
  });
});

describe('where it begins', () => {
  test('now, when nobody says from where', async () => {
    const { told, revision } = await follow([() => []], 7n, null);
    expect([linesOf(told), revision]).toEqual([['from 7'], 7n]);
  });

  test('now, and it says that something is lost, when its start is compacted', async () => {
    const streams = [() => [{ kind: 'compacted', revision: 5n } as const], () => []];
    expect(linesOf((await follow(streams, 7n, 1n)).told)).toEqual(['from 7 lost']);
  });

  test('compacted while etcd cannot be read: it waits between two attempts', async () => {
    let reads = 0;
    const { told, pauses } = await follow(
      [() => [{ kind: 'compacted', revision: 5n } as const], () => []],
      7n,
      1n,
      async () => {
        reads += 1;
        if (reads <= 20) throw new EtcdError('unavailable', 'down');
      },
    );
    expect(linesOf(told)).toEqual(['from 7 lost']);
    expect(pauses).toBeGreaterThanOrEqual(20);
  });
});

// Attack (I16): one deletion of a prefix by a stolen role is one revision of as many events as
// there are keys; agents that compare each with all of them answer nobody for minutes.
test('the time for one revision grows with its events and not faster', async () => {
  const elapsedMs = async (count: number) => {
    const keys = Array.from({ length: count }, (_, i) => `key ${i}`);
    const events = eventsOf([keys], 1n);
    const half = count / 2;
    const frames = [frame(events.slice(0, half), true), frame(events.slice(half))];
    const startMs = performance.now();
    const { told } = await follow([() => frames], 1n);
    const tookMs = performance.now() - startMs;
    expect(told).toEqual([{ kind: 'revision', revision: 1n, events }]);
    return tookMs;
  };
  await elapsedMs(10_000);
  const few = await elapsedMs(10_000);
  // The shorter of two: a busy machine holds up one of them.
  const many = Math.min(await elapsedMs(100_000), await elapsedMs(100_000));
  expect(many).toBeLessThan(Math.max(few, 5) * 40);
});

/** Cuts events into frames; some repeat what was before, some are fragments. */
const script = fc.record({
  /** Lengths of frames, in events. */
  sizes: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 12 }),
  /** So many of the events before come again with each frame. */
  again: fc.integer({ min: 0, max: 3 }),
  alive: fc.boolean(),
  compacted: fc.boolean(),
});

function framesBy(
  { sizes, again, alive, compacted }: typeof script extends fc.Arbitrary<infer T> ? T : never,
  events: readonly WatchEvent[],
): readonly WatchFrame[] {
  if (compacted) return [{ kind: 'compacted', revision: 1n }];
  const frames: WatchFrame[] = [];
  let at = 0;
  for (const size of sizes) {
    const part = events.slice(Math.max(0, at - again), at + size);
    at += size;
    const goesOn = events[at]?.modRevision === events[at - 1]?.modRevision && at < events.length;
    if (part.length > 0) frames.push(frame(part, goesOn));
    if (alive) frames.push({ kind: 'alive' });
  }
  return frames;
}

test('law: every event once, in order, whole revisions; none missed but what is lost', async () => {
  const keys = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
  const history = fc.array(keys, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(history, fc.array(script, { maxLength: 8 }), async (revisions, scripts) => {
      const newest = BigInt(revisions.length);
      const streams = scripts.map(
        (one): Stream =>
          (from) => {
            return framesBy(one, eventsOf(revisions, from));
          },
      );
      const last: Stream = (from) => [frame(eventsOf(revisions, from))];
      const { told, revision } = await follow([...streams, last], newest);
      const all = revisions.map((names, i) => `${i + 1}: ${names.join(' ')}`);
      const lines = linesOf(told);
      const lost = lines.findIndex((line) => line.startsWith('from'));
      // Where something is lost it is read instead, as of the newest.
      const seen = lost < 0 ? all : [...all.slice(0, lost), `from ${newest} lost`];
      expect(lines.slice(0, seen.length)).toEqual(seen);
      expect(lines.slice(seen.length).every((line) => line === `from ${newest} lost`)).toBe(true);
      expect(revision).toBe(newest);
    }),
    { numRuns: 300 },
  );
});
