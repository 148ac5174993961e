// What stands between the edge and one gateway: it takes TLS off and puts it on again, so that the
// gateway's control state can be held back while requests go through as they are.

import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as requestTls, type Server } from 'node:https';
import { attestationsHeader } from '../../shared/control/attestation-header.ts';
import type { TlsFiles } from './tls.ts';

/** `words`: what sites attest goes through, in the answers to requests; versions do not. */
export type FrontPasses = 'all' | 'words' | 'nothing';

const STATE_PATH = '/.portolan/';

export class GatewayFront {
  /** Of the gateway's state. */
  passes: FrontPasses = 'all';
  readonly #server: Server;
  readonly #target: string;
  readonly #ca: string;

  private constructor(server: Server, target: string, ca: string) {
    this.#server = server;
    this.#target = target;
    this.#ca = ca;
    server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
      this.#pass(asked, answer);
    });
  }

  /** `target` is the gateway's origin. */
  static async start(target: string, { ca, cert, key }: TlsFiles): Promise<GatewayFront> {
    const [caPem, ...pair] = await Promise.all(
      [ca, cert, key].map((file) => readFile(file, 'utf8')),
    );
    const server = createServer({ cert: pair[0] ?? '', key: pair[1] ?? '' });
    const listening = Promise.withResolvers<void>();
    server.once('error', listening.reject).listen(0, '127.0.0.1', listening.resolve);
    await listening.promise;
    return new GatewayFront(server, target, caPem ?? '');
  }

  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('it has ended');
    return `https://127.0.0.1:${address.port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #pass(asked: IncomingMessage, answer: ServerResponse): void {
    const { url = '/', method = 'GET', rawHeaders } = asked;
    if (url.startsWith(STATE_PATH) && this.passes !== 'all') {
      asked.socket.destroy();
      return;
    }
    const onward = requestTls(`${this.#target}${url}`, {
      method,
      headers: rawHeaders,
      ca: this.#ca,
    });
    onward.on('response', (got) => {
      answer.writeHead(got.statusCode ?? 502, this.#headersOf(got));
      got.pipe(answer);
    });
    onward.on('error', () => asked.socket.destroy());
    answer.on('close', () => onward.destroy());
    asked.pipe(onward);
  }

  #headersOf({ rawHeaders }: IncomingMessage): string[] {
    if (this.passes !== 'nothing') return rawHeaders;
    const kept: string[] = [];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const [name = '', value = ''] = rawHeaders.slice(i, i + 2);
      if (name.toLowerCase() !== attestationsHeader) kept.push(name, value);
    }
    return kept;
  }
}
