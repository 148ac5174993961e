// temporary: replaced by the CLI's init and apply
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newKey, nodeCrypto, signerOf } from '../../agent/adapters/crypto.ts';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { emptyHolder } from '../../shared/control/holder.ts';
import { signJws } from '../../shared/control/jws.ts';
import { openTrust, type Trust } from '../../shared/control/trust.ts';
import { draft } from '../../shared/control/validity.ts';
import { SITES } from './demo.ts';

export interface Deployment {
  readonly folder: string;
  readonly trustFile: string;
  readonly trustText: string;
  readonly trust: Trust;
  readonly control: ControlDirectory;
  readonly controlFolder: string;
  keyFile(name: string): string;
  apply(config: any): Promise<void>;
}

export async function createDeployment(folder: string): Promise<Deployment> {
  const keys = join(folder, 'keys');
  await mkdir(keys, { recursive: true });
  const make = async (name: string) => {
    const { jwk, x } = newKey();
    await writeFile(join(keys, `${name}.jwk`), JSON.stringify(jwk), { mode: 0o600 });
    return { x, signer: signerOf(JSON.stringify(jwk))! };
  };
  const root1 = await make('root-1');
  const root2 = await make('root-2');
  const operator = await make('operator');
  const [a1, a2, rec, edge] = [
    await make('approver-1'),
    await make('approver-2'),
    await make('recovery'),
    await make('edge'),
  ];
  const sites: any = {};
  for (const s of SITES) sites[s] = { agents: { [`${s}-1`]: (await make(`${s}-1`)).x } };
  const doc = {
    kind: 'trust',
    cluster: 'demo',
    version: 1n,
    threshold: 2,
    root: { threshold: 2, keys: { 'root-1': root1.x, 'root-2': root2.x } },
    operators: { operator: operator.x },
    approvers: { threshold: 2, keys: { 'approver-1': a1.x, 'approver-2': a2.x } },
    provisioners: {},
    recovery: { threshold: 1, keys: { recovery: rec.x } },
    sites,
    edges: { edge: edge.x },
  };
  const jws = await signJws('portolan-trust+json', doc, [root1.signer, root2.signer]);
  const trustText = JSON.stringify(jws);
  const trustFile = join(folder, 'trust.json');
  await writeFile(trustFile, trustText);
  const controlFolder = join(folder, 'control');
  const control = new ControlDirectory(controlFolder);
  await control.writeTrust(1n, jws);
  for (const s of SITES) {
    await control.writeJoin(
      `${s}-1`,
      await signJws(
        'portolan-join+json',
        {
          kind: 'join',
          cluster: 'demo',
          site: s,
          agent: `${s}-1`,
          generation: 1n,
          version: 0n,
          envelope: null,
        },
        [operator.signer],
      ),
    );
  }
  const trust = await openTrust(jws, nodeCrypto);
  if ('code' in trust) throw new Error(trust.code);
  return {
    folder,
    trustFile,
    trustText,
    trust,
    control,
    controlFolder,
    keyFile: (name) => join(keys, `${name}.jwk`),
    async apply(config) {
      const { holder, writes } = emptyHolder(trust, nodeCrypto);
      const ops: any[] = [];
      const put = (key: string, value: unknown) => ops.push({ op: 'put', key, value });
      for (const [id, v] of Object.entries(config.sites)) put(`global/sites/${id}`, v);
      for (const [id, v] of Object.entries(config.scopes)) put(`global/scopes/${id}`, v);
      for (const [id, v] of Object.entries<any>(config.policies))
        put(`global/policies/${id}`, {
          mode: 'enforce',
          hardAgeS: { write: 60, read: 300, revocation: 60 },
          slowStartS: 60,
          sessionPaths: [],
          ...v,
        });
      for (const [id, v] of Object.entries<any>(config.tenants)) {
        put(`tenants/${id}/tenant`, {
          hosts: [...v.hosts].sort(),
          scope: v.scope,
          policy: v.policy,
          priority: 1,
        });
        put(`tenants/${id}/placement`, {
          home: v.home,
          epoch: BigInt(config.sites[v.home].slot),
          state: 'ACTIVE',
        });
      }
      const d = draft(holder.state, ops, trust, (x) => writes.nodes.get(x), nodeCrypto);
      if ('code' in d) throw new Error(d.code + d.detail);
      const env = {
        kind: 'commit',
        cluster: 'demo',
        generation: 1n,
        version: 1n,
        previous: null,
        lamport: 1n,
        class: 'normal',
        author: 'operator',
        reason: 'first',
        opId: 'op-12345678',
        operations: ops,
        manifest: d.state.manifestDigest,
        approvals: [],
      };
      console.error(
        await control.append(1n, await signJws('portolan-commit+json', env, [operator.signer])),
      );
    },
  };
}
