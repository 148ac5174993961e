import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import { expect, test } from 'vitest';
import {
  answerTo,
  ask,
  atRest,
  closedPort,
  gateway,
  type Handler,
  held,
  open,
  rawRequest,
  rawService,
  read,
  service,
} from './proxy-rig.ts';

const NO_STORE = { 'cloudflare-cdn-cache-control': 'no-store' };
const PROBLEM = { ...NO_STORE, 'content-type': 'application/problem+json' };

/** Says what it saw. */
const mirror: Handler = async (request, response) => {
  let text = '';
  for await (const chunk of request.setEncoding('latin1')) text += chunk;
  const { method, url, rawHeaders } = request;
  response.end(JSON.stringify({ method, url, rawHeaders, text }));
};

const problem = (status: number, title: string, code: string) => ({
  type: 'about:blank',
  ...{ status, title, code, decision: 'd-1' },
});

test('a request arrives as it was sent, under the host that the gateway says', async () => {
  const gw = await gateway(await service(mirror));
  const headers = { 'X-One': ['1', '2'], 'Content-Type': 'text/plain' };
  const answer = await ask(gw.port, { method: 'POST', path: '/notes', headers }, 'body');
  expect(answer).toMatchObject({ status: 200, isWhole: true, headers: NO_STORE });
  const { rawHeaders, ...seen } = JSON.parse(answer.text);
  expect(seen).toEqual({ method: 'POST', url: '/notes', text: 'body' });
  expect(rawHeaders).toEqual([
    ...['host', 'acme.example', 'connection', 'keep-alive'],
    ...['X-One', '1', 'X-One', '2', 'Content-Type', 'text/plain', 'portolan-tenant', 'acme'],
    ...['content-length', '4'],
  ]);
  const bytesOut = answer.text.length;
  expect(await gw.outcome()).toEqual({ kind: 'answered', status: 200, bytesIn: 4, bytesOut });
});

test('the target passes byte for byte', async () => {
  const gw = await gateway(await service(mirror));
  const target = '/a%2Fb/../c//d;p?x=1&y=%zz&y=%E9[|]"';
  const { text } = await rawRequest(
    gw.port,
    `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  );
  expect(text).toContain(JSON.stringify(target).slice(1, -1));
});

test('platform and connection headers come from the gateway or not at all', async () => {
  const gw = await gateway(await service(mirror));
  const { text } = await rawRequest(
    gw.port,
    'GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n' +
      'Portolan-Provenance: forged\r\nPORTOLAN-TENANT: evil\r\nportolan_tenant: x\r\n' +
      'X-End: 1\r\n\r\n',
  );
  const seen = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  expect(seen.rawHeaders).toEqual([
    ...['host', 'acme.example', 'connection', 'keep-alive', 'X-End', '1'],
    ...['portolan-tenant', 'acme'],
  ]);
});

test('an answer arrives as it was sent', async () => {
  const port = await rawService((socket) =>
    socket.end(
      'HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nX-Word: caf\xe9\r\nset-cookie: b=2\r\n' +
        'Connection: X-Hop\r\nX-Hop: 1\r\nPortolan-X: forged\r\nDate: then\r\n' +
        'Content-Length: 2\r\n\r\nok',
      'latin1',
    ),
  );
  const { rawHeaders, text } = await ask((await gateway(port)).port);
  expect(text).toBe('ok');
  expect(rawHeaders.slice(0, 12)).toEqual([
    ...['Set-Cookie', 'a=1', 'X-Word', 'caf\xe9', 'set-cookie', 'b=2', 'Date', 'then'],
    ...['Content-Length', '2', 'Cloudflare-CDN-Cache-Control', 'no-store'],
  ]);
});

test.each([
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '2\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n',
  ],
  ['the end of the connection', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello'],
  ['the end of the connection, in HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nhello'],
  [
    'a length, after hints',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  ],
])('a body that ends by %s arrives whole', async (_fact, bytes) => {
  const gw = await gateway(await rawService((socket) => socket.end(bytes)));
  const outgoing = open(gw.port);
  outgoing.on('information', () => expect.unreachable('hints are for whoever asked'));
  outgoing.end();
  expect(await answerTo(outgoing)).toMatchObject({ status: 200, text: 'hello', isWhole: true });
  expect(await gw.outcome()).toMatchObject({ kind: 'answered', bytesIn: 0, bytesOut: 5 });
});

test.each([
  ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200, '5'],
  [
    'HEAD without a length',
    'HEAD',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    200,
    undefined,
  ],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204, undefined],
  ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', 304, '5'],
  [
    'a redirect',
    'GET',
    'HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n',
    302,
    '0',
  ],
  ['an error', 'GET', 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n', 500, '0'],
])(
  '%s has no body, and the connection stays usable',
  async (_fact, method, bytes, status, length) => {
    const gw = await gateway(await rawService((socket) => socket.end(bytes)));
    const client = net.connect(gw.port, '127.0.0.1').setEncoding('latin1');
    for (const _ of [1, 2]) {
      client.write(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`);
      const text = `${await once(client, 'data')}`;
      expect(text.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
      expect(text.indexOf('\r\n\r\n')).toBe(text.length - 4);
      expect(/content-length: (\d+)/i.exec(text)?.[1]).toBe(length);
      expect(text).not.toMatch(/transfer-encoding/i);
      expect(await gw.outcome()).toEqual({ kind: 'answered', status, bytesIn: 0, bytesOut: 0 });
    }
    client.destroy();
  },
);

