// A route as a value: method, path, who may, what goes in, what comes out. The router and the
// OpenAPI document are both made of it, so what is documented is what is checked.

import * as z from 'zod/mini';
import { parseJson } from '../../shared/canonical.ts';
import { firstIssue } from '../../shared/schema.ts';
import type { ApiPorts } from './ports.ts';

/**
 * `open`: anyone. `self-signed`: the body carries the signatures that count, and nothing else is
 * asked. `reader`: a client certificate, or a signed request of an operator or agent;
 * `provisioner`:
 * also of a provisioner.
 */
export type Access = 'open' | 'self-signed' | 'reader' | 'provisioner';

/** Refusals of the listener itself; what control state refuses keeps its own code. */
export type ApiCode =
  | 'unauthorized'
  | 'not-found'
  | 'malformed'
  | 'too-large'
  | 'busy'
  | 'conflict'
  | 'source-unreadable'
  | 'no-state'
  | 'path-malformed'
  /** A bug of ours; the log says which. */
  | 'internal';

export interface Answer {
  readonly status: number;
  /** In memory form: 64-bit numbers are bigints. */
  readonly body: object;
  readonly retryAfterS?: number;
}

export interface BodySpec<T> {
  readonly schema: z.ZodMiniType<T>;
  readonly maxBytes: number;
}

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** The body as it came. */
  readonly text: string;
}

export interface RouteSpec<P, Q, B> {
  readonly method: 'GET' | 'POST';
  /** `:name` stands for one segment. */
  readonly path: string;
  readonly summary: string;
  readonly access: Access;
  readonly params?: z.ZodMiniType<P>;
  readonly query?: z.ZodMiniType<Q>;
  /** `opaque`: documented by `schema`, judged by its own reader, handed on as text. */
  readonly body?: BodySpec<B> & { readonly opaque?: true };
  /** Schema of the answer by status; 400, 401, 404, 413 and 500 come by themselves. */
  readonly answers: Readonly<Record<number, z.ZodMiniType>>;
  readonly handle: (input: Input<P, Q, B>, ports: ApiPorts) => Answer | Promise<Answer>;
}

export interface RawInput {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly text: string;
}

/** A route whose types are its own business. */
export interface Route
  extends Readonly<Pick<RouteSpec<unknown, unknown, unknown>, 'method' | 'path' | 'summary'>> {
  readonly access: Access;
  readonly params: z.ZodMiniType | null;
  readonly query: z.ZodMiniType | null;
  readonly body: BodySpec<unknown> | null;
  readonly answers: Readonly<Record<number, z.ZodMiniType>>;
  /** Parses, then handles: 400 `malformed` is answered where a schema refuses. */
  run(raw: RawInput, ports: ApiPorts): Promise<Answer>;
}

const noFields = z.strictObject({});

export const refusedSchema = z.object({ code: z.string(), detail: z.string() });

export function refusedAnswer(status: number, code: string, detail: string): Answer {
  return { status, body: { code, detail } };
}

export function route<P = object, Q = object, B = unknown>(spec: RouteSpec<P, Q, B>): Route {
  const { params = null, query = null, body = null, ...rest } = spec;
  return {
    ...rest,
    params,
    query,
    body,
    async run(raw, ports) {
      const parsedParams = (params ?? noFields).safeParse(raw.params);
      if (!parsedParams.success) return malformed('path', parsedParams.error);
      const parsedQuery = (query ?? noFields).safeParse(raw.query);
      if (!parsedQuery.success) return malformed('query', parsedQuery.error);
      const parsedBody = parseBody(body, raw.text);
      if (!parsedBody.success) return malformed('body', parsedBody.error);
      const input = {
        params: parsedParams.data as P,
        query: parsedQuery.data as Q,
        body: parsedBody.data as B,
        text: raw.text,
      };
      return spec.handle(input, ports);
    },
  };
}

function parseBody(body: RouteSpec<unknown, unknown, unknown>['body'] | null, text: string) {
  if (body === null || body?.opaque === true) return { success: true as const, data: undefined };
  const json = parseJson(text);
  return (body?.schema ?? noFields).safeParse(json === null ? undefined : json.value);
}

function malformed(part: string, error: z.core.$ZodError): Answer {
  return refusedAnswer(400, 'malformed' satisfies ApiCode, `${part}: ${firstIssue(error)}`);
}
