/**
 * Why a server was not reached, in words that say what to do about it.
 *
 * The transport tells reasons in OpenSSL's words and its own, with file names and times in them. What is not known here is passed
 * on as it is: a strange reason is better than none.
 */

const NO_AUTHORITY = 'name the authority that signed it with --cacert';

/** The first that fits; `$1` is its group. */
const REASONS: readonly (readonly [pattern: RegExp, plain: string])[] = [
  [/^(connect (?:ECONNREFUSED|ENOENT) .*)$/, '$1: no server listens there'],
  [/^Name resolution failed .*$/, 'the name cannot be resolved'],
  [/^.*ERR_SOCKET_BAD_PORT.*$/, 'the port is out of range'],
  [
    /^.*:wrong version number:.*$/,
    'the server does not speak TLS: leave out the TLS flags, or write http://',
  ],
  [/^Failed to connect\b.*$/, 'the server closed the connection: does it want TLS (--cacert, https://)?'],
  [
    /^.*alert ((?:bad certificate|certificate required|handshake failure|certificate unknown|unknown ca)).*$/,
    'the server refused the TLS handshake ($1): does it want a certificate of its users (--cert, --key)?',
  ],
  [/^((?:self-signed certificate|unable to (?:verify|get)).*)$/, `$1: ${NO_AUTHORITY}`],
  [/^Deadline exceeded .*$/, 'no answer in time'],
  [/^$/, 'no reason known'],
];

export function plainReason(raw: string): string {
  const bare = raw
    .replace(/^No connection established\. Last error: /, '')
    .replace(/\.? *Resolution note:.*$/, '')
    .replace(/^(?:\w*Error(?: \[(?!ERR_SOCKET)\w+\])?: )/, '')
    .trim();
  for (const [pattern, plain] of REASONS) if (pattern.test(bare)) return bare.replace(pattern, plain);
  return bare;
}
