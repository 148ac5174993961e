// What stands behind a region's gateway: a small notes service, and the honest counter of arrivals.
//
// What a scenario claims about where requests went is read here, never from the edge or the
// gateway: each request is an arrival, counted when its headers are in. The service trusts
// `portolan-tenant` and `portolan-decision` as a service behind the gateway does; it listens on
// loopback only. No input may end it.
//
//   POST /notes {"text"}          201 {"id"}
//   GET  /notes                   200 {"notes": [{"id", "text"}]}
//   POST /-/echo                  200, the body as it comes
//   GET  /-/slow?bytes=N&chunkMs=M  200, N bytes, 1 KiB every M ms
//   GET  /-/arrivals?since=N      200 `Arrivals` (itself no arrival)
//
// Started as: service.ts REGION DATABASE. Announces {"ready": {"url"}}; ends when its stdin closes.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A scenario reads before this many arrive; older ones are in `total` and `tenants` only. */
const KEPT_ARRIVALS = 20_000;
const COUNTED_TENANTS = 10_000;
const NOTE_BYTES = 1024 * 1024;
const LISTED_NOTES = 1000;
const SLOW_BYTES = 64 * 1024 * 1024;
const SLOW_CHUNK_BYTES = 1024;
const SLOW_CHUNK_MS = 10_000;
/** Longer than a gateway keeps idle connections: the service must not close one in use. */
const KEEP_ALIVE_MS = 120_000;

export type Arrival = {
  /** 1 for the first arrival of this process. */
  readonly n: number;
  readonly tenant: string | null;
  readonly method: string;
  readonly path: string;
  readonly host: string | null;
  readonly decision: string | null;
  readonly atMs: number;
};

export type Arrivals = {
  readonly region: string;
  readonly total: number;
  /** Responses whose client went away before their end. */
  readonly aborted: number;
  /** Requests that are being answered now. */
  readonly open: number;
  readonly tenants: Readonly<Record<string, number>>;
  /** Those with n > since that are still kept, oldest first. */
  readonly arrivals: readonly Arrival[];
};

/** An answer that is not a success, thrown by whoever finds out. */
class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

class Service {
  readonly #region: string;
  readonly #db: DatabaseSync;
  readonly #arrivals: Arrival[] = [];
  readonly #tenants = new Map<string, number>();
  #total = 0;
  #aborted = 0;
  #open = 0;

