// Attacks on a store's rows: whoever can write its database changes what lies there. On its next
// start the store notices, begins again from nothing but its floor, and agents bring what it lacks.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Jws } from '../../../shared/control/jws.ts';
import { digestOf } from '../../../shared/digest.ts';
import { crypto, keyNamed } from '../../shared/kit.ts';
import { until } from '../wait.ts';
import { type Bench, flipLast, NOTICE_DEADLINE_MS, withSignature } from './bench.ts';

const STORE = 'weur';

interface RowAttack {
  readonly name: string;
  readonly code: string;
  readonly tamper: (db: DatabaseSync, bench: Bench) => Promise<void>;
}

const ATTACKS: readonly RowAttack[] = [
  onCommit('a changed signature', 'signature', async (jws) => withSignature(jws, flipLast)),
  onCommit('another encoding', 'encoding', async (jws) => ({ ...jws, payload: `${jws.payload}=` })),
  onCommit('a key that trust does not name', 'key-unknown', (_, b) =>
    b.commit({ version: 2n, previous: previousOf(b) }, keyNamed('stranger')),
  ),
  onCommit('another cluster', 'cluster', (_, b) => b.commit({ version: 2n, cluster: 'other' })),
  onCommit('another commit before it', 'previous', (_, b) => {
    return b.commit({ version: 2n, previous: digestOf('another', crypto) });
  }),
  onCommit('another version', 'gap', (_, b) => b.commit({ version: 7n })),
  {
    name: 'rows: another manifest',
    code: 'digest',
    tamper: async (db) => {
      db.exec(`UPDATE commits SET manifest = replace(manifest, '"version":"2"', '"version":"9"')`);
    },
  },
  {
    name: 'rows: another global part',
    code: 'digest',
    tamper: async (db) => {
      db.exec(`UPDATE pieces SET text = replace(text, '"capacity":100', '"capacity":1')`);
    },
  },
];

export async function attackRows(bench: Bench): Promise<void> {
  const { edgeHost } = bench.world;
  const file = String(await edgeHost.ask({ storeFile: STORE }));
  for (const { name, code, tamper } of ATTACKS) {
    await caughtUp(bench);
    const before = await alarmsIn(bench, code);
    const db = new DatabaseSync(file);
    try {
      await tamper(db, bench);
    } finally {
      db.close();
    }
    await edgeHost.ask({ evict: STORE });
    await bench.noticed(name, async () => {
      await bench.world.probe('fra');
      return (await alarmsIn(bench, code)) > before;
    });
    await bench.unchanged(name);
  }
  await caughtUp(bench);
  bench.report.event('the store has all of it again');
}

/** The store holds the newest commit and its floor is where it was. */
async function caughtUp(bench: Bench): Promise<void> {
  await until(
    'the store catches up',
    async () => {
      const { stores } = await bench.world.probe('fra');
      const store = stores.find(({ id }) => id === STORE);
      return store?.head?.version === bench.version && store.floor?.version === bench.version;
    },
    { deadlineMs: NOTICE_DEADLINE_MS },
  );
}

async function alarmsIn(bench: Bench, code: string): Promise<number> {
  const log = join(bench.world.folder, 'edge', `store-${STORE}.log`);
  const text = await readFile(log, 'utf8').catch(() => '');
  return text.split(`"alarm":"${code}","store":"${STORE}"`).length - 1;
}

function onCommit(
  name: string,
  code: string,
  forge: (jws: Jws, bench: Bench) => Promise<Jws>,
): RowAttack {
  return {
    name: `rows: ${name}`,
    code,
    tamper: async (db, bench) => {
      const row = db.prepare('SELECT jws FROM commits WHERE version = 2').get() as { jws: string };
      const forged = await forge(JSON.parse(row.jws) as Jws, bench);
      db.prepare('UPDATE commits SET jws = ? WHERE version = 2').run(JSON.stringify(forged));
    },
  };
}

function previousOf(bench: Bench) {
  return bench.held.holder.chain.at(-1)?.previous ?? null;
}
