// The OpenAPI document, made of the route table and its schemas: what the listener checks and what
// it says of itself are one thing.

import * as z from 'zod/mini';
import { type Route, refusedSchema, route } from './route.ts';

const TITLE = 'Portolan agent';
const API_VERSION = '1';

/** The table with the route that tells of it. */
export function withDocument(routes: readonly Route[]): readonly Route[] {
  const all: Route[] = [
    ...routes,
    route({
      method: 'GET',
      path: '/v1/openapi.json',
      summary: 'This document',
      access: 'reader',
      answers: { 200: z.looseObject({ openapi: z.string() }) },
      handle: () => ({ status: 200, body: document }),
    }),
  ];
  const document = documentOf(all);
  return all;
}

/** OpenAPI 3.1: its schemas are JSON Schema 2020-12, which is what zod writes. */
export function documentOf(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const each of routes) {
    const path = each.path.replace(/:([a-zA-Z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [each.method.toLowerCase()]: operationOf(each) };
  }
  const securitySchemes = {
    clientCertificate: { type: 'mutualTLS' },
    signedRequest: {
      type: 'apiKey',
      in: 'header',
      name: 'authorization',
      description: '`Portolan` and a signed request (docs/PROTOCOL.md)',
    },
  };
  return {
    openapi: '3.1.0',
    info: { title: TITLE, version: API_VERSION },
    paths,
    components: { securitySchemes },
  };
}

function operationOf({ method, path, summary, access, params, query, body, answers }: Route) {
  const isGuarded = access === 'reader' || access === 'provisioner';
  const security = isGuarded ? [{ clientCertificate: [] }, { signedRequest: [] }] : [];
  const usual: Record<number, z.ZodMiniType> = {
    ...(params === null && query === null && body === null ? {} : { 400: refusedSchema }),
    ...(isGuarded ? { 401: refusedSchema } : {}),
    ...(params === null ? {} : { 404: refusedSchema }),
    ...(body === null ? {} : { 413: refusedSchema, 503: refusedSchema }),
    500: refusedSchema,
  };
  const responses = Object.entries({ ...usual, ...answers }).map(([status, schema]) => {
    return [status, { description: describe(Number(status)), content: contentOf(schema) }] as const;
  });
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+/g, '-')}`,
    summary,
    security,
    parameters: [...parametersOf('path', params), ...parametersOf('query', query)],
    ...(body === null ? {} : { requestBody: { required: true, content: contentOf(body.schema) } }),
    responses: Object.fromEntries(responses),
  };
}

function contentOf(schema: z.ZodMiniType): object {
  return { 'application/json': { schema: schemaOf(schema) } };
}

/** As it is on the wire: a 64-bit number is a string there. */
function schemaOf(schema: z.ZodMiniType) {
  const { $schema: _, ...found } = z.toJSONSchema(schema, { io: 'input' });
  return found;
}

function parametersOf(where: 'path' | 'query', schema: z.ZodMiniType | null): readonly object[] {
  if (schema === null) return [];
  const { properties = {}, required = [] } = schemaOf(schema);
  return Object.entries(properties).map(([name, each]) => {
    return { name, in: where, required: required.includes(name), schema: each };
  });
}

const MEANINGS: Readonly<Record<number, string>> = {
  200: 'what was asked for',
  201: 'it landed',
  400: 'the request is malformed',
  401: 'neither a client certificate nor a signed request',
  404: 'there is no such thing',
  409: 'somebody else was first',
  413: 'the body is too large',
  422: 'refused, with the code of the refusal',
  500: 'a bug of the agent',
  503: 'not now',
};

function describe(status: number): string {
  return MEANINGS[status] ?? 'as the code says';
}
