// Control state through agents. Reads ask all of them at once: one that shows an older history, a
// false one or none must not decide what this command takes for the head. A commit goes to one
// after the other until one says what became of it; the same bytes may be sent to all, because a
// commit lands once.

import { decodeJws, type Jws } from '../../shared/control/jws.ts';
import { trustKind } from '../../shared/control/trust.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { COMMITS_PATH, commitsSchema, conflictSchema } from '../api/commits.ts';
import { ATTESTATIONS_PATH, attestationsSchema } from '../api/reads.ts';
import { refusedSchema } from '../api/route.ts';
import { TRUST_PATH, trustAnswerSchema } from '../api/trust.ts';
import {
  type AgentAccess,
  type AgentAnswer,
  askAgent,
  reasonOf,
  wasNeverSent,
} from './agent-http.ts';
import type { Appended, Control, Offer } from './control.ts';
import { isSame } from './directory-control.ts';
import { CliError } from './exit.ts';

type Parser<T> = { safeParse(value: unknown): { success: boolean; data?: T } };

export class AgentsControl implements Control {
  readonly kind = 'agents';
  readonly where: string;
  readonly #urls: readonly string[];
  readonly #access: AgentAccess;
  /** Who failed once is asked no more: a person waits. */
  readonly #silent = new Map<string, string>();

  constructor(urls: readonly string[], access: AgentAccess) {
    this.where = urls.join(', ');
    this.#urls = urls;
    this.#access = access;
  }

  async read(from: bigint): Promise<readonly Offer[]> {
    const heard = await this.#askAll(`${COMMITS_PATH}?from=${from}`, commitsSchema);
    // The longest first: what the others show is then held against it.
    const offers = heard.map(({ url, data }) => ({ from: url, commits: data.commits }));
    return offers.sort((a, b) => b.commits.length - a.commits.length);
  }

  async trust(version: bigint): Promise<unknown> {
    const heard = await this.#askAll(`${TRUST_PATH}?from=${version}`, trustAnswerSchema);
    // One honest agent is enough: a newer document certifies itself.
    for (const { data } of heard) {
      const [first = null] = data.trust;
      const decoded = decodeJws(first, trustKind, nodeCrypto);
      if ('claimed' in decoded && decoded.claimed.version === version) return first;
    }
    return null;
  }

  /** To the first that takes it or knows another. */
  async publishTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    const body = JSON.stringify(jws);
    const reasons: string[] = [];
    for (const url of this.#urls) {
      try {
        const request = { method: 'POST', target: TRUST_PATH, body } as const;
        const { status, value } = await askAgent(url, request, this.#access);
        if (status === 201) return 'created';
        if (status === 409) return 'exists';
        const { code, detail } = refusedSchema.safeParse(value).data ?? { code: '', detail: '' };
        reasons.push(`${url}: answered ${status} ${code} ${detail}`.trimEnd());
      } catch (error) {
        reasons.push(`${url}: ${reasonOf(error)}`);
      }
    }
    const message = `no agent published trust ${version}`;
    throw new CliError('unreachable', message, { lines: reasons });
  }

  /** Agents hold chains, and a chain has no hole. */
  async beyondHole(): Promise<null> {
    return null;
  }

  async attestations(): Promise<readonly unknown[]> {
    const heard = await this.#askAll(ATTESTATIONS_PATH, attestationsSchema);
    return heard.flatMap(({ data }) => data.attestations);
  }

  notes(): readonly string[] {
    return [...this.#silent].map(([url, reason]) => `${url} was left out: ${reason}`);
  }

  async append(version: bigint, jws: Jws): Promise<Appended> {
    const reasons: string[] = [];
    let refused: Extract<Appended, { kind: 'refused' }> | null = null;
    let unreadable = false;
    let sent = false;
    for (const url of this.#urls) {
      const outcome = await this.#propose(url, jws);
      if (outcome.kind === 'created' || outcome.kind === 'exists') return outcome;
      if (outcome.kind === 'refused') refused ??= outcome;
      else {
        reasons.push(...outcome.reasons);
        unreadable ||= outcome.code === 'source-unreadable';
        sent ||= outcome.ambiguous;
      }
    }
    const found = sent ? await this.#readBack(version, jws) : 'absent';
    if (typeof found === 'object') return found;
    if (refused !== null && !sent) return refused;
    const code = unreadable ? 'source-unreadable' : 'unreachable';
    return { kind: 'unavailable', code, reasons, ambiguous: sent };
  }

  /** What one agent says of a commit; `ambiguous`: it may have written it. */
  async #propose(url: string, jws: Jws): Promise<Appended> {
    let answer: AgentAnswer;
    try {
      const body = JSON.stringify(jws);
      answer = await askAgent(url, { method: 'POST', target: COMMITS_PATH, body }, this.#access);
    } catch (error) {
      const reasons = [`${url}: ${reasonOf(error)}`];
      const ambiguous = !wasNeverSent(error);
      return { kind: 'unavailable', code: 'unreachable', reasons, ambiguous };
    }
    const { status, value } = answer;
    if (status === 201) return { kind: 'created' };
    const conflict = conflictSchema.safeParse(value);
    if (status === 409 && conflict.success) {
      return { kind: 'exists', commits: conflict.data.commits };
    }
    const { code, detail } = refusedSchema.safeParse(value).data ?? { code: '', detail: '' };
    if (status === 422 || status === 400) return { kind: 'refused', code, detail };
    const reasons = [`${url}: answered ${status} ${code} ${detail}`.trimEnd()];
    const unreadable = status === 503;
    return {
      kind: 'unavailable',
      code: unreadable ? 'source-unreadable' : 'unreachable',
      reasons,
      ambiguous: true,
    };
  }

  /** Sent and not answered: is it there? */
  async #readBack(version: bigint, jws: Jws): Promise<Appended | 'absent'> {
    const offers = await this.read(version).catch(() => []);
    if (offers.some(({ commits: [first] }) => isSame(first, jws))) return { kind: 'created' };
    const other = offers.find(({ commits }) => commits.length > 0);
    return other === undefined ? 'absent' : { kind: 'exists', commits: other.commits };
  }

  async #askAll<T>(
    target: string,
    schema: Parser<T>,
  ): Promise<readonly { readonly url: string; readonly data: T }[]> {
    const urls = this.#urls.filter((url) => !this.#silent.has(url));
    const heard = await Promise.all(
      urls.map(async (url) => {
        try {
          const { status, value } = await askAgent(url, { method: 'GET', target }, this.#access);
          const { data } = schema.safeParse(value);
          if (status === 200 && data !== undefined) return [{ url, data }];
          const said = refusedSchema.safeParse(value).data?.code ?? '';
          this.#silent.set(url, `answered ${status} ${said}`.trimEnd());
        } catch (error) {
          this.#silent.set(url, reasonOf(error));
        }
        return [];
      }),
    );
    const found = heard.flat();
    if (found.length > 0) return found;
    throw new CliError('unreachable', 'no agent answers', { lines: this.notes() });
  }
}
