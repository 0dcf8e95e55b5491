/** Runs a command line in this process, and Debian's etcdctl beside it, and makes their outputs comparable. */
import { Readable } from 'node:stream';
import { connect } from '@quorate/client';
import type { ServerProcess } from '@quorate/testing';
import { spawnBound } from '@quorate/testing/child';
import { run } from '../src/index.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Input {
  readonly args: readonly string[];
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

export async function ours({ args, stdin = '', env = {} }: Input): Promise<Outcome> {
  const out: Uint8Array[] = [];
  let stderr = '';
  const code = await run(args, {
    stdin: Readable.from([Buffer.from(stdin)]),
    env: { PATH: process.env.PATH ?? '', ...env },
    stdout: (bytes) => void out.push(Buffer.from(bytes)),
    stderr: (text) => {
      stderr += text;
    },
  });
  return { code, stdout: Buffer.concat(out).toString('latin1'), stderr };
}

export async function etcdctl({ args, stdin = '', env = {} }: Input): Promise<Outcome> {
  const child = spawnBound('etcdctl', args, { env: { PATH: process.env.PATH ?? '', ...env } });
  const [out, err]: Buffer[][] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => out?.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err?.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)));
  // The Go client logs its retries; those lines are no part of the command's output.
  const stderr = Buffer.concat(err ?? [])
    .toString()
    .split('\n')
    .filter((line) => !line.startsWith('{"level":"warn"'))
    .join('\n');
  return { code, stdout: Buffer.concat(out ?? []).toString('latin1'), stderr };
}

/** Replaces what differs between two servers with the same history: ids, addresses, times, sizes. */
export async function normaliser(server: ServerProcess): Promise<(text: string) => string> {
  const client = connect(server.endpoint);
  const { header, members } = await client.cluster.memberList();
  client.close();
  const names: [string, string][] = [
    [`${header.clusterId}`, 'CLUSTER'],
    [`${header.memberId}`, 'MEMBER'],
    [header.memberId.toString(16), 'MEMBER-HEX'],
    [members[0]?.peerUrls[0] ?? '', 'PEER'],
    [server.endpoint, 'ENDPOINT'],
  ];
  return (text) => {
    let plain = text;
    for (const [value, name] of names) plain = plain.replaceAll(value, name);
    return (
      plain
        // Columns are as wide as the ids and addresses in them.
        .replace(/^[+|].*$/gm, (line) => line.replace(/-+/g, '-').replace(/ +/g, ' '))
        .replace(/\b\d+(?:\.\d+)?(?:ns|µs|Âµs|ms)\b/g, 'DURATION')
        .replace(/"Took" : .*/g, '"Took" : DURATION')
        .replace(/[0-9a-f]{16} (granted|revoked|keepalived)/g, 'LEASE $1')
        .replace(/("ID"|"id"):\d{15,}/g, '$1:LEASE')
        .replace(/"ID" : \d{15,}/g, '"ID" : LEASE')
    );
  };
}
