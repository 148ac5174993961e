// `control: file`: the signed commits in a directory (INTERFACES). Head is the highest version
// without a hole before it; the commit index is the version, the term 0. What lies in the files is
// untrusted: it is handed on as found.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJson } from '../../shared/canonical.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { COMMIT_BYTES_MAX } from '../../shared/limits.ts';
import { COMMITS_PER_READ_MAX } from '../limits.ts';
import { type CommitSource, SourceError, type SourceRead } from '../ports.ts';
import { codeOf, createFile } from './durable-file.ts';

const VERSION_DIGITS = 16;

export class ControlDirectory implements CommitSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(from: bigint): Promise<SourceRead> {
    const commits: unknown[] = [];
    for (let version = from; commits.length < COMMITS_PER_READ_MAX; version++) {
      const text = await this.#text(this.#commitPath(version));
      if (text === null) break;
      // Base64 and JSON around it take a third more; what is larger is refused unread.
      const fits = text.length <= COMMIT_BYTES_MAX * 2;
      commits.push(fits ? (parseJson(text)?.value ?? null) : { payload: text });
    }
    return { commits, commitIndex: (version) => version, term: 0n };
  }

  /** 'exists': somebody else was first. */
  append(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    return createFile(this.#commitPath(version), `${JSON.stringify(jws)}\n`);
  }

  /** The signed trust document `version`, unverified, or null. */
  async trust(version: bigint): Promise<unknown> {
    const text = await this.#text(join(this.#folder, 'trust', `${version}.json`));
    // A file cut short is not one that is not there: it is refused as malformed.
    return text === null ? null : (parseJson(text)?.value ?? {});
  }

  /** The signed join of an agent, unverified, or null. */
  async join(agent: string): Promise<unknown> {
    const text = await this.#text(join(this.#folder, 'joins', `${agent}.json`));
    return text === null ? null : (parseJson(text)?.value ?? null);
  }

  writeTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    const path = join(this.#folder, 'trust', `${version}.json`);
    return createFile(path, `${JSON.stringify(jws)}\n`);
  }

  writeJoin(agent: string, jws: Jws): Promise<'created' | 'exists'> {
    const path = join(this.#folder, 'joins', `${agent}.json`);
    return createFile(path, `${JSON.stringify(jws)}\n`);
  }

  #commitPath(version: bigint): string {
    const name = version.toString().padStart(VERSION_DIGITS, '0');
    return join(this.#folder, 'commits', `${name}.json`);
  }

  async #text(path: string): Promise<string | null> {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw new SourceError(`${path}: ${codeOf(error)}`, { cause: error });
    }
  }
}
