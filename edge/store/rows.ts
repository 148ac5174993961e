// The rows of an edge store: commits, pieces by digest, the floor, trust, receipts (E1, E5, C5,
// C11). Every write of one commit is one transaction. Pieces that a commit replaces stay for some
// hundred versions, because isolates still walk from older roots.

import { canonical } from '../../shared/canonical.ts';
import type { Place } from '../../shared/control/answer.ts';
import type { Admitted } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import type { Writes } from '../../shared/control/state.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Digest } from '../../shared/digest.ts';
import { CHAIN_LINKS_MAX, NODE_RETENTION_VERSIONS, RECEIPT_ROWS_MAX } from '../../shared/limits.ts';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS commits (
    version INTEGER PRIMARY KEY, jws TEXT NOT NULL, manifest TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS pieces (
    digest TEXT PRIMARY KEY, text TEXT NOT NULL, retired INTEGER);
  CREATE INDEX IF NOT EXISTS pieces_retired ON pieces (retired) WHERE retired IS NOT NULL;
  CREATE TABLE IF NOT EXISTS floor (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation TEXT NOT NULL, version TEXT NOT NULL,
    jws TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS trust (version INTEGER PRIMARY KEY, jws TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS receipts (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, applied INTEGER NOT NULL, digest TEXT NOT NULL,
    body TEXT NOT NULL, jws TEXT);
`;

export interface CommitRow {
  readonly version: number;
  readonly jws: string;
  readonly manifest: string;
}

export interface FloorRow {
  readonly generation: string;
  readonly version: string;
  readonly jws: string;
}

/** A receipt; `jws` is null until it was signed. */
export type ReceiptRow = {
  readonly seq: number;
  readonly at: number;
  /** 1 for APPLIED, 0 for REFUSED. */
  readonly applied: number;
  readonly digest: string;
  /** Canonical text: the payload of `jws`. */
  readonly body: string;
  readonly jws: string | null;
};

export class Rows {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(SCHEMA);
  }

  /** Oldest first, the newest that a chain holds. */
  commits(): readonly CommitRow[] {
    return this.#storage.sql
      .exec<{ version: number; jws: string; manifest: string }>(
        'SELECT * FROM (SELECT * FROM commits ORDER BY version DESC LIMIT ?) ORDER BY version',
        CHAIN_LINKS_MAX,
      )
      .toArray();
  }

  piece(digest: string): string | null {
    const [row] = this.#storage.sql
      .exec<{ text: string }>('SELECT text FROM pieces WHERE digest = ?', digest)
      .toArray();
    return row?.text ?? null;
  }

  floor(): FloorRow | null {
    const [row] = this.#storage.sql
      .exec<{ generation: string; version: string; jws: string }>('SELECT * FROM floor')
      .toArray();
    return row ?? null;
  }

  /** Signed trust documents, oldest first. */
  trust(): readonly string[] {
    return this.#storage.sql
      .exec<{ jws: string }>('SELECT jws FROM trust ORDER BY version')
      .toArray()
      .map(({ jws }) => jws);
  }

  /** All that are held, in place of what was there. */
  setTrust({ held }: Trust): void {
    this.#storage.transactionSync(() => {
      this.#storage.sql.exec('DELETE FROM trust');
      for (const [version, { jws }] of held) {
        const text = JSON.stringify(jws);
        this.#storage.sql.exec('INSERT INTO trust VALUES (?, ?)', Number(version), text);
      }
    });
  }

  lastReceipt(): ReceiptRow | null {
    const [row] = this.#storage.sql
      .exec<ReceiptRow>('SELECT * FROM receipts ORDER BY seq DESC LIMIT 1')
      .toArray();
    return row ?? null;
  }

  /** Those not signed yet, the newest `most`, and the newest APPLIED, oldest first. */
  receiptsToAnswer(most: number): readonly ReceiptRow[] {
    return this.#storage.sql
      .exec<ReceiptRow>(
        `SELECT * FROM receipts WHERE jws IS NULL
           OR seq > (SELECT max(seq) FROM receipts) - ?
           OR seq = (SELECT max(seq) FROM receipts WHERE applied = 1) ORDER BY seq`,
        most,
      )
      .toArray();
  }

  /** Old ones go, but for the newest APPLIED: a flood of refusals must not hide what is stored. */
  addReceipt({ seq, at, applied, digest, body }: ReceiptRow): void {
    this.#storage.transactionSync(() => {
      this.#storage.sql.exec(
        'INSERT INTO receipts (seq, at, applied, digest, body) VALUES (?, ?, ?, ?, ?)',
        ...[seq, at, applied, digest, body],
      );
      this.#storage.sql.exec(
        `DELETE FROM receipts WHERE seq <= ?
           AND seq <> (SELECT ifnull(max(seq), 0) FROM receipts WHERE applied = 1)`,
        seq - RECEIPT_ROWS_MAX,
      );
    });
  }

  signReceipt({ seq, digest }: ReceiptRow, jws: Jws): void {
    this.#storage.sql.exec(
      'UPDATE receipts SET jws = ? WHERE seq = ? AND digest = ?',
      ...[JSON.stringify(jws), seq, digest],
    );
  }

  /** The commit with its pieces and its receipt, or nothing. */
  store({ link, writes }: Admitted, receipt: ReceiptRow | null): void {
    const version = Number(link.version);
    this.#storage.transactionSync(() => {
      this.#put(writes, version);
      this.#storage.sql.exec(
        'INSERT INTO commits (version, jws, manifest) VALUES (?, ?, ?)',
        version,
        JSON.stringify(link.jws),
        canonical(link.manifest),
      );
      this.#storage.sql.exec(
        'DELETE FROM pieces WHERE retired <= ?',
        version - NODE_RETENTION_VERSIONS,
      );
      this.#storage.sql.exec('DELETE FROM commits WHERE version <= ?', version - CHAIN_LINKS_MAX);
      if (receipt !== null) this.addReceipt(receipt);
    });
  }

  /**
   * Everything but floor, trust and receipts goes; what remains is the state before the first
   * commit.
   */
  reset(genesis: Writes): void {
    this.#storage.transactionSync(() => {
      this.#storage.sql.exec('DELETE FROM commits');
      this.#storage.sql.exec('DELETE FROM pieces');
      this.#put(genesis, 0);
    });
  }

  /**
   * Takes back the commits after `version`. What they replaced is in use again; what they added
   * stays until it is replaced or the store starts again.
   */
  rewind(version: bigint): void {
    this.#storage.transactionSync(() => {
      this.#storage.sql.exec('DELETE FROM commits WHERE version > ?', Number(version));
      this.#storage.sql.exec('UPDATE pieces SET retired = NULL WHERE retired > ?', Number(version));
    });
  }

  /** `jws` is the commit of that version: a floor that nobody signed for is none. */
  setFloor({ generation, version }: Place, jws: Jws): void {
    this.#storage.sql.exec(
      'INSERT OR REPLACE INTO floor (one, generation, version, jws) VALUES (1, ?, ?, ?)',
      generation.toString(),
      version.toString(),
      JSON.stringify(jws),
    );
  }

  #put({ pieces, retired }: Writes, version: number): void {
    for (const [digest, text] of pieces) {
      this.#storage.sql.exec(
        'INSERT OR REPLACE INTO pieces (digest, text, retired) VALUES (?, ?, NULL)',
        digest satisfies Digest,
        text,
      );
    }
    for (const digest of retired) {
      this.#storage.sql.exec('UPDATE pieces SET retired = ? WHERE digest = ?', version, digest);
    }
  }
}