test.each([
  ['a length', 'Content-Length: 5\r\n\r\nh', 'ello', { 'content-length': '5' }],
  [
    'chunks',
    'Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n',
    '4\r\nello\r\n0\r\nX-Trailer: 1\r\n\r\n',
    { 'transfer-encoding': 'chunked' },
  ],
])(
  'a request body framed by %s is framed so to the service',
  async (_fact, first, rest, framing) => {
    const { handler, next } = held();
    const gw = await gateway(await service(handler));
    const client = net.connect(gw.port, '127.0.0.1');
    client.write(`PUT / HTTP/1.1\r\nHost: x\r\n${first}`);
    const [incoming, response] = await next();
    client.write(rest);
    let text = '';
    for await (const chunk of incoming) text += chunk;
    expect(text).toBe('hello');
    expect(incoming.headers).toMatchObject(framing);
    expect(incoming.trailers).toEqual({});
    response.end();
    expect(await gw.outcome()).toMatchObject({ kind: 'answered', bytesIn: 5 });
    client.destroy();
  },
);

test('a head of 10,000 bytes passes both ways', async () => {
  const long = 'x'.repeat(10_000);
  const gw = await gateway(
    await service((incoming, response) => {
      response.writeHead(200, { 'X-Long': incoming.headers['x-long'] ?? '' }).end();
    }),
  );
  const { headers } = await ask(gw.port, { headers: { 'X-Long': long } });
  expect(headers['x-long']).toBe(long);
});

test('a head too long for the server is refused before the service', async () => {
  const gw = await gateway(await service(() => expect.unreachable('it must not arrive')));
  const { status } = await ask(gw.port, { headers: { 'X-Long': 'x'.repeat(20_000) } });
  expect([status, gw.outbound]).toEqual([431, []]);
});

test('Expect: 100-continue is answered by the gateway, and the body follows', async () => {
  const gw = await gateway(await service(mirror));
  const headers = { Expect: '100-continue', 'Content-Length': 5 };
  const outgoing = open(gw.port, { method: 'POST', headers });
  outgoing.flushHeaders();
  await once(outgoing, 'continue');
  outgoing.end('hello');
  const { text } = await answerTo(outgoing);
  expect(JSON.parse(text).text).toBe('hello');
  expect(text.toLowerCase()).not.toContain('expect');
});

test('a head without a body yet is not held back', async () => {
  const { handler, next } = held();
  const gw = await gateway(await service(handler));
  const outgoing = open(gw.port).end();
  const [, events] = await next();
  events.flushHeaders();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  events.end('data: 1\n\n');
  expect(await read(response)).toMatchObject({ text: 'data: 1\n\n', isWhole: true });
});

