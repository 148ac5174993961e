// Who may do what in the world's etcd. A client's certificate names its user (CN); what a user may
// touch comes from the user's role. Control state does not rest on this: every commit is signed and
// judged by all who read it (C3, C4). It keeps an honest mistake small, and one site from writing
// what another site alone may write (F2).

import { type Dispatcher, request } from 'undici';

export type Permission = {
  readonly type: 'READ' | 'WRITE' | 'READWRITE';
  /** All keys that begin with it. */
  readonly prefix: string;
};

/** Common name of the certificate that may do everything, as etcd wants it. */
export const ROOT = 'root';
/** Common name of the operators' certificate. */
export const OPERATOR = 'operator';

/** Permissions by user, which is a site (its agents), or the operators. */
export function permissionsOf(
  cluster: string,
  sites: readonly string[],
): ReadonlyMap<string, readonly Permission[]> {
  const at = (path: string) => `/portolan/${cluster}/${path}`;
  const ofSite = (site: string): readonly Permission[] => [
    { type: 'READWRITE', prefix: at('control/') },
    { type: 'READ', prefix: at('sites/') },
    { type: 'READWRITE', prefix: at(`sites/${site}/`) },
    { type: 'READWRITE', prefix: at('receipts/') },
  ];
  return new Map([
    ...sites.map((site) => [site, ofSite(site)] as const),
    [OPERATOR, [{ type: 'READWRITE', prefix: at('control/') }]],
  ]);
}

/**
 * Through the JSON gateway of one member, which takes any client certificate while nobody has a
 * role yet. After the last step it is shut to them: the gateway does not know common names.
 */
export async function grantAccess(
  endpoint: string,
  dispatcher: Dispatcher,
  permissions: ReadonlyMap<string, readonly Permission[]>,
): Promise<void> {
  const call = (path: string, body: object) =>
    post(`${endpoint}/v3/auth/${path}`, body, dispatcher);
  const addUser = async (name: string, role: string) => {
    await call('user/add', { name, options: { no_password: true } });
    await call('user/grant', { user: name, role });
  };
  await call('role/add', { name: ROOT });
  await addUser(ROOT, ROOT);
  for (const [user, granted] of permissions) {
    await call('role/add', { name: user });
    for (const { type, prefix } of granted) {
      const range = { key: base64(prefix), range_end: base64(endOfPrefix(prefix)) };
      await call('role/grant', { name: user, perm: { permType: type, ...range } });
    }
    await addUser(user, user);
  }
  await call('enable', {});
}

async function post(url: string, body: object, dispatcher: Dispatcher): Promise<void> {
  const answer = await request(url, { method: 'POST', body: JSON.stringify(body), dispatcher });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${text}`);
}

/** The first key behind all with this prefix, which ends with "/": its last byte has a next. */
function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
