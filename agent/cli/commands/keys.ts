// `keys`: who may sign what, by the newest trust document; and new keys for those who will.

import { thumbprint } from '../../../shared/control/keys.ts';
import type { Role, TrustDoc } from '../../../shared/control/trust.ts';
import { newKey, nodeCrypto } from '../../adapters/crypto.ts';
import { EXIT, type Outcome } from '../exit.ts';
import { writeSecret } from '../files.ts';
import { projectAt } from '../project.ts';
import { trustHere } from '../state.ts';
import { table } from '../words.ts';

/** `portolan keys list`: who may sign what, as the newest trust document says. */
export async function listKeys(flags: { readonly project: string }): Promise<Outcome> {
  const trust = await trustHere(projectAt(flags.project));
  const { cluster, document, digest } = trust;
  const { version } = document;
  return {
    exit: EXIT.fine,
    data: { cluster, version, trust: digest, keys: keysOf(trust) },
    text: keysText(trust),
  };
}

export interface ListedKey {
  readonly role: Role['kind'];
  readonly name: string;
  /** Of an agent; else null. */
  readonly site: string | null;
  readonly kid: string;
}

export function keysOf({ roles }: TrustDoc): readonly ListedKey[] {
  return [...roles].map(([kid, role]) => {
    const site = role.kind === 'agent' ? role.site : null;
    return { role: role.kind, name: role.name, site, kid };
  });
}

export function keysText(trust: TrustDoc): string {
  const rows = keysOf(trust).map(({ role, name, site, kid }) => {
    return { cells: [role, name, site ?? '-', kid] };
  });
  return table(['ROLE', 'NAME', 'SITE', 'KID'], rows);
}

/** `portolan keys new`: the private half goes to the file and nowhere else. */
export async function writeNewKey(flags: { readonly out: string }): Promise<Outcome> {
  const { jwk, x } = newKey();
  const kid = thumbprint(x, nodeCrypto);
  await writeSecret(flags.out, `${JSON.stringify(jwk)}\n`);
  return { exit: EXIT.fine, data: { out: flags.out, x, kid }, text: `x   ${x}\nkid ${kid}` };
}