test('a service may answer before it has the body, and the connection stays usable', async () => {
  const { handler, next } = held();
  const gw = await gateway(await service(handler));
  const mebibyte = 'x'.repeat(1024 * 1024);
  const client = net.connect(gw.port, '127.0.0.1').setEncoding('latin1');
  client.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${9 * mebibyte.length}\r\n\r\n`);
  client.write(mebibyte);
  (await next())[1].writeHead(413, { 'Content-Length': 0 }).end();
  expect(`${await once(client, 'data')}`).toMatch(/^HTTP\/1.1 413 /);
  expect(await gw.outcome()).toMatchObject({ kind: 'answered', status: 413 });
  client.write(mebibyte.repeat(8));
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  (await next())[1].writeHead(404, { 'Content-Length': 0 }).end();
  expect(`${await once(client, 'data')}`).toMatch(/^HTTP\/1.1 404 /);
  client.destroy();
});

test('nobody there is a 502', async () => {
  const gw = await gateway(await closedPort());
  const { status, headers, text } = await ask(gw.port, { method: 'PUT' }, 'body');
  expect({ status, headers }).toMatchObject({ status: 502, headers: PROBLEM });
  expect(JSON.parse(text)).toEqual(problem(502, 'Bad Gateway', 'upstream-failed'));
  expect(await gw.outcome()).toEqual({ kind: 'upstream-failed', code: 'ECONNREFUSED' });
});

test.each([
  ['nothing', ''],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['half a head', 'HTTP/1.1 200 OK\r\nContent-'],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nX-A : 1\r\n\r\n'],
  ['a header without a name', 'HTTP/1.1 200 OK\r\n: 1\r\n\r\n'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status of zero', 'HTTP/1.1 000 OK\r\n\r\n'],
  [
    'another protocol',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ],
  ['a head without end', `HTTP/1.1 200 OK\r\nX-A: ${'x'.repeat(20_000)}`],
])('an answer that is %s is a 502', async (_fact, bytes) => {
  const gw = await gateway(await rawService((socket) => socket.end(bytes, 'latin1')));
  expect(await ask(gw.port)).toMatchObject({ status: 502, headers: PROBLEM, isWhole: true });
  expect(await gw.outcome()).toMatchObject({ kind: 'upstream-failed' });
  expect(gw.outbound.length).toBe(1);
});

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

test.each([
  ['a length and chunks', 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
  ['a list of lengths', 'Content-Length: 5, 6\r\n\r\nhello'],
  ['a signed length', 'Content-Length: +5\r\n\r\nhello'],
  ['a coding that looks like chunks', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['two codings', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
  [
    'a coding before a line feed',
    'Transfer-Encoding:\n chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n',
  ],
  ['two hosts', 'Host: evil.example\r\nContent-Length: 0\r\n\r\n'],
])('%s: 400, and nothing reaches the service', async (_fact, rest) => {
  // The second gateway's parser lets them pass, and the gateway itself refuses.
  for (const isLenient of [false, true]) await refuses(rest, isLenient);
});

test.each([
  ['a space before the colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
  ['a folded header', 'X-A: 1\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n'],
  ['a bare line feed', 'X-A: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a NUL in a value', 'X-A: \0\r\n\r\n'],
])('%s: 400 by the parser, and nothing reaches the service', async (_fact, rest) => {
  await refuses(rest, false);
});

async function refuses(rest: string, isLenient: boolean): Promise<void> {
  const gw = await gateway(await service(() => expect.unreachable('smuggled')), { isLenient });
  const bytes = `POST / HTTP/1.1\r\nHost: x\r\n${rest}${SMUGGLED}`;
  const { text } = await rawRequest(gw.port, bytes);
  expect(text).toMatch(/^HTTP\/1.1 400 /);
  expect(text.match(/HTTP\/1.1/g)).toHaveLength(1);
  await atRest(() => gw.outbound.length);
  expect(gw.outbound.length).toBe(0);
}

test('chunks that are bad from the first: 400, and nothing is said to the service', async () => {
  const gw = await gateway(await service(() => expect.unreachable('smuggled')));
  const head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
  const { text } = await rawRequest(gw.port, `${head}0x5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`);
  expect(text).toMatch(/^HTTP\/1.1 400 /);
  expect(await gw.outcome()).toEqual({ kind: 'client-gone' });
  expect(await atRest(() => gw.outbound[0]?.bytesWritten ?? 0)).toBe(0);
});

test.each([
  ['a target that names a host', 'GET http://evil.example/ HTTP/1.1', 'target-form'],
  ['a target that is no path', 'OPTIONS * HTTP/1.1', 'target-form'],
])('%s: 400, and nothing reaches the service', async (_fact, line, code) => {
  const gw = await gateway(await service(() => expect.unreachable('refused')));
  const { text } = await rawRequest(gw.port, `${line}\r\nHost: x\r\n\r\n`);
  expect(text).toMatch(/^HTTP\/1.1 400 /);
  expect(text).toContain(`"code":"${code}","decision":"d-1"`);
  expect(await gw.outcome()).toEqual({ kind: 'refused', code });
  expect(gw.outbound.length).toBe(0);
});
