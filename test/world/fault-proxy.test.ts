import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { FaultProxy } from './fault-proxy.ts';
import { until } from './wait.ts';

const SOON = { deadlineMs: 5_000 } as const;

/** One end of a connection with all that it saw. */
class End {
  readonly socket: Socket;
  received = '';
  /** 'ended' after a FIN, the code after an error. */
  fate: string | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('end', () => {
      this.fate ??= 'ended';
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.fate = error.code ?? error.message;
    });
    onTestFinished(() => void socket.destroy());
  }

  async has(text: string): Promise<void> {
    await until(`received ${text}`, () => this.received === text, SOON);
  }

  async met(fate: string): Promise<void> {
    await until(`met ${fate}`, () => this.fate === fate, SOON);
  }
}

async function open(port: number): Promise<End> {
  const end = new End(connect({ port, host: '127.0.0.1' }));
  await once(end.socket, 'connect');
  return end;
}

/** A server that keeps its ends, behind a proxy. */
async function setUp() {
  const ends: End[] = [];
  const server = createServer({ noDelay: true }, (socket) => ends.push(new End(socket)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const proxy = await FaultProxy.start([port]);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  const pair = async (): Promise<{ client: End; far: End }> => {
    const before = ends.length;
    const client = await open(proxy.port);
    const far = await until('the server has it', () => ends[before], SOON);
    return { client, far };
  };
  /** What would have come by now: bytes straight to the server and back, thrice. */
  const aWhile = async () => {
    const mark = await open(port);
    const isMark = ({ socket }: End) => socket.remotePort === mark.socket.localPort;
    const far = await until('the mark is there', () => ends.find(isMark), SOON);
    for (const text of ['1', '12', '123']) {
      mark.socket.write(text.slice(-1));
      await far.has(text);
      far.socket.write(text.slice(-1));
      await mark.has(text);
    }
  };
  return { proxy, server, port, pair, aWhile };
}

test('without a fault bytes and ends go through both ways, and are counted', async () => {
  const { proxy, pair } = await setUp();
  const { client, far } = await pair();
  client.socket.write('hello');
  await far.has('hello');
  far.socket.end('goodbye');
  await client.has('goodbye');
  await client.met('ended');
  await until('both are gone', () => proxy.counts().open === 0, SOON);
  const counts = { accepted: 1, open: 0, stalled: 0, bytesToClient: 7, bytesToTarget: 5 };
  expect(proxy.counts()).toEqual(counts);
});

test('sixteen megabytes arrive as they were sent, to a reader that is slow at first', async () => {
  const { pair } = await setUp();
  const { client, far } = await pair();
  const bytes = randomBytes(16 * 1024 * 1024);
  client.socket.removeAllListeners('data').pause();
  far.socket.end(bytes);
  const hash = createHash('sha256');
  client.socket.on('data', (chunk) => void hash.update(chunk)).resume();
  await client.met('ended');
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
});

test('a cut resets both sides, and the next connection is well', async () => {
  const { proxy, pair } = await setUp();
  const { client, far } = await pair();
  proxy.cut();
  await client.met('ECONNRESET');
  await far.met('ECONNRESET');
  const again = await pair();
  again.client.socket.write('hello');
  await again.far.has('hello');
});

test('a refused connection is refused, an open one goes on, healed at the same port', async () => {
  const { proxy, pair } = await setUp();
  const { client, far } = await pair();
  const { port } = proxy;
  proxy.refuse();
  await expect(open(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  client.socket.write('still here');
  await far.has('still here');
  await proxy.heal();
  expect(proxy.port).toBe(port);
  await pair();
});

test('a stall holds both ways and new connections open, and loses nothing', async () => {
  const { proxy, pair, aWhile } = await setUp();
  const { client, far } = await pair();
  proxy.stall();
  client.socket.write('up');
  far.socket.write('down');
  const late = await open(proxy.port);
  late.socket.write('late');
  await aWhile();
  expect([far.received, client.received, client.fate, far.fate]).toEqual(['', '', null, null]);
  const nothing = { bytesToClient: 0, bytesToTarget: 0 };
  expect(proxy.counts()).toMatchObject({ open: 2, stalled: 2, ...nothing });
  client.socket.write(' and up');
  await proxy.heal();
  await far.has('up and up');
  await client.has('down');
  await until('late is through', () => proxy.counts().bytesToTarget === 13, SOON);
});

test('stalled after so many bytes, the stream ends there; the cut then is a reset', async () => {
  const { proxy, pair, aWhile } = await setUp();
  const { client, far } = await pair();
  far.socket.write('before ');
  await client.has('before ');
  proxy.stallAfter(4);
  far.socket.write('replay');
  await client.has('before repl');
  client.socket.write('ok');
  await far.has('ok'); // the other way is open
  await aWhile();
  expect([client.received, client.fate]).toEqual(['before repl', null]);
  expect(proxy.counts().stalled).toBe(1);
  proxy.cut();
  await client.met('ECONNRESET');
  expect(client.received).toBe('before repl');
});

test('each connection has its own bytes before the stall, the rest after it', async () => {
  const { proxy, pair } = await setUp();
  proxy.stallAfter(2);
  const [one, two] = [await pair(), await pair()];
  one.far.socket.write('abcd');
  two.far.socket.write('efgh');
  await one.client.has('ab');
  await two.client.has('ef');
  await proxy.heal();
  await one.client.has('abcd');
  await two.client.has('efgh');
});

test('a half-open connection swallows one way, and shows neither end nor reset', async () => {
  const { proxy, pair, aWhile } = await setUp();
  const { client, far } = await pair();
  proxy.halfOpen();
  client.socket.write('anybody?');
  await far.has('anybody?');
  far.socket.write('yes');
  far.socket.resetAndDestroy();
  await aWhile();
  expect([client.received, client.fate]).toEqual(['', null]);
  await proxy.heal();
  await aWhile();
  expect([client.received, client.fate]).toEqual(['', null]);
  const next = await pair();
  next.far.socket.write('yes');
  await next.client.has('yes');
  client.socket.end();
  await until('the dead one is gone', () => proxy.counts().open === 1, SOON);
});

test('half-open both ways, a peer is gone without a word', async () => {
  const { proxy, pair, aWhile } = await setUp();
  const { client, far } = await pair();
  proxy.halfOpen(['to-client', 'to-target']);
  client.socket.write('anybody?');
  far.socket.write('hello?');
  await aWhile();
  expect([client.received, far.received]).toEqual(['', '']);
  expect([client.fate, far.fate]).toEqual([null, null]);
});

test('a delay holds each way back so long, in order, and many chunks at once', async () => {
  const { proxy, pair } = await setUp();
  const { client, far } = await pair();
  proxy.delay(40);
  const beganMs = performance.now();
  const words = Array.from({ length: 50 }, (_, n) => `${n},`);
  for (const word of words) client.socket.write(word);
  await far.has(words.join(''));
  far.socket.write('back');
  await client.has('back');
  const tookMs = performance.now() - beganMs;
  expect(tookMs).toBeGreaterThanOrEqual(80);
  expect(tookMs).toBeLessThan(50 * 40); // not one after the other
});

test('a target that is down shows as a reset', async () => {
  const { proxy, server } = await setUp();
  server.close();
  await once(server, 'close');
  const client = await open(proxy.port);
  await client.met('ECONNRESET');
});

test('one proxy leads to several targets, each by its own port', async () => {
  const [one, two] = [await setUp(), await setUp()];
  const both = await FaultProxy.start([one.port, two.port]);
  onTestFinished(() => both.close());
  for (const port of both.ports) (await open(port)).socket.write('x');
  await until('both have it', () => both.counts().bytesToTarget === 2, SOON);
  both.refuse();
  for (const port of both.ports) {
    await expect(open(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  }
});

test('a closed proxy has left its port, and its connections are reset', async () => {
  const { proxy, pair } = await setUp();
  const { client } = await pair();
  await proxy.close();
  await client.met('ECONNRESET');
  const next = createServer().listen(proxy.port, '127.0.0.1');
  await once(next, 'listening');
  next.close();
});
