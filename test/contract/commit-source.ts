// What every source of commits must do, whatever it stands on: one suite, run on the directory and
// on the fake, so that what holds of agents on the fake holds of agents on a disk.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COMMITS_PER_READ_MAX } from '../../agent/limits.ts';
import { type CommitSource, SourceError } from '../../agent/ports.ts';
import { encodeBase64url } from '../../shared/base64url.ts';
import { canonicalBytes } from '../../shared/canonical.ts';
import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import { ALGORITHM, decodeJws, type Jws } from '../../shared/control/jws.ts';
import { SIGNATURE_BYTES } from '../../shared/ed25519.ts';
import { COMMIT_BYTES_MAX } from '../../shared/limits.ts';
import { codeOf, digestNamed } from '../shared/forge.ts';
import { crypto } from '../shared/kit.ts';

/** One medium, and what somebody with access to it may do to it. */
export interface SourceRig {
  /** One more reader and writer of the same medium, as another process has it. */
  open(): CommitSource;
  /** Has it an index of its own for each commit, as etcd has revisions? */
  readonly indexed?: boolean;
  write(version: bigint, text: string): Promise<void>;
  remove(version: bigint): Promise<void>;
  breakDown(): Promise<void>;
  repair(): Promise<void>;
  dispose(): Promise<void>;
}

const TYP = envelopeKind.typ;
const RACES = 40;
const APPENDS = 200;

/**
 * A commit in form, the first or the one after another, which says who wrote it; nobody signed it,
 * and the port does not judge it.
 */
export function commitNamed(name: string, after: Jws | null = null): Jws {
  const before = decodeJws(after, envelopeKind, crypto);
  const payload: Envelope = {
    kind: 'commit',
    cluster: 'test',
    generation: 1n,
    version: 'claimed' in before ? before.claimed.version + 1n : 1n,
    previous: 'claimed' in before ? before.digest : null,
    lamport: 1n,
    trust: 1n,
    class: 'normal',
    author: 'nobody',
    reason: 'a contract',
    opId: '00000000',
    operations: [{ op: 'put', key: 'global/policies/p', value: { name } }],
    manifest: digestNamed('manifest'),
    approvals: [],
  };
  const header = encodeBase64url(canonicalBytes({ alg: ALGORITHM, kid: 'k', typ: TYP }));
  const signature = encodeBase64url(new Uint8Array(SIGNATURE_BYTES));
  return {
    payload: encodeBase64url(canonicalBytes(payload)),
    signatures: [{ protected: header, signature }],
  };
}

const A = commitNamed('a');
const B = commitNamed('b', A);
const C = commitNamed('c', B);

