/** What the transport says of a connection that failed, as people get to read it. */
import { describe, expect, test } from 'vitest';
import { plainReason } from './reasons.ts';

const NONE = 'No connection established. Last error: ';
const NOTE = '. Resolution note:';

describe('reasons of failed connections', () => {
  test.each([
    [
      'nobody listens',
      `${NONE}Error: connect ECONNREFUSED 127.0.0.1:1${NOTE}`,
      'connect ECONNREFUSED 127.0.0.1:1: no server listens there',
    ],
    [
      'no such socket',
      `${NONE}Error: connect ENOENT /tmp/a.sock${NOTE}`,
      'connect ENOENT /tmp/a.sock: no server listens there',
    ],
    [
      'no such name',
      'Name resolution failed for target dns:nowhere.invalid:1',
      'the name cannot be resolved',
    ],
    [
      'no such port',
      `${NONE}RangeError [ERR_SOCKET_BAD_PORT]: Port should be >= 0 and < 65536. Received type number (99999).${NOTE}`,
      'the port is out of range',
    ],
    [
      'TLS to a server without it',
      `${NONE}Error: 40DD45264E7F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../deps/openssl/openssl/ssl/record/methods/tlsany_meth.c:77: ${NOTE}`,
      'the server does not speak TLS: leave out the TLS flags, or write http://',
    ],
    [
      'no TLS to a server with it',
      `${NONE}Failed to connect (2026-11-21T14:59:10.510Z)${NOTE}`,
      'the server closed the connection: does it want TLS (--cacert, https://)?',
    ],
    [
      'a certificate is wanted',
      `${NONE}402DA4B7EC7F0000:error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:../deps/openssl/openssl/ssl/record/rec_layer_s3.c:918:SSL alert number 42 (2026-11-21T14:59:49.143Z)${NOTE}`,
      'the server refused the TLS handshake (bad certificate): does it want a certificate of its users (--cert, --key)?',
    ],
    [
      'the same, in the words of TLS 1.3',
      `${NONE}402D:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../x.c:918:SSL alert number 116 (2026)${NOTE}`,
      'the server refused the TLS handshake (certificate required): does it want a certificate of its users (--cert, --key)?',
    ],
    [
      'a name that the certificate lacks',
      `${NONE}Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: 127.0.0.2${NOTE}`,
      "Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: 127.0.0.2",
    ],
    [
      'an authority that nobody knows',
      `${NONE}Error: self-signed certificate${NOTE}`,
      'self-signed certificate: name the authority that signed it with --cacert',
    ],
    [
      'the same, one further up',
      `${NONE}Error: unable to verify the first certificate${NOTE}`,
      'unable to verify the first certificate: name the authority that signed it with --cacert',
    ],
    [
      'no answer yet',
      'Deadline exceeded after 0.003s,metadata filters: 0.002s,Waiting for LB pick',
      'no answer in time',
    ],
    ['what nobody foresaw', 'something else', 'something else'],
    ['nothing', '', 'no reason known'],
  ])('%s', (_name, raw, plain) => {
    expect(plainReason(raw)).toBe(plain);
  });
});
