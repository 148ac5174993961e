// The router: one handler for every route of the table. In order: who may, how much, whether it
// was signed for this, whether it has the right form; only then the route's own work.

import type { IncomingMessage } from 'node:http';
import { Hono } from 'hono';
import { canonical } from '../../shared/canonical.ts';
import { isSigned, UNAUTHORIZED } from './access.ts';
import type { ApiPorts } from './ports.ts';
import { type Answer, type ApiCode, type Route, refusedAnswer } from './route.ts';

/** One call, as the server hands it over beside the routed path. */
export interface Call {
  readonly incoming: IncomingMessage;
  /** Path and query, as sent. */
  readonly target: string;
  /** The connection carries a client certificate that counts. */
  readonly certified: boolean;
}

type Env = { Bindings: Call };

export const NOT_FOUND = refusedAnswer(404, 'not-found' satisfies ApiCode, 'nothing is here');
const TOO_LARGE = refusedAnswer(413, 'too-large' satisfies ApiCode, 'the body is too large');
const INTERNAL = refusedAnswer(500, 'internal' satisfies ApiCode, 'a bug; the log says more');
const BAD_QUERY = refusedAnswer(400, 'malformed' satisfies ApiCode, 'query: a name twice');

export function appOf(routes: readonly Route[], ports: ApiPorts): Hono<Env> {
  const app = new Hono<Env>();
  for (const each of routes) {
    app.on(each.method, each.path, async ({ env, req }) => {
      return responseOf(await answerTo(each, env, req.param(), ports));
    });
  }
  app.notFound(() => responseOf(NOT_FOUND));
  app.onError((error, { env }) => {
    // A sender that breaks off is no fault of ours.
    if (env.incoming.complete) ports.log({ alarm: 'api-bug', error: String(error) });
    return responseOf(INTERNAL);
  });
  return app;
}

async function answerTo(
  route: Route,
  { incoming, target, certified }: Call,
  params: Readonly<Record<string, string>>,
  ports: ApiPorts,
): Promise<Answer> {
  const { authorization } = incoming.headers;
  const asks = route.access === 'reader' && !certified;
  if (asks && authorization === undefined) return UNAUTHORIZED;
  const body = await readBody(incoming, route.body?.maxBytes ?? 0);
  if (body === null) return TOO_LARGE;
  const seen = { method: route.method, target, body };
  if (asks && !(await isSigned(authorization ?? '', seen, ports))) return UNAUTHORIZED;
  const query = queryOf(target);
  if (query === null) return BAD_QUERY;
  return route.run({ params, query, text: body.toString('utf8') }, ports);
}

/** The body, or null beyond the bound. Rejects when the sender breaks off. */
async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left early, the rest is thrown away by the server until its timeout: whoever is still sending
  // then reads why it was refused, instead of a broken connection.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** null when a name comes twice: who reads the first and who reads the last would differ. */
function queryOf(target: string): Readonly<Record<string, string>> | null {
  const entries = [...new URL(target, 'http://agent').searchParams];
  const query = Object.fromEntries(entries);
  return Object.keys(query).length === entries.length ? query : null;
}

export function responseOf({ status, body, retryAfterS }: Answer): Response {
  return new Response(canonical(body), {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(status === 401 ? { 'www-authenticate': 'Portolan' } : {}),
      ...(retryAfterS === undefined ? {} : { 'retry-after': `${retryAfterS}` }),
    },
  });
}
