// Storage that fails in the middle (STYLE 9): whatever statement it is, a commit is there whole or
// not at all, the store says so, and the next delta mends it.

import { describe, expect, test } from 'vitest';
import { Rows } from '../../edge/store/rows.ts';
import { Store } from '../../edge/store/store.ts';
import { testTrust } from '../shared/kit.ts';
import { dump, failing, HeldStore, inNewObject, STORE_ID } from './held-store.ts';
import { type Carried, change, NOW, Origin, sealed } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2), change(3));
const words = await origin.words(NOW);
const { commits } = origin;

/** A store on storage that can fail. */
async function open(storage: DurableObjectStorage) {
  const fault = failing(storage);
  const ports = { ...new HeldStore(storage, trust).ports, rows: new Rows(fault.storage) };
  const store = await Store.open(STORE_ID, trust, ports);
  return { store, fault };
}

function wipe(storage: DurableObjectStorage): void {
  new Rows(storage);
  for (const table of ['commits', 'pieces', 'floor', 'receipts'])
    storage.sql.exec(`DELETE FROM ${table}`);
}

interface Case {
  readonly name: string;
  readonly first: Carried;
  readonly carried: Carried;
}

const CASES: readonly Case[] = [
  { name: 'one more', first: { commits: commits.slice(0, 3) }, carried: { commits } },
  { name: 'words', first: { commits }, carried: { attestations: words } },
  { name: 'everything', first: {}, carried: { commits, attestations: words } },
];

const everything = await sealed({ commits, attestations: words });
const nothing = await sealed({});

function outcome(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'taken',
    (error: unknown) => String(error),
  );
}

describe.each(CASES)('a delta of $name', ({ first, carried }) => {
  const texts = Promise.all([sealed(first), sealed(carried)]);

  /** Fails each of its statements in turn, on rows that hold `first`. */
  function atEach(
    work: (
      n: number,
      opened: Awaited<ReturnType<typeof open>>,
      storage: DurableObjectStorage,
    ) => Promise<void>,
  ) {
    return inNewObject(async (storage) => {
      const [before, delta] = await texts;
      let statements = 0;
      for (let n = 0; n === 0 || n <= statements; n++) {
        wipe(storage);
        const opened = await open(storage);
        await opened.store.ingest(before);
        opened.fault.statements = 0;
        opened.fault.failAt = n === 0 ? null : n;
        const came = await outcome(opened.store.ingest(delta));
        expect(came, `statement ${n}`).toBe(n === 0 ? 'taken' : 'Error: disk I/O error');
        if (n === 0) statements = opened.fault.statements;
        opened.fault.failAt = null;
        await work(n, opened, storage);
      }
      expect(statements).toBeGreaterThan(0);
    });
  }

  /** The rows after each whole step of it. */
  function steps(): Promise<readonly string[]> {
    return inNewObject(async (storage) => {
      const [before, delta] = await texts;
      const { store } = await open(storage);
      await store.ingest(before);
      const rows = [JSON.stringify(dump(storage))];
      for (const one of carried.commits ?? []) {
        await store.ingest(await sealed({ commits: [one] }));
        rows.push(JSON.stringify(dump(storage)));
      }
      await store.ingest(delta);
      return [...rows, JSON.stringify(dump(storage))];
    });
  }

  test('leaves whole commits, and shows none that is not stored (C9)', async () => {
    const wholes = await steps();
    await atEach(async (n, { store }, storage) => {
      const rows = dump(storage);
      expect(wholes.indexOf(JSON.stringify(rows)), `statement ${n}`).not.toBe(-1);
      const shown = JSON.parse(store.head()).commits.length;
      expect(shown, `statement ${n}`).toBeLessThanOrEqual(rows.commits.length);
    });
  });

  test('is taken by the same store when it comes again', () =>
    atEach(async (n, { store }) => {
      expect([n, await outcome(store.ingest(everything))]).toEqual([n, 'taken']);
      const answer = await store.ingest(nothing);
      expect([answer.head?.version, answer.floor?.version]).toEqual([4n, 4n]);
    }));

  test('is taken after a restart when it comes again', () =>
    atEach(async (n, _, storage) => {
      const held = await HeldStore.open(storage, trust);
      const answer = await held.running.ingest(everything);
      expect([n, answer.head?.version, answer.floor?.version]).toEqual([n, 4n, 4n]);
      expect(held.alarms()).toEqual([]);
    }));
});

test('a store whose first start failed starts with the next call', async () => {
  await inNewObject(async (storage) => {
    const fault = failing(storage);
    const ports = { ...new HeldStore(storage, trust).ports, rows: new Rows(fault.storage) };
    fault.statements = 0;
    fault.failAt = 1;
    await expect(Store.open(STORE_ID, trust, ports)).rejects.toThrow('disk');
    fault.failAt = null;
    const store = await Store.open(STORE_ID, trust, ports);
    expect((await store.ingest(await sealed({ commits }))).head?.version).toBe(4n);
  });
});
