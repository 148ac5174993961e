// The OpenAPI document: well-formed, complete, and made of the very schemas that judge requests.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { type Api, listenApi } from '../../agent/api/listen.ts';
import { documentOf } from '../../agent/api/openapi.ts';
import { route } from '../../agent/api/route.ts';
import { routes } from '../../agent/api/routes.ts';
import { ask, HOST, idlePorts } from './api-rig.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security: readonly Record<string, unknown>[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Readonly<Record<string, { readonly description: string; content: object }>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly securitySchemes: Readonly<Record<string, object>> };
}

let api: Api;
let document: Document;

beforeAll(async () => {
  api = await listenApi({ host: HOST, port: 0 }, idlePorts());
  const got = await ask({ port: api.port, path: '/v1/openapi.json', by: 'alice' });
  expect(got.status).toBe(200);
  document = got.value as Document;
});
afterAll(() => api.close());

function operations() {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

test('is OpenAPI 3.1 with a title, a version and its security schemes', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toMatchObject({ title: /./, version: /./ });
  expect(document.info.title.length * document.info.version.length).toBeGreaterThan(0);
  expect(Object.keys(document.components.securitySchemes)).toEqual([
    'clientCertificate',
    'signedRequest',
  ]);
});

test('holds every route, and nothing else', () => {
  const told = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
  const listened = routes.map(({ method, path }) => {
    return `${method} ${path.replace(/:([a-zA-Z]+)/g, '{$1}')}`;
  });
  expect(told.sort()).toEqual([...listened].sort());
});

test('every operation is named once, says what it is, and what it answers', () => {
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, operation } of operations()) {
    expect(operation.summary.length).toBeGreaterThan(0);
    const statuses = Object.keys(operation.responses);
    expect([path, statuses.some((status) => /^20[01]$/.test(status))]).toEqual([path, true]);
    for (const status of statuses) {
      expect(status).toMatch(/^[1-5]\d\d$/);
      expect(operation.responses[status]?.description).toMatch(/./);
    }
  }
});

test('every parameter of a path is declared and required, and no other', () => {
  for (const { path, operation } of operations()) {
    const inPath = [...path.matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => name);
    const declared = operation.parameters.filter((each) => each.in === 'path');
    expect(declared.map(({ name }) => name)).toEqual(inPath);
    expect(declared.every(({ required }) => required)).toBe(true);
  }
});

test('who must identify themselves is told, and 401 is an answer there', () => {
  for (const { method, path } of routes) {
    const found = document.paths[path.replace(/:([a-zA-Z]+)/g, '{$1}')]?.[method.toLowerCase()];
    const reader = routes.find((each) => each.path === path && each.method === method);
    const asks = reader?.access === 'reader' || reader?.access === 'provisioner';
    expect([path, found?.security.length]).toEqual([path, asks ? 2 : 0]);
    expect('401' in (found?.responses ?? {})).toBe(asks);
  }
});

test('64-bit numbers are strings, as they are on the wire', () => {
  const landed = document.paths['/v1/commits']?.['post']?.responses['201']?.content;
  expect(landed).toMatchObject({
    'application/json': { schema: { properties: { version: { type: 'string' } } } },
  });
});

test('no schema points to what is not there', () => {
  expect(JSON.stringify(document)).not.toContain('"$ref":"#/$defs');
});

describe('a schema', () => {
  const schema = z.strictObject({ most: z.int().check(z.lte(7)) });
  const own = route({
    method: 'POST',
    path: '/v1/own',
    summary: 'own',
    access: 'open',
    body: { schema, maxBytes: 100 },
    answers: { 200: z.object({}) },
    handle: () => ({ status: 200, body: {} }),
  });

  test('that judges is the one that is told', async () => {
    const { paths } = documentOf([own]) as Document;
    const told = paths['/v1/own']?.['post']?.requestBody?.content['application/json']?.schema;
    expect(told).toMatchObject({ properties: { most: { maximum: 7 } }, required: ['most'] });
    const run = (text: string) => own.run({ params: {}, query: {}, text }, idlePorts());
    expect((await run('{"most":7}')).status).toBe(200);
    expect((await run('{"most":8}')).status).toBe(400);
    expect((await run('{}')).status).toBe(400);
  });
});
