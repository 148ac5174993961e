// The one thing of Node's that the edge uses (`nodejs_compat`): hashing that is synchronous.

declare module 'node:crypto' {
  interface Hash {
    update(bytes: Uint8Array): Hash;
    digest(): Uint8Array<ArrayBuffer>;
  }
  export function createHash(algorithm: 'sha256'): Hash;
}
