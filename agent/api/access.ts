// Who may read: whoever holds a certificate of the clients' authority, or signs the request with an
// operator's or an agent's key. Everybody else is told one constant sentence, whatever was wrong.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isRefusal } from '../../shared/control/refusal.ts';
import {
  type Asker,
  openRequest,
  READERS,
  type SeenRequest,
} from '../../shared/control/request.ts';
import type { ApiPorts } from './ports.ts';
import { type Access, type Answer, type ApiCode, refusedAnswer } from './route.ts';

export const UNAUTHORIZED: Answer = refusedAnswer(
  401,
  'unauthorized' satisfies ApiCode,
  'a client certificate or a signed request is needed',
);

/**
 * Does this connection carry a certificate of the clients' authority? Attack: a TLS session begun
 * without a certificate and taken up again, where nothing is verified and so nothing fails. Node
 * refuses it today; that the certificate itself is there does not depend on that.
 */
export function isCertified(socket: Socket): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  return socket.getPeerX509Certificate() !== undefined;
}

/** Is the request signed by who may ask for this? */
export async function isSigned(
  header: string,
  seen: SeenRequest,
  access: Access,
  { trusted, nowMs, crypto }: Pick<ApiPorts, 'trusted' | 'nowMs' | 'crypto'>,
): Promise<boolean> {
  const roles: readonly Asker[] = access === 'provisioner' ? [...READERS, 'provisioner'] : READERS;
  const who = await openRequest(header, seen, { trust: trusted(), nowMs: nowMs() }, crypto, roles);
  return !isRefusal(who);
}
