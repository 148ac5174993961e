// `control: file`: the signed commits in a folder.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws, type Jws } from '../../shared/control/jws.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { ControlDirectory } from '../adapters/directory.ts';
import { codeOf } from '../adapters/durable-file.ts';
import { SourceError } from '../ports.ts';
import type { Appended, Control, Offer } from './control.ts';

export class DirectoryControl implements Control {
  readonly kind = 'directory';
  readonly where: string;
  readonly #directory: ControlDirectory;

  constructor(folder: string) {
    this.where = folder;
    this.#directory = new ControlDirectory(folder);
  }

  async read(from: bigint): Promise<readonly Offer[]> {
    const { commits } = await this.#directory.read(from);
    return [{ from: this.where, commits }];
  }

  async append(version: bigint, jws: Jws): Promise<Appended> {
    let outcome: 'created' | 'exists' | null = null;
    let cause = '';
    try {
      outcome = await this.#directory.append(version, jws);
      if (outcome === 'created') return { kind: 'created' };
    } catch (error) {
      cause = String(error);
    }
    const there = await this.#directory.read(version).catch(() => null);
    const [first] = there?.commits ?? [];
    if (first !== undefined && isSame(first, jws)) return { kind: 'created' };
    if (first !== undefined || outcome === 'exists') {
      return { kind: 'exists', commits: there?.commits ?? [] };
    }
    const ambiguous = there === null;
    return { kind: 'unavailable', code: 'failure', reasons: [cause], ambiguous };
  }

  trust(version: bigint): Promise<unknown> {
    return this.#directory.trust(version);
  }

  publishTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    return this.#directory.writeTrust(version, jws);
  }

  async beyondHole(head: bigint): Promise<bigint | null> {
    const versions = (await this.#versions()).filter((version) => version > head);
    const [first] = versions.sort((a, b) => (a < b ? -1 : 1));
    if (first === undefined) return null;
    // Not a hole: the next commit has landed since the head was read.
    return (await this.#directory.read(head + 1n)).commits.length > 0 ? null : first;
  }

  async attestations(): Promise<null> {
    return null;
  }

  notes(): readonly string[] {
    return [];
  }

  async #versions(): Promise<bigint[]> {
    try {
      const names = await readdir(join(this.where, 'commits'));
      return names.flatMap((name) => {
        const digits = /^(\d{16})\.json$/.exec(name)?.[1];
        return digits === undefined ? [] : [BigInt(digits)];
      });
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw new SourceError(`${this.where}: ${codeOf(error)}`, { cause: error });
    }
  }
}

/** Are these two signed documents one commit? */
export function isSame(a: unknown, b: unknown): boolean {
  const [one, other] = [a, b].map((jws) => decodeJws(jws, envelopeKind, nodeCrypto));
  if (one === undefined || other === undefined) return false;
  return 'claimed' in one && 'claimed' in other && one.digest === other.digest;
}
