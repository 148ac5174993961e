// A real etcd cluster as production has one: a member a site, TLS between members and to clients, a
// client certificate for everybody, a role for every site. Its data lies in the world's folder and
// its processes end with the world's guardian.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Children } from './children.ts';
import { grantAccess, OPERATOR, permissionsOf, ROOT } from './etcd-access.ts';
import { findEtcd } from './etcd-binary.ts';
import { type CredentialFiles, type Credentials, writeCredentials } from './etcd-credentials.ts';
import { EtcdMember, HEALTHY_MS } from './etcd-member.ts';
import { type Etcdctl, etcdctl, etcdctlPut, etcdctlPutBytes } from './etcdctl.ts';
import { freePorts } from './ports.ts';
import { until } from './wait.ts';

/** A port may be taken between the look and the start; hardly twice. */
const STARTS = 3;

/** Three members on one machine: milliseconds apart, but the machine may be busy for long. */
const HEARTBEAT_MS = 100;
const ELECTION_MS = 1_000;

export type EtcdOrder = {
  readonly children: Children;
  /** Gets certificates and the members' data. */
  readonly folder: string;
  /** Name of the Portolan cluster: the keys begin with `/portolan/<cluster>/`. */
  readonly cluster: string;
  /** A member each, a user with a role each. */
  readonly sites: readonly string[];
};

export class EtcdCluster {
  readonly members: ReadonlyMap<string, EtcdMember>;
  readonly #credentials: Credentials;

  constructor(members: readonly EtcdMember[], credentials: Credentials) {
    this.members = new Map(members.map((member) => [member.name, member]));
    this.#credentials = credentials;
  }

  /** Resolves when every member answers and access is by role. */
  static async start(order: EtcdOrder): Promise<EtcdCluster> {
    const binaries = findEtcd();
    if (binaries === null) throw new Error('etcd is missing: node test/setup.mjs');
    const { folder, sites } = order;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const credentials = await writeCredentials(folder, sites, [...sites, OPERATOR, ROOT]);
    for (let start = 1; ; start++) {
      const members = await makeMembers(order, binaries.etcd, credentials, start);
      try {
        await startMembers(members);
        const permissions = permissionsOf(order.cluster, sites);
        await grantAccess(members[0]?.endpoint ?? '', credentials.client, permissions);
        const cluster = new EtcdCluster(members, credentials);
        await cluster.#becomeGuarded();
        return cluster;
      } catch (error) {
        await Promise.allSettled(members.map((member) => member.kill()));
        if (start === STARTS) throw error;
      }
    }
  }

  /** The member of a site. */
  member(site: string): EtcdMember {
    const member = this.members.get(site);
    if (member === undefined) throw new Error(`no etcd member ${site}`);
    return member;
  }

  endpoints(): readonly string[] {
    return [...this.members.values()].map(({ endpoint }) => endpoint);
  }

  /** Certificate of a site's agents, of `operator` or of `root`. */
  credentials(user: string): CredentialFiles {
    return this.#credentials.of(user);
  }

  /** The client from outside, at all members, or at those given. */
  as(user: string, endpoints = this.endpoints()): Etcdctl {
    return etcdctl(endpoints, this.credentials(user));
  }

  /** Writes one key as a user, however long the value is. */
  put(user: string, key: string, value: string): Promise<void> {
    return etcdctlPut(this.endpoints(), this.credentials(user))(key, value);
  }

  /** Writes one key of any bytes, in the escapes of Go. */
  putBytes(user: string, quoted: string, value: string): Promise<void> {
    return etcdctlPutBytes(this.endpoints(), this.credentials(user))(quoted, value);
  }

  async becomeHealthy(): Promise<void> {
    await Promise.all([...this.members.values()].map((member) => member.becomeHealthy()));
  }

  /** The running member that takes itself for the leader; null while there is none. */
  async leader(): Promise<EtcdMember | null> {
    const members = [...this.members.values()];
    const leads = await Promise.all(members.map((one) => one.isLeader().catch(() => false)));
    return members.find((_, index) => leads[index]) ?? null;
  }

  /**
   * Resolves when every member has heard of the last grant. One that has not refuses what it is
   * asked, once: the caller's rights are those of an older revision of access.
   */
  async #becomeGuarded(): Promise<void> {
    const guarded = [...this.members.values()].map(({ name, endpoint }) => {
      const ask = async () => this.as(ROOT, [endpoint])('get', '/').then(() => true);
      return until(`etcd ${name} knows who may do what`, ask, { deadlineMs: HEALTHY_MS });
    });
    await Promise.all(guarded);
  }

  /** Ends the members at once: their data goes with the world, there is nothing to hand over. */
  async stop(): Promise<void> {
    await Promise.allSettled([...this.members.values()].map((member) => member.kill()));
    await this.#credentials.client.destroy();
    await this.#credentials.peer.destroy();
  }
}

/**
 * One after the other, because a new member first asks the others whether it is known, and waits
 * two seconds for one whose port is open and which does not answer yet.
 */
async function startMembers(members: readonly EtcdMember[]): Promise<void> {
  for (const member of members) {
    await member.start();
    await orEnded(member, member.becomeMet());
  }
  await Promise.all(members.map((member) => orEnded(member, member.becomeHealthy())));
}

/** A member whose port was taken meanwhile ends at once; nobody should wait for it. */
function orEnded(member: EtcdMember, wanted: Promise<void>): Promise<void> {
  const ended = member.exited.then(() => Promise.reject(new Error(`etcd ${member.name} ended`)));
  return Promise.race([wanted, ended]);
}

async function makeMembers(
  order: EtcdOrder,
  command: string,
  credentials: Credentials,
  start: number,
): Promise<readonly EtcdMember[]> {
  const ports = await freePorts(2 * order.sites.length);
  const places = order.sites.map((name, index) => ({
    name,
    client: `https://127.0.0.1:${ports[2 * index]}`,
    peer: `https://127.0.0.1:${ports[2 * index + 1]}`,
  }));
  const all = places.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const token = `${order.cluster}-${ports[0]}`;
  return places.map(({ name, client, peer }) => {
    const tls = { client: credentials.ofMember(name), peer: credentials.ofPeer(name) };
    const flags: Readonly<Record<string, string>> = {
      name,
      'data-dir': join(order.folder, `data-${name}-${start}`),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': all,
      'initial-cluster-token': token,
      'client-cert-auth': 'true',
      'cert-file': tls.client.cert,
      'key-file': tls.client.key,
      'trusted-ca-file': tls.client.ca,
      'peer-client-cert-auth': 'true',
      'peer-cert-file': tls.peer.cert,
      'peer-key-file': tls.peer.key,
      'peer-trusted-ca-file': tls.peer.ca,
      'heartbeat-interval': String(HEARTBEAT_MS),
      'election-timeout': String(ELECTION_MS),
      'pre-vote': 'true', // a member that comes back does not unseat the leader
      logger: 'zap',
      'log-level': 'warn',
    };
    const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
    return new EtcdMember({
      name,
      children: order.children,
      command,
      args,
      endpoint: client,
      peerEndpoint: peer,
      client: credentials.client,
      peer: credentials.peer,
    });
  });
}