  constructor(region: string, db: DatabaseSync) {
    this.#region = region;
    this.#db = db;
    db.exec(`pragma journal_mode = wal; pragma synchronous = normal;
      create table if not exists notes (id integer primary key, tenant text not null,
        text text not null, decision text, at_ms integer not null) strict;
      create index if not exists notes_by_tenant on notes (tenant, id);`);
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Only path and query are the service's; a fixed base keeps any Host header out of the parse.
    const url = new URL(`http://service${request.url?.startsWith('/') ? request.url : '/'}`);
    if (url.pathname === '/-/arrivals') return json(response, 200, this.#report(url));
    this.#arrive(request, url.pathname);
    // Clients of the demonstration read it; scenarios count arrivals instead.
    response.setHeader('x-region', this.#region);
    this.#open += 1;
    response.once('close', () => {
      this.#open -= 1;
      if (!response.writableFinished) this.#aborted += 1;
    });
    switch (`${request.method} ${url.pathname}`) {
      case 'POST /notes':
        return json(response, 201, { id: await this.#write(request) });
      case 'GET /notes':
        return json(response, 200, { notes: this.#list(tenantOf(request)) });
      case 'POST /-/echo':
        response.setHeader('content-type', request.headers['content-type'] ?? 'text/plain');
        return pipeline(request, response);
      case 'GET /-/slow':
        return slow(response, url);
      default:
        throw new Refusal(404, 'no such path');
    }
  }

  #arrive(request: IncomingMessage, path: string): void {
    const tenant = header(request, 'portolan-tenant');
    const before = this.#tenants.get(tenant ?? '');
    this.#total += 1;
    if (before !== undefined || this.#tenants.size < COUNTED_TENANTS) {
      this.#tenants.set(tenant ?? '', (before ?? 0) + 1);
    }
    this.#arrivals.push({
      n: this.#total,
      tenant,
      method: request.method ?? '',
      path,
      host: header(request, 'host'),
      decision: header(request, 'portolan-decision'),
      atMs: Date.now(),
    });
    if (this.#arrivals.length > KEPT_ARRIVALS) this.#arrivals.shift();
  }

  async #write(request: IncomingMessage): Promise<string> {
    const tenant = tenantOf(request);
    const note = parseNote(await readBody(request));
    const { lastInsertRowid } = this.#db
      .prepare('insert into notes (tenant, text, decision, at_ms) values (?, ?, ?, ?)')
      .run(tenant, note, header(request, 'portolan-decision'), Date.now());
    return String(lastInsertRowid);
  }

  #list(tenant: string): readonly unknown[] {
    return this.#db
      .prepare(
        `select cast(id as text) as id, text from notes where tenant = ?
         order by notes.id desc limit ${LISTED_NOTES}`,
      )
      .all(tenant);
  }

  #report(url: URL): Arrivals {
    const since = count(url, 'since', 0, Number.MAX_SAFE_INTEGER);
    return {
      region: this.#region,
      total: this.#total,
      aborted: this.#aborted,
      open: this.#open,
      tenants: Object.fromEntries(this.#tenants),
      arrivals: this.#arrivals.filter((arrival) => arrival.n > since),
    };
  }
}

async function slow(response: ServerResponse, url: URL): Promise<void> {
  let left = count(url, 'bytes', 16 * SLOW_CHUNK_BYTES, SLOW_BYTES);
  const chunkMs = count(url, 'chunkMs', 10, SLOW_CHUNK_MS);
  let timer: NodeJS.Timeout | undefined;
  const source = new Readable({
    read() {
      const bytes = Math.min(left, SLOW_CHUNK_BYTES);
      left -= bytes;
      const chunk = bytes === 0 ? null : 'x'.repeat(bytes);
      timer = setTimeout(() => this.push(chunk), chunkMs);
    },
    destroy(error, callback) {
      clearTimeout(timer);
      callback(error);
    },
  });
  response.setHeader('content-type', 'text/plain');
  response.flushHeaders();
  await pipeline(source, response);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    // What is too much is still read to its end, or the client would see a reset instead of the
    // answer.
    if (bytes <= NOTE_BYTES) parts.push(part);
  }
  if (bytes > NOTE_BYTES) throw new Refusal(413, `a note has at most ${NOTE_BYTES} bytes`);
  return Buffer.concat(parts).toString('utf8');
}

function parseNote(body: string): string {
  let note: unknown;
  try {
    note = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'not JSON');
  }
  const text = (note as { readonly text?: unknown } | null)?.text;
  if (typeof text !== 'string') throw new Refusal(400, 'a note has a text');
  return text;
}

function tenantOf(request: IncomingMessage): string {
  const tenant = header(request, 'portolan-tenant');
  if (tenant === null) throw new Refusal(400, 'no tenant');
  return tenant;
}

function header(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
}

function count(url: URL, name: string, missing: number, most: number): number {
  const text = url.searchParams.get(name);
  if (text === null) return missing;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most) throw new Refusal(400, `${name} is not in 0..${most}`);
  return value;
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
  } else if (error instanceof Refusal) {
    json(response, error.status, { error: error.message });
  } else {
    console.error(error);
    json(response, 500, { error: 'failed' });
  }
}

function main(region: string | undefined, database: string | undefined): void {
  if (region === undefined || database === undefined) throw new Error('service.ts REGION DATABASE');
  const db = new DatabaseSync(database);
  const service = new Service(region, db);
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    service.handle(request, response).catch((error: unknown) => refuse(response, error));
  });
  server.on('clientError', (_, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    console.log(JSON.stringify({ ready: { url: `http://127.0.0.1:${port}` } }));
  });
  process.stdin.resume().once('close', () => {
    server.closeAllConnections();
    db.close();
    process.exit(0);
  });
}

if (import.meta.main) main(process.argv[2], process.argv[3]);
