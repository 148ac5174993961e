// One member of a cluster: a process that may be stopped, killed, paused and brought back at the
// same ports with the same data.

import type { Dispatcher } from 'undici';
import { request } from 'undici';
import type { Child, Children } from './children.ts';
import type { Exit } from './guardian.ts';
import { until } from './wait.ts';

/**
 * etcd says nothing on stdout and does not read stdin. Around it, this announces the start and
 * keeps the rule of the world's children that a closed stdin ends them. It outlives SIGTERM, which
 * the whole group gets, because with the end of the first process the rest of the group is killed.
 */
const AROUND_ETCD = `exec 3<&0
"$@" & etcd=$!
{ while read -r _ <&3; do :; done; kill -KILL $etcd; } 2>/dev/null &
trap : TERM
echo '{"ready":{}}'
wait $etcd; code=$?
while kill -0 $etcd 2>/dev/null; do wait $etcd; code=$?; done
exit $code`;

export type MemberOrder = {
  readonly name: string;
  readonly children: Children;
  readonly command: string;
  readonly args: readonly string[];
  /** For clients, https://127.0.0.1:port. */
  readonly endpoint: string;
  readonly peerEndpoint: string;
  /** With certificates that the endpoints take. */
  readonly client: Dispatcher;
  readonly peer: Dispatcher;
};

export class EtcdMember {
  readonly name: string;
  readonly endpoint: string;
  readonly #order: MemberOrder;
  #child: Child | null = null;

  constructor(order: MemberOrder) {
    this.name = order.name;
    this.endpoint = order.endpoint;
    this.#order = order;
  }

  get port(): number {
    return Number(new URL(this.endpoint).port);
  }

  /** Resolves when the process runs; whether it answers depends on the others too. */
  async start(): Promise<void> {
    const { children, command, args, name } = this.#order;
    this.#child = await children.start({
      name: `etcd-${name}`,
      command: '/bin/sh',
      args: ['-c', AROUND_ETCD, 'sh', command, ...args],
      env: ENVIRONMENT,
    });
  }

  /** SIGTERM: it hands on its leadership, syncs and ends. */
  async stop(): Promise<Exit> {
    return this.#running().stop();
  }

  /** SIGKILL. */
  async kill(): Promise<Exit> {
    const child = this.#running();
    await child.signal('SIGKILL');
    return child.exited;
  }

  /** SIGSTOP: its connections stay open and nobody answers. */
  async pause(): Promise<void> {
    await this.#running().signal('SIGSTOP');
  }

  async resume(): Promise<void> {
    await this.#running().signal('SIGCONT');
  }

  /** After `stop` or `kill`, or killing it first. Same ports, same data. */
  async restart(): Promise<void> {
    const child = this.#running();
    await child.signal('SIGKILL').catch(() => {}); // it has ended already
    await child.exited;
    await this.start();
  }

  /** Of the process around it, which ends when it ends. */
  get pid(): number {
    return this.#running().pid;
  }

  /** Resolves with the process's end. */
  get exited(): Promise<Exit> {
    return this.#running().exited;
  }

  async becomeHealthy(): Promise<void> {
    await until(`etcd ${this.name} answers`, () => this.isHealthy(), { deadlineMs: HEALTHY_MS });
  }

  /** Resolves when it answers other members, which it does before there is a quorum. */
  async becomeMet(): Promise<void> {
    await until(`etcd ${this.name} meets others`, () => this.#isMet(), { deadlineMs: HEALTHY_MS });
  }

  /** True when it answers and the cluster has a quorum for it. */
  async isHealthy(): Promise<boolean> {
    const { endpoint, client } = this.#order;
    const answer = await request(`${endpoint}/health`, { dispatcher: client, ...DEADLINES });
    const { health } = (await answer.body.json()) as { health?: string };
    return health === 'true';
  }

  /** What it takes itself for; a leader that lost its quorum steps down after a second or two. */
  async isLeader(): Promise<boolean> {
    const { endpoint, client } = this.#order;
    const answer = await request(`${endpoint}/metrics`, { dispatcher: client, ...DEADLINES });
    return /^etcd_server_is_leader 1$/m.test(await answer.body.text());
  }

  async #isMet(): Promise<boolean> {
    const { peerEndpoint, peer } = this.#order;
    const answer = await request(`${peerEndpoint}/version`, { dispatcher: peer, ...DEADLINES });
    await answer.body.dump();
    return answer.statusCode === 200;
  }

  #running(): Child {
    if (this.#child === null) throw new Error(`etcd ${this.name} was never started`);
    return this.#child;
  }
}

/** Three members beside a whole test run on a small machine. */
export const HEALTHY_MS = 20_000;
const DEADLINES = { headersTimeout: 2_000, bodyTimeout: 2_000 } as const;

/**
 * Settings whose flag has another name in later versions: as variables both are taken, and the
 * unknown one is passed over. 3.4 calls ARM unsupported until told that one knows.
 */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL: '500ms',
  ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL: '500ms',
  ...(process.arch === 'arm64' ? { ETCD_UNSUPPORTED_ARCH: 'arm64' } : {}),
};
