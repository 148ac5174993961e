// An operator beside the faults: signs one history, writes some of it straight into etcd, and knows
// what etcd must hold by it, key by key, without asking the code that wrote it.

import { EtcdSource } from '../../../agent/control/etcd-source.ts';
import type { Etcd } from '../../../agent/etcd-port.ts';
import { SourceError } from '../../../agent/ports.ts';
import { canonical } from '../../../shared/canonical.ts';
import type { Operation } from '../../../shared/control/envelope.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import type { Trust } from '../../../shared/control/trust.ts';
import type { TestHolder } from '../../shared/kit.ts';
import { crypto, FIRST, newHolder, put, receive, signCommit, testTrust } from '../../shared/kit.ts';
import { pause } from '../../world/wait.ts';
import { dumpAt } from './history.ts';

const CONTROL = '/portolan/demo/control/';

export class Operator {
  readonly trust: Trust;
  readonly #etcd: Etcd;
  readonly #source: EtcdSource;
  readonly #held: TestHolder;
  /** What must lie in etcd. */
  readonly #expected = new Map<string, string>();

  private constructor(trust: Trust, etcd: Etcd) {
    this.trust = trust;
    this.#etcd = etcd;
    this.#held = newHolder(trust);
    const ports = { etcd, hasher: crypto, pause, trouble: () => {}, elapsedMs: () => 0 };
    this.#source = new EtcdSource('demo', null, ports);
  }

  /** The first commit is there. */
  static async start(etcd: Etcd): Promise<Operator> {
    const operator = new Operator(await testTrust(), etcd);
    await operator.#append(await operator.#next(FIRST));
    return operator;
  }

  get version(): bigint {
    return this.#held.holder.state.manifest.version;
  }

  /** What everybody must come to: of the envelope, and of all state. */
  get fold(): string {
    return foldOf(this.#held.holder.state);
  }

  /** The next commit, signed and not written. */
  sign(): Promise<Jws> {
    const hosts = ['*.acme.example', 'acme.example'];
    const priority = Number(this.version % 9n);
    const value = { hosts, scope: 'eu', policy: 'std', priority };
    return this.#next([put('tenants/acme/tenant', value)]);
  }

  /** Writes the next commit past everybody; its revision. */
  async write(): Promise<bigint> {
    await this.#append(await this.sign());
    return this.revision();
  }

  /** Of the newest commit. */
  async revision(): Promise<bigint> {
    const head = `${CONTROL}head`;
    const { kvs } = await this.#etcd.range({ from: head, to: `${head}\0`, limit: 1 });
    return kvs[0]?.modRevision ?? 0n;
  }

  async equalsDump(): Promise<boolean> {
    const dump = await dumpAt(this.#etcd, CONTROL, await this.revision());
    const expected = this.#expected;
    return (
      dump.size === expected.size && [...dump].every(([key, text]) => expected.get(key) === text)
    );
  }

  close(): void {
    this.#source.close();
  }

  async #next(operations: readonly Operation[]): Promise<Jws> {
    const jws = await signCommit(this.#held, operations);
    const outcome = await receive(this.#held, jws);
    if (outcome === 'known' || 'code' in outcome) throw new Error(JSON.stringify(outcome));
    const { manifest, envelope } = this.#held.holder.state;
    const { generation, version } = manifest;
    this.#expected.set(`${CONTROL}commits/${`${version}`.padStart(19, '0')}`, canonical(jws));
    this.#expected.set(`${CONTROL}head`, canonical({ generation, version, envelope }));
    for (const operation of operations) {
      const key = `${CONTROL}records/${operation.key}`;
      if (operation.op === 'delete') this.#expected.delete(key);
      else this.#expected.set(key, canonical(operation.value));
    }
    return jws;
  }

  async #append(jws: Jws): Promise<void> {
    for (;;) {
      try {
        const outcome = await this.#source.append(this.version, jws);
        if (outcome !== 'created') throw new Error(`version ${this.version}: ${outcome}`);
        return;
      } catch (error) {
        // A member restarts: the same bytes again.
        if (!(error instanceof SourceError)) throw error;
      }
    }
  }
}

export function foldOf({
  envelope,
  manifestDigest,
}: {
  readonly envelope: string | null;
  readonly manifestDigest: string;
}): string {
  return `${envelope} ${manifestDigest}`;
}
