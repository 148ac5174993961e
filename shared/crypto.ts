// The crypto port of `shared`: hashing is synchronous (folds are), verifying is not (WebCrypto is
// not). Node and workerd both hand in their own; see `agent/adapters/crypto.ts`, `edge/crypto.ts`.

export type Bytes = Uint8Array<ArrayBuffer>;

export interface Hasher {
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
}

export interface Crypto extends Hasher {
  /**
   * Ed25519 (RFC 8032) of `bytes` under the raw 32-byte public `key`. False for a key that is not a
   * point of the curve; never throws.
   */
  verify(key: Uint8Array, bytes: Uint8Array, signature: Uint8Array): Promise<boolean>;
}

export interface Signer {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  /** Ed25519, 64 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}
