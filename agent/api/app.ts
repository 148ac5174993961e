// The router: one handler for every route of the table. In order: who may, how much, whether it
// was signed for this, whether it has the right form; only then the route's own work.

import type { IncomingMessage } from 'node:http';
import { Hono } from 'hono';
import { canonical } from '../../shared/canonical.ts';
import { RETRY_AFTER_S } from '../../shared/limits.ts';
import { isSigned, UNAUTHORIZED } from './access.ts';
import { Bodies } from './bodies.ts';
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
const BUSY: Answer = {
  ...refusedAnswer(503, 'busy' satisfies ApiCode, 'too many bytes at once'),
  retryAfterS: RETRY_AFTER_S.base,
};
const BAD_QUERY = refusedAnswer(400, 'malformed' satisfies ApiCode, 'query: a name twice');

export function appOf(routes: readonly Route[], ports: ApiPorts): Hono<Env> {
  const app = new Hono<Env>();
  const bodies = new Bodies();
  for (const each of routes) {
    app.on(each.method, each.path, async ({ env, req }) => {
      return responseOf(await answerTo(each, env, req.param(), ports, bodies));
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
  bodies: Bodies,
): Promise<Answer> {
  const { authorization } = incoming.headers;
  const isGuarded = route.access === 'reader' || route.access === 'provisioner';
  const asks = isGuarded && !certified;
  if (asks && authorization === undefined) return UNAUTHORIZED;
  const outcome = await bodies.use(incoming, route.body?.maxBytes ?? 0, async (body) => {
    const seen = { method: route.method, target, body };
    if (asks && !(await isSigned(authorization ?? '', seen, route.access, ports)))
      return UNAUTHORIZED;
    const query = queryOf(target);
    if (query === null) return BAD_QUERY;
    return route.run({ params, query, text: body.toString('utf8') }, ports);
  });
  if (outcome === 'too-large') return TOO_LARGE;
  return outcome === 'busy' ? BUSY : outcome;
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
