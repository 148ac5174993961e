// A source of commits in memory, for agents that run in one process. It passes the same contract
// suite as the directory (`test/contract/commit-source.ts`); what lies in it is text, because what
// an agent reads may be no commit at all.

import { COMMITS_PER_READ_MAX } from '../../agent/limits.ts';
import { type CommitSource, SourceError, type SourceRead } from '../../agent/ports.ts';
import { parseJson } from '../../shared/canonical.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { COMMIT_BYTES_MAX } from '../../shared/limits.ts';

/** No commit is as long as this, whatever the spelling. */
const TEXT_MAX = COMMIT_BYTES_MAX * 2;

export class MemorySource implements CommitSource {
  /** What is broken for as long as it is broken; null when the source can be read. */
  broken: string | null = null;
  /** Texts of trust documents, by version. */
  readonly trusts = new Map<bigint, string>();
  readonly #texts = new Map<bigint, string>();
  /** `from` of every read, oldest first. */
  readonly reads: bigint[] = [];
  /** More reads than this are a loop, which microtasks alone would never let a test see. */
  readsMax = Number.POSITIVE_INFINITY;

  constructor(commits: readonly Jws[] = []) {
    for (const [i, jws] of commits.entries()) this.put(BigInt(i) + 1n, jws);
  }

  async read(from: bigint): Promise<SourceRead> {
    this.reads.push(from);
    if (this.reads.length > this.readsMax) throw new Error('it is read without end');
    if (this.broken !== null) throw new SourceError(this.broken);
    const commits: unknown[] = [];
    for (let version = from; commits.length < COMMITS_PER_READ_MAX; version++) {
      const text = this.#texts.get(version);
      if (text === undefined) break;
      const fits = text.length <= TEXT_MAX;
      commits.push(fits ? (parseJson(text)?.value ?? null) : { payload: text });
    }
    return { commits, commitIndex: (version) => version, term: 0n };
  }

  async append(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    if (this.broken !== null) throw new SourceError(this.broken);
    if (this.#texts.has(version)) return 'exists';
    this.put(version, jws);
    return 'created';
  }

  async trust(version: bigint): Promise<unknown> {
    if (this.broken !== null) throw new SourceError(this.broken);
    const text = this.trusts.get(version);
    return text === undefined ? null : (parseJson(text)?.value ?? {});
  }

  async writeTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    if (this.broken !== null) throw new SourceError(this.broken);
    if (this.trusts.has(version)) return 'exists';
    this.trusts.set(version, JSON.stringify(jws));
    return 'created';
  }

  async join(): Promise<unknown> {
    return null;
  }

  /** Over whatever is there, as somebody with access to the disk would. */
  put(version: bigint, jws: Jws): void {
    this.write(version, JSON.stringify(jws));
  }

  write(version: bigint, text: string): void {
    this.#texts.set(version, text);
  }

  /** Puts the source back to an older state. */
  cutAfter(version: bigint): void {
    for (const held of [...this.#texts.keys()]) if (held > version) this.#texts.delete(held);
  }

  remove(version: bigint): void {
    this.#texts.delete(version);
  }
}
