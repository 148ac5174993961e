// `keys`: who may sign what, by the pinned trust document; and new keys for those who will.

import { thumbprint } from '../../../shared/control/keys.ts';
import { newKey, nodeCrypto } from '../../adapters/crypto.ts';
import { EXIT, type Outcome } from '../exit.ts';
import { writeSecret } from '../files.ts';
import { projectAt, readPin } from '../project.ts';
import { table } from '../words.ts';

/** `portolan keys list`: who may sign what, as the pin says. */
export async function listKeys(flags: { readonly project: string }): Promise<Outcome> {
  const { roles, document, digest } = await readPin(projectAt(flags.project));
  const keys = [...roles].map(([kid, role]) => {
    return {
      role: role.kind,
      name: role.name,
      site: role.kind === 'agent' ? role.site : null,
      kid,
    };
  });
  const rows = keys.map(({ role, name, site, kid }) => ({ cells: [role, name, site ?? '-', kid] }));
  const { cluster, version } = document;
  return {
    exit: EXIT.fine,
    data: { cluster, version, trust: digest, keys },
    text: table(['ROLE', 'NAME', 'SITE', 'KID'], rows),
  };
}

/** `portolan keys new`: the private half goes to the file and nowhere else. */
export async function writeNewKey(flags: { readonly out: string }): Promise<Outcome> {
  const { jwk, x } = newKey();
  const kid = thumbprint(x, nodeCrypto);
  await writeSecret(flags.out, `${JSON.stringify(jwk)}\n`);
  return { exit: EXIT.fine, data: { out: flags.out, x, kid }, text: `x   ${x}\nkid ${kid}` };
}
