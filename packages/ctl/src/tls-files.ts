/** Certificates and keys that flags name: read, checked for what can be seen without a server, and refused with etcdctl's words. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { badArgs, systemErrorText } from './exit.ts';

export interface TlsPaths {
  /** Empty: none. */
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
}

export interface TlsFiles {
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly ca?: Uint8Array;
}

/** @throws CommandError when one cannot be read or is no such thing, or when key and certificate do not belong together */
export function readTlsFiles({ cert, key, cacert }: TlsPaths): TlsFiles {
  if ((cert === '') !== (key === ''))
    throw badArgs(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  const ca = cacert === '' ? undefined : read(cacert);
  if (ca !== undefined) certificateIn(ca, cacert);
  if (cert === '') return ca === undefined ? {} : { ca };
  const pair = { cert: read(cert), key: read(key) };
  const certificate = certificateIn(pair.cert, cert);
  if (!certificate.checkPrivateKey(privateKeyIn(pair.key, key)))
    throw badArgs('tls: private key does not match public key');
  return { ...pair, ...(ca && { ca }) };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw badArgs(systemErrorText(error) ?? String(error));
  }
}

function certificateIn(bytes: Buffer, path: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch {
    throw badArgs(`tls: failed to find a certificate in ${path}`);
  }
}

function privateKeyIn(bytes: Buffer, path: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(bytes);
  } catch {
    throw badArgs(`tls: failed to find an unencrypted private key in ${path}`);
  }
}