export function commitSourceContract(newRig: () => Promise<SourceRig>): void {
  let rig: SourceRig;
  beforeEach(async () => {
    rig = await newRig();
  });
  afterEach(() => rig.dispose());

  async function holding(...commits: readonly Jws[]): Promise<CommitSource> {
    const source = rig.open();
    for (const [i, jws] of commits.entries()) await source.append(BigInt(i) + 1n, jws);
    return source;
  }

  describe('reading', () => {
    test.each<readonly [string, bigint, readonly Jws[]]>([
      ['from the first on: all, oldest first', 1n, [A, B, C]],
      ['from the head on: the head', 3n, [C]],
      ['from beyond the head: nothing', 4n, []],
    ])('%s', async (_, from, expected) => {
      const source = await holding(A, B, C);
      expect((await source.read(from)).commits).toEqual(expected);
    });

    test('before the first commit there is nothing', async () => {
      expect((await rig.open().read(1n)).commits).toEqual([]);
    });

    test('a hole ends what is read, whatever lies behind it', async () => {
      const source = await holding(A, B, C);
      await rig.remove(2n);
      expect((await source.read(1n)).commits).toEqual([A]);
      expect((await source.read(2n)).commits).toEqual([]);
      expect((await source.read(3n)).commits).toEqual([C]);
    });

    test('one read returns COMMITS_PER_READ_MAX, and the next goes on from there', async () => {
      const source = rig.open();
      const most = COMMITS_PER_READ_MAX;
      for (let v = 1; v <= most + 1; v++) await rig.write(BigInt(v), `{"v":${v}}`);
      const first = (await source.read(1n)).commits;
      expect([first.length, first.at(-1)]).toEqual([most, { v: most }]);
      expect((await source.read(2n)).commits).toHaveLength(most);
      expect((await source.read(3n)).commits).toHaveLength(most - 1);
      expect((await source.read(BigInt(most + 1))).commits).toEqual([{ v: most + 1 }]);
    });

    test('the commit index is the version without a term, or rises under one', async () => {
      const read = await (await holding(A, B)).read(1n);
      const indexes = [read.commitIndex(1n), read.commitIndex(2n)];
      if (rig.indexed !== true) expect([...indexes, read.term]).toEqual([1n, 2n, 0n]);
      else {
        expect(indexes[1]).toBeGreaterThan(indexes[0] ?? 0n);
        expect(read.term).toBeGreaterThan(0n);
      }
    });
  });

  describe('what somebody put there', () => {
    test.each([
      ['nothing', ''],
      ['white space', ' \n'],
      ['half a commit', '{"payload":"a","signat'],
      ['no JSON', 'hello'],
      ['zeros', '\0'.repeat(512)],
      ['null', 'null'],
      ['a list', '[]'],
      ['a number beyond doubles', '1e999'],
      ['a lone surrogate', '{"payload":"\\ud800","signatures":[]}'],
      ['brackets without end', '['.repeat(100_000)],
    ])('%s is handed on, refused as malformed, and hides nothing', async (_, text) => {
      const source = await holding(A, B, C);
      await rig.write(2n, text);
      const { commits } = await source.read(1n);
      expect([commits[0], commits.length, commits[2]]).toEqual([A, 3, C]);
      expect(codeOf(decodeJws(commits[1], envelopeKind, crypto))).toBe('malformed');
    });

    test.each([
      ['text', 'x'.repeat(COMMIT_BYTES_MAX * 2 + 1)],
      ['a payload', JSON.stringify({ ...A, payload: 'A'.repeat(COMMIT_BYTES_MAX * 2) })],
    ])('%s over the bound is refused as too large', async (_, text) => {
      const source = await holding(A, B);
      await rig.write(1n, text);
      const { commits } = await source.read(1n);
      expect(codeOf(decodeJws(commits[0], envelopeKind, crypto))).toBe('too-large');
      expect(commits[1]).toEqual(B);
    });
  });

  test('a source that cannot be read rejects with SourceError, and recovers', async () => {
    const source = await holding(A);
    await rig.breakDown();
    const read = source.read(1n);
    await expect(read).rejects.toThrow(SourceError);
    await expect(read).rejects.toMatchObject({ code: 'source-unreadable' });
    await rig.repair();
    expect((await source.read(1n)).commits).toEqual([A]);
  });

  describe('appending', () => {
    test('a version that is there is never written over (C2)', async () => {
      const source = await holding(A);
      expect(await rig.open().append(1n, B)).toBe('exists');
      expect((await source.read(1n)).commits).toEqual([A]);
    });

    // C2: the one who is first decides; the other is told, so that nobody believes in a lost
    // commit.
    test('of two at once one is created, and the other learns that it exists', async () => {
      const [left, right] = [rig.open(), rig.open()];
      const won: Jws[] = [];
      for (let version = 1n; version <= RACES; version++) {
        const [a, b] = [commitNamed('a', won.at(-1)), commitNamed('b', won.at(-1))];
        const outcomes = await Promise.all([left.append(version, a), right.append(version, b)]);
        expect([...outcomes].sort()).toEqual(['created', 'exists']);
        won.push(outcomes[0] === 'created' ? a : b);
      }
      expect((await left.read(1n)).commits).toEqual(won);
    });

    test('of eight at once one is created', async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, i) => rig.open().append(1n, commitNamed(`${i}`))),
      );
      expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
      const winner = commitNamed(`${outcomes.indexOf('created')}`);
      expect((await rig.open().read(1n)).commits).toEqual([winner]);
    });

    test('a reader never sees a part of a commit', async () => {
      const [writer, reader] = [rig.open(), rig.open()];
      const commits: Jws[] = [];
      for (let i = 0; i < APPENDS; i++) {
        commits.push(commitNamed(`${i}-${'x'.repeat(20_000)}`, commits.at(-1)));
      }
      let done = false;
      const writing = (async () => {
        for (const [i, jws] of commits.entries()) await writer.append(BigInt(i) + 1n, jws);
        done = true;
      })();
      let seen = 0;
      do {
        const read = (await reader.read(BigInt(seen) + 1n)).commits;
        const whole = read.every((jws, i) => {
          return (jws as Jws | null)?.payload === commits[seen + i]?.payload;
        });
        expect(whole).toBe(true);
        seen += read.length;
      } while (!done);
      await writing;
      expect((await reader.read(1n)).commits).toEqual(commits);
    });
  });
}
