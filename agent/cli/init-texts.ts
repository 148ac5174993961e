// The texts that `init` leaves behind for people to change: the example, each agent's file, the
// checklist. Addresses in them are placeholders that parse, so that what is forgotten fails to
// connect instead of failing to start.

import { stringify } from 'yaml';
import type { Config } from './config-schema.ts';
import type { AgentKey } from './init-keys.ts';

export const SCHEMA_LINE = '# yaml-language-server: $schema=./portolan.schema.json\n';

/** Two regions and a witness: the least that survives the loss of a site. */
export function exampleConfig(cluster: string): string {
  return `${SCHEMA_LINE}
cluster: ${cluster}

# A region has a data plane; a witness only votes. Slots are for ever: epochs are counted by them.
sites:
  eu1: {slot: 1, region: true, at: [50.11, 8.68], gateway: "https://gw.eu1.example",
    capacity: 100, zones: [a, b]}
  us1: {slot: 2, region: true, at: [39.04, -77.49], gateway: "https://gw.us1.example",
    capacity: 100, zones: [a, b]}
  w1: {region: false}

# Distinct sites that must agree before a version is active: a majority.
threshold: 2

# Where a tenant's data may be. ingress: any, or {countries: [DE, FR]}.
scopes:
  eu: {regions: [eu1], ingress: any}
  atlantic: {regions: [eu1, us1], ingress: any}

# replicaReads lets regions of the scope that are not the home answer reads.
policies:
  std: {replicaReads: true, mode: enforce, hardAgeS: {write: 60, read: 300, revocation: 60},
    slowStartS: 60}

# What provisioners may make tenants of, by themselves (portolan tenant create). Everything about
# such a tenant that matters is fixed here; only its id, its home and its hosts are chosen.
templates:
  basic: {scope: atlantic, policy: std, homes: [eu1, us1], hostSuffixes: [tenants.example]}

tenants:
  acme: {hosts: [acme.example, "*.acme.example"], scope: eu, home: eu1, policy: std, priority: 1}
`;
}

/** A configuration that came as a value, as text. */
export function configText(config: Config): string {
  return `${SCHEMA_LINE}\n${stringify(config, { lineWidth: 0 })}`;
}

const API_PORT = 7101;
const GATEWAY_PORT = 7201;

/** `agents/<agent>.yaml`, as agent/config.ts reads it. Paths are relative to that file. */
export function agentConfig(own: AgentKey, all: readonly AgentKey[], config: Config): string {
  const { site, agent, file } = own;
  const api = (of: AgentKey) => API_PORT + all.indexOf(of);
  const peers = all.filter((other) => other !== own);
  const gateway = {
    listen: { host: '127.0.0.1', port: GATEWAY_PORT + all.indexOf(own) },
    tls: { cert: `../tls/${site}.crt`, key: `../tls/${site}.key` },
    service: 'http://127.0.0.1:8080',
  };
  const value = {
    site,
    agent,
    key: `../keys/${file}`,
    trust: '../trust.json',
    control: { file: '../control' },
    keep: `../state/${agent}.json`,
    ingest: ['https://edge.example/.portolan/ingest'],
    peers: peers.map((peer) => `http://127.0.0.1:${api(peer)}/v1/delta`),
    api: { host: '127.0.0.1', port: api(own) },
    ...(config.sites[site]?.region === true ? { gateway } : {}),
  };
  const head = [
    `# Agent ${agent} of site ${site}, started as \`node agent/main.ts\` with this file.`,
    '# Relative paths start from this folder.',
    '# Change: ingest (your edge), peers (where the other agents listen), ports, tls, service.',
    '# key, control and keep must be on disks that survive; keep must not be shared or restored.',
    '# In production control is an etcd quorum: see docs/ETCD.md. The line then reads',
    '# control: {etcd: {endpoints: ["https://..."], tls: {ca: ..., cert: ..., key: ...}}}',
  ];
  return `${head.join('\n')}\n${stringify(value)}`;
}

export interface ChecklistFacts {
  readonly cluster: string;
  readonly agents: readonly AgentKey[];
  /** The trust document is larger than a secret may be. */
  readonly trustTooLarge: boolean;
}

export function checklist({ cluster, agents, trustTooLarge }: ChecklistFacts): string {
  const files = agents.map(
    ({ agent, file }) => `   - \`agents/${agent}.yaml\` with \`keys/${file}\``,
  );
  const large = trustTooLarge
    ? '\n   The trust document is over 5 KB, more than a secret takes: use fewer agents or keys.'
    : '';
  return `# ${cluster}: what to do next

In this order. Nothing is served before step 6, and nothing is lost by stopping anywhere.

1. **Move the root keys offline.** \`keys/root-1.jwk\` and \`keys/root-2.jwk\` are needed to change
   who is trusted, and for nothing else. Copy each to a medium of its own, kept in a place of its
   own, and delete it here. Do the same with \`keys/recovery.jwk\`. Give \`keys/approver-1.jwk\` and
   \`keys/approver-2.jwk\` to two different people. \`keys/provisioner.jwk\` is for the system that
   signs customers up, where there is one: it makes tenants from \`templates\`, and nothing else.
2. **Upload the secrets** from the repository's folder (wrangler makes a Worker that is not there
   yet), then delete the files: they hold the edge's private key, as does \`keys/edge.jwk\`.
   \`npx wrangler secret bulk edge.secrets.json\`, and for the store, which signs receipts with it,
   \`npx wrangler secret bulk store.secrets.json -c edge/store/wrangler.toml\`${large}
3. **Deploy the store, then the edge** from there (the edge's bindings name the store's Worker):
   \`npx wrangler deploy -c edge/store/wrangler.toml\`, \`npx wrangler deploy\`
   Optional: list your gateways' origins as \`GATEWAYS\` in \`wrangler.toml\`. An edge that starts
   while no store answers asks there.
4. **Write your deployment** in \`portolan.yaml\`, and look:
   \`portolan validate\`, \`portolan plan\`
5. **Start the agents**, each at its site, with its own file, its own key and nobody else's. Put in
   the addresses first. Agents need \`trust.json\` and read \`control/\`.
${files.join('\n')}
6. **Apply**: \`portolan apply --key keys/operator.jwk --reason "first commit"\`
7. **Look**: \`portolan status --agent http://127.0.0.1:${API_PORT}\`, \`portolan history\`,
   \`portolan explain --tenant acme --op write --from DE\`

Keep \`trust.json\`: it is the pin by which this command, the agents and the edge know each other.
Commit \`portolan.yaml\`, \`portolan.schema.json\` and \`trust.json\` to version control, but never
\`keys/\`, \`edge.secrets.json\` or \`store.secrets.json\`.
`;
}
