// Where the world's decisions are kept: a directory of signed commits, or a real etcd with a member
// a site. Each site's agents reach the members through a proxy of their own, so that a scenario can
// break one site's way and leave the others'.

import { join } from 'node:path';
import type { Children } from './children.ts';
import { SITES, type Site } from './demo.ts';
import { EtcdCluster } from './etcd.ts';
import type { CredentialFiles } from './etcd-credentials.ts';
import { FaultProxy } from './fault-proxy.ts';

export type ControlKind = 'etcd' | 'file';

/** The section `control` of an agent's configuration. */
export type ControlSection =
  | { readonly file: string }
  | { readonly etcd: { readonly endpoints: readonly string[]; readonly tls: CredentialFiles } };

export type Control = {
  readonly kind: ControlKind;
  section(site: Site): ControlSection;
  /** Of `control: etcd`; asked of a world with `control: file` they throw. */
  etcd(): EtcdCluster;
  proxies(): Readonly<Record<Site, FaultProxy>>;
  /** Ends members and proxies; the guardian would end the members too, but not at once. */
  stop(): Promise<void>;
};

export function fileControl(folder: string): Control {
  const none = (): never => {
    throw new Error('this world has `control: file`: start it with `control: etcd`');
  };
  const stop = () => Promise.resolve();
  return { kind: 'file', section: () => ({ file: folder }), etcd: none, proxies: none, stop };
}

/** Starts members and proxies in a second or two. */
export async function startEtcdControl(order: {
  readonly children: Children;
  readonly folder: string;
  readonly cluster: string;
}): Promise<Control> {
  const etcd = await EtcdCluster.start({
    ...order,
    folder: join(order.folder, 'etcd'),
    sites: SITES,
  });
  const made = await Promise.all(
    SITES.map(async (site) => [site, await FaultProxy.start(portsFor(etcd, site))] as const),
  );
  const proxies = Object.fromEntries(made) as Record<Site, FaultProxy>;
  return {
    kind: 'etcd',
    section: (site) => ({
      etcd: {
        // A name: TLS has no server name for an address.
        endpoints: proxies[site].ports.map((port) => `https://localhost:${port}`),
        tls: etcd.credentials(site),
      },
    }),
    etcd: () => etcd,
    proxies: () => proxies,
    stop: async () => {
      await Promise.all([etcd.stop(), ...made.map(([, one]) => one.close())]);
    },
  };
}

/** All members, the site's own first. */
function portsFor(etcd: EtcdCluster, site: Site): readonly number[] {
  const others = SITES.filter((other) => other !== site);
  return [site, ...others].map((name) => etcd.member(name).port);
}
