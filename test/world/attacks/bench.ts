// The workbench of the tampering scenario: forged documents made with real keys, and the two
// questions asked after every attack: was it noticed under its own code, and did anything change at
// the edge?

import type { Envelope, Operation } from '../../../shared/control/envelope.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import type { Signer } from '../../../shared/crypto.ts';
import { newHolder, receive, signCommit, type TestHolder } from '../../shared/kit.ts';
import { cities } from '../cities.ts';
import { EDGES, SITES } from '../demo.ts';
import type { Report } from '../report.ts';
import { send } from '../traffic.ts';
import { until } from '../wait.ts';
import type { World } from '../world.ts';

export const NOTICE_DEADLINE_MS = 10_000;

/** A harmless change: what a forged commit would do if it were believed. */
export const CHANGE: Operation = {
  op: 'put',
  key: 'global/latency/fra',
  value: { eu1: 500, us1: 1 },
};

export class Bench {
  readonly world: World;
  readonly report: Report;
  readonly operator: Signer;
  readonly held: TestHolder;
  /** Version that every edge must go on standing on. */
  version = 1n;

  private constructor(world: World, report: Report, operator: Signer, held: TestHolder) {
    this.world = world;
    this.report = report;
    this.operator = operator;
    this.held = held;
  }

  static async open(world: World, report: Report): Promise<Bench> {
    const held = newHolder(world.deployment.trust);
    const bench = new Bench(world, report, await world.operatorSigner(), held);
    await bench.follow();
    return bench;
  }

  /** Takes what has landed since, wherever the world keeps it, and goes on from there. */
  async follow(): Promise<void> {
    const { manifest } = this.held.holder.state;
    const control = await this.world.deployment.open();
    const [offer] = await control.read(manifest.version + 1n);
    for (const jws of offer?.commits ?? []) {
      const outcome = await receive(this.held, jws);
      if (outcome !== 'known' && 'code' in outcome) throw new Error(JSON.stringify(outcome));
    }
    this.version = this.held.holder.state.manifest.version;
  }

  /** The next commit, with `changes` forged into its envelope. */
  commit(
    changes: Partial<Envelope> = {},
    signer: Signer = this.operator,
    operations: readonly Operation[] = [CHANGE],
  ): Promise<Jws> {
    return signCommit(this.held, operations, { author: 'operator', ...changes }, signer);
  }

  /** Keys of root, enough for a trust document. */
  roots(): Promise<readonly Signer[]> {
    const { roots } = this.world.deployment.project.keys;
    return Promise.all(roots.map((key) => this.world.signerOf(key)));
  }

  /** Every agent's count of one alarm. */
  async alarms(code: string): Promise<readonly number[]> {
    const statuses = await Promise.all(SITES.map((site) => this.world.agentStatus(site)));
    return statuses.map(({ alarms }) => (alarms as Readonly<Record<string, number>>)[code] ?? 0);
  }

  /** Resolves when `seen` says that the attack was noticed; a check of the report either way. */
  async noticed(attack: string, seen: () => Promise<boolean>): Promise<void> {
    const outcome = await until(attack, seen, { deadlineMs: NOTICE_DEADLINE_MS }).then(
      () => 'noticed',
      (error: unknown) => String(error),
    );
    this.report.equal(`${attack}: its own code`, outcome, 'noticed');
  }

  /** Every edge stands where it stood, and sends globex's reads where the true state says. */
  async unchanged(attack: string): Promise<void> {
    const states = await Promise.all(
      EDGES.map(async (id) => {
        const { edge } = await this.world.probe(id);
        const answer = await send(this.world.edges[id], {
          host: 'globex.example',
          city: cities.frankfurt,
          path: '/notes',
        });
        const region = answer.headers['x-region'];
        return edge.version === this.version && answer.status === 200 && region === 'eu1'
          ? 'as before'
          : `${id}: version ${edge.version}, ${answer.status} from ${String(region)}`;
      }),
    );
    const odd = states.find((state) => state !== 'as before');
    this.report.equal(`${attack}: the edges`, odd ?? 'as before', 'as before');
  }
}

/** `text` with its last character exchanged for another of the alphabet. */
export function flipLast(text: string): string {
  return text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.slice(-1);
}

export function withSignature(jws: Jws, change: (signature: string) => string): Jws {
  const signatures = jws.signatures.map((one) => ({ ...one, signature: change(one.signature) }));
  return { ...jws, signatures };
}
